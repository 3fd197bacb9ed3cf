#include "actors/admin.hpp"

#include "actors/group_settings.hpp"
#include "actors/name_list.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <stdexcept>
#include <thread>

namespace cohort::detail {
namespace {

constexpr auto look_again = std::chrono::milliseconds(20);  ///< whether a change is decided, or the node stops
constexpr auto state_comes_within = std::chrono::seconds(40);
constexpr auto page_age_max = std::chrono::milliseconds(100);  ///< a look at the groups' cores costs the protocol thread a pass

transport::admin::answer refused(const std::string& why) { return {1, why + '\n'}; }

bool number_of(const std::string& text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string when(wall_time t) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(t).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

/// What a message says may hold anything: on a terminal it is one line without control characters.
std::string one_line(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

std::string line_of(const dead_letter& l) {
  return std::to_string(l.number) + "  " + when(l.time) + "  " + l.path + "  ended " + std::to_string(l.kills) +
         (l.kills == 1 ? " life" : " lives") + "  " + one_line(l.cause) + '\n';
}

std::string text_of(const dead_letter& l) {
  return "letter " + std::to_string(l.number) + "\nput aside " + when(l.time) + "\nfor " + l.path + "\nended lives " +
         std::to_string(l.kills) + "\ncause " + one_line(l.cause) + "\nmessage " + one_line(l.message) + "\nreplayable " +
         (l.replayable ? "yes" : "no") + '\n';
}

}  // namespace

admin::admin(const node_config& config, admin_calls calls, const std::function<void(const std::string&)>& trouble)
    : node_(config.name), calls_(std::move(calls)) {
  commands_["status"] = [this](const words&, const answered& done) { done(status()); };
  commands_["processes"] = [this](const words&, const answered& done) { done(processes()); };
  commands_["redo"] = [this](const words& w, const answered& done) { done(redo(w)); };
  commands_["letters"] = [this](const words& w, const answered& done) { done(letters(w)); };
  commands_["nodes"] = [this](const words&, const answered& done) { done(nodes()); };
  const auto with_address = [this](const char* name, catalogue::command_kind kind) {
    commands_[name] = [this, name, kind](const words& w, const answered& done) {
      done(w.size() == 3 ? settled(calls_.change_nodes({kind, w[1], w[2]})) : refused(std::string(name) + " NAME HOST:PORT"));
    };
  };
  with_address("add", catalogue::command_kind::add);
  with_address("move", catalogue::command_kind::move);
  commands_["remove"] = [this](const words& w, const answered& done) {
    done(w.size() == 2 ? settled(calls_.change_nodes({catalogue::command_kind::remove, w[1], {}})) : refused("remove NAME"));
  };
  commands_["group"] = [this](const words& w, const answered& done) { done(group(w)); };
  commands_["metrics"] = [this](const words&, const answered& done) { done({0, metrics_now()}); };
  try {
    socket_ = std::make_unique<transport::admin::server>(transport::admin::server_options{(config.data / "admin").string(), {}}, *this);
  } catch (const std::runtime_error& e) {
    trouble("no commands are taken while the node runs: " + std::string(e.what()));
  }
  if (config.metrics.empty()) return;
  try {
    http_ = std::make_unique<transport::admin::server>(transport::admin::server_options{{}, config.metrics}, *this);
  } catch (const std::runtime_error& e) {
    throw node_error("metrics: " + std::string(e.what()) + "; give [node] metrics an address of this machine with a free port");
  }
}

admin::~admin() {
  stopping_.store(true, std::memory_order_relaxed);
  http_.reset();
  socket_.reset();
}

void admin::run(std::vector<std::string> w, answered done) {
  worker_.post([this, w = std::move(w), done = std::move(done)] { carry_out(w, done); });
}

void admin::metrics(std::function<void(std::string&&)> done) {
  pages_.post([this, done = std::move(done)] {
    const auto now = std::chrono::steady_clock::now();
    if (page_.empty() || now - page_made_ > page_age_max) {
      page_ = metrics_now();
      page_made_ = now;
    }
    done(std::string(page_));
  });
}

void admin::carry_out(const words& w, const answered& done) {
  const auto command = w.empty() ? commands_.end() : commands_.find(w.front());
  if (command == commands_.end()) {
    std::string known;
    for (const auto& [name, how] : commands_) known += (known.empty() ? "" : ", ") + name;
    return done(refused("no such command; this node knows " + known));
  }
  try {
    command->second(w, done);
  } catch (const std::exception& e) {
    done(refused(e.what()));
  }
}

std::string admin::metrics_now() {
  const auto figures = calls_.look();
  return metrics_text(node_, figures ? &*figures : nullptr, calls_.supervision());
}

admin::answer admin::status() {
  const auto figures = calls_.look();
  if (!figures) return refused("node " + node_ + " starts again, or does not get to answering; look into its log");
  auto text = status_text(*figures);
  for (const auto& s : calls_.supervision().resilient)
    if (!s.down.empty()) text += "process " + s.name + ": stays down: " + s.down + '\n';
  return {0, text};
}

admin::answer admin::nodes() {
  std::string text;
  for (const auto& n : calls_.nodes())
    text += n.name + "  " + n.address + (n.founder ? "  founder" : "") + (n.present ? "" : "  removed") + '\n';
  return {0, text};
}

/// Does not wait any longer once the node stops.
admin::answer admin::settled(std::future<change_result> asked, const std::string& done) {
  while (asked.wait_for(look_again) != std::future_status::ready)
    if (stopping_.load(std::memory_order_relaxed)) return refused("the node stops; the change may still happen");
  const auto r = asked.get();
  return {r.done ? 0 : 1, (r.done && r.why.empty() ? done : r.why) + '\n'};
}

admin::answer admin::groups() {
  std::string text;
  for (const auto& g : calls_.groups())
    text += g.name + "  number " + std::to_string(g.number) + "  " + g.type + (g.hosts.empty() ? "" : "  on " + joined(g.hosts)) +
            (g.why_not.empty() ? "" : "  does not run here: " + one_line(g.why_not)) + '\n';
  return {0, text.empty() ? "no group was created while the cluster ran\n" : text};
}

/// `group create NAME TYPE [--on NODE,NODE...] [--witness NODE,NODE...] SETTING...`
admin::answer admin::create_group(words w) {
  group_placement where;
  for (auto at = w.begin() + 4; at != w.end();) {
    if (*at != "--on" && *at != "--witness") {
      ++at;
      continue;
    }
    if (at + 1 == w.end()) return refused(*at + " wants names of nodes: n1,n2");
    auto& names = *at == "--on" ? where.on : where.witnesses;
    for (const auto& name : names_in(*(at + 1))) names.push_back(name);
    at = w.erase(at, at + 2);
  }
  return settled(calls_.create_group(w[2], w[3], with_settings(contract{}, words(w.begin() + 4, w.end())), where));
}

/// Answers once the node has a state again.
admin::answer admin::repair(const std::string& group) {
  if (auto begun = settled(calls_.repair(group)); begun.code != 0) return begun;
  const auto end = std::chrono::steady_clock::now() + state_comes_within;
  for (; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(look_again)) {
    if (stopping_.load(std::memory_order_relaxed)) return refused("the node stops; started again it is given the others' state");
    const auto figures = calls_.look();
    const auto* own = figures ? figures->find(group) : nullptr;
    if (own && own->active) return {0, "this node was given the others' state of group " + group + '\n'};
  }
  return refused("the state of group " + group + " was dropped here, and that of the others has not come yet; cohort status tells when it has");
}

/// `group list`, `group create`, `group extend NAME NODE`, `group delete NAME`, `group rules NAME`, `group change NAME [weaker] SETTING...`,
/// `group exclude|restore NAME MEMBER`, `group handover NAME`, `group repair NAME`.
admin::answer admin::group(const words& w) {
  if (w.size() == 2 && w[1] == "list") return groups();
  const auto what = w.size() > 2 ? w[1] : std::string();
  if (what == "create" && w.size() > 3) return create_group(w);
  if (what == "extend" && w.size() == 4) return settled(calls_.extend_group(w[2], w[3]));
  if (what == "delete" && w.size() == 3) return settled(calls_.delete_group(w[2]));
  if (what == "rules" && w.size() == 3) {
    const auto other = difference(contract{}, calls_.rules(w[2]));
    return {0, other.empty() ? "the defaults\n" : other + '\n'};
  }
  if (what == "handover" && w.size() == 3) {
    calls_.hand_over(w[2]);
    return {0, "asked; cohort status tells who leads\n"};
  }
  if (what == "repair" && w.size() == 3) return repair(w[2]);
  if ((what == "exclude" || what == "restore") && w.size() == 4) {
    const bool out = what == "exclude";
    return settled(calls_.change_member(w[2], out ? protocol::change_kind::remove : protocol::change_kind::restore, w[3]),
                   w[3] + (out ? " is out of group " : " may join group ") + w[2]);
  }
  const bool weaker = what == "change" && w.size() > 3 && w[3] == "weaker";
  if (what == "change" && w.size() > (weaker ? 4u : 3u)) {
    const words settings(w.begin() + (weaker ? 4 : 3), w.end());
    return settled(calls_.change_rules(w[2], with_settings(calls_.rules(w[2]), settings), weaker), "group " + w[2] + " runs under them");
  }
  return refused("group list, create NAME TYPE [--on NODE,...] [--witness NODE,...] SETTING..., extend NAME NODE, delete NAME, rules NAME, change NAME SETTING..., exclude or restore NAME MEMBER, handover NAME, repair NAME");
}

admin::answer admin::processes() {
  const auto all = calls_.supervisors_now();
  if (!all) return refused("the node stops");
  std::string text;
  for (const auto& c : all->children())
    text += c.path + "  " + c.state + (c.is_supervisor ? "  supervisor" : "") + "  restarts " + std::to_string(c.restarts) + "  age " +
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(c.age).count()) + " s" +
            (c.last_cause.empty() ? "" : "  " + one_line(c.last_cause)) + '\n';
  return {0, text};
}

/// `redo NAME...`. Of several each is tried.
admin::answer admin::redo(const words& w) {
  if (w.size() < 2) return refused("redo with the names of resilient processes that stay down");
  answer out;
  for (std::size_t i = 1; i < w.size(); ++i) {
    const auto why = calls_.redo(w[i]);
    if (!why.empty()) out.code = 1;
    out.text += (why.empty() ? w[i] + " redoes its journal; cohort processes tells whether it is up" : why) + '\n';
  }
  return out;
}

/// `letters list`, `letters show|replay|drop NUMBER...`. Of several numbers each is tried.
admin::answer admin::letters(const words& w) {
  const auto all = calls_.supervisors_now();
  if (!all) return refused("the node stops");
  const auto kept = all->dead_letters();
  answer out;
  if (w.size() == 2 && w[1] == "list") {
    for (const auto& l : kept) out.text += line_of(l);
    return out;
  }
  if (w.size() < 3 || (w[1] != "show" && w[1] != "replay" && w[1] != "drop"))
    return refused("letters list, or letters show, replay or drop with the numbers of letters");
  for (std::size_t i = 2; i < w.size(); ++i) {
    std::uint64_t number = 0;
    const auto letter = number_of(w[i], number) ? std::ranges::find(kept, number, &dead_letter::number) : kept.end();
    std::string why;
    if (letter == kept.end()) why = "there is no dead letter " + one_line(w[i]);
    else if (w[1] == "show") out.text += text_of(*letter);
    else if (w[1] == "replay") why = all->replay(number);
    else if (!all->drop(number)) why = "dead letter " + w[i] + " was taken by another";
    if (!why.empty()) out.code = 1;
    if (w[1] != "show" || !why.empty())
      out.text += why.empty() ? "letter " + w[i] + (w[1] == "replay" ? " given to " + letter->path : " dropped") + '\n' : why + '\n';
  }
  return out;
}

}  // namespace cohort::detail
