#include "actors/joining.hpp"

#include "actors/known_nodes.hpp"
#include "actors/member_file.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

namespace cohort::detail {
namespace {

using clock = std::chrono::steady_clock;
using transport::cluster_nodes;

constexpr auto patience = std::chrono::seconds(60);
constexpr auto pause = std::chrono::milliseconds(300);
constexpr auto answer_time = std::chrono::milliseconds(1500);
constexpr std::string_view file_hint = "file:";

std::vector<transport::place> places_of(const std::string& hint, logger& log) {
  std::vector<transport::place> out;
  if (!hint.starts_with(file_hint)) {
    transport::place one;
    if (transport::parse_place(hint, one).empty()) out.push_back(std::move(one));
    return out;
  }
  const auto file = hint.substr(file_hint.size());
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto parsed = parse_member_file(text, file);
  for (const auto& trouble : parsed.troubles) log.write(log_level::warn, "join: " + trouble);
  for (auto& h : parsed.hints) out.insert(out.end(), h.places.begin(), h.places.end());
  return out;
}

class search {
public:
  search(const node_config& config, logger& log) : config_(config), log_(log) {
    std::string trouble;
    best_ = read_known_nodes(config.data / "nodes", trouble);
    if (!trouble.empty()) log.write(log_level::warn, "the nodes of the cluster are asked for anew: " + trouble);
    if (best_) own_ = number_in(*best_);
    known_ = best_.has_value();
    (void)transport::parse_name_servers(config.name_servers, servers_);
  }

  bool known() const { return known_; }
  bool named() const { return best_ && best_->nodes.find(config_.name); }

  void ask_all(const std::function<bool()>& stopped) {
    why_.clear();
    for (const auto& hint : config_.join)
      for (const auto& where : places_of(hint, log_)) {
        if (stopped()) return;
        cluster_nodes answer;
        const auto wrong = transport::fetch_nodes(where, servers_, config_.name, answer_time, answer);
        if (!wrong.empty()) why_ += (why_.empty() ? "" : "; ") + wrong;
        else consider(std::move(answer), to_string(where));
      }
  }

  cluster_nodes result() const {
    const auto* own = best_->nodes.find(config_.name);
    if (own_ && *own_ != own->number)
      throw node_error("node " + config_.name + " was removed from the cluster and added anew, and the data directory " + config_.data.string() +
                       " is of its former life. Move it away");
    return *best_;
  }

  std::string trouble() const {
    if (!best_) return "nobody told the cluster's nodes: " + (why_.empty() ? "no hint names an address" : why_);
    const auto was = std::ranges::any_of(best_->nodes.nodes, [&](auto& n) { return n.name == config_.name; });
    return "node " + config_.name + (was ? " was removed from the cluster" : " is not known to the cluster") +
           "; an operator adds it at one of its nodes: cohort add " + config_.name + " HOST:PORT --node DIRECTORY";
  }

private:
  std::optional<member_id> number_in(const cluster_nodes& c) const {
    const auto* line = c.nodes.find(config_.name);
    return line ? std::optional(line->number) : std::nullopt;
  }

  void consider(cluster_nodes answer, const std::string& where) {
    if (!config_.cluster.empty() && answer.cluster != config_.cluster)
      throw node_error("at " + where + " answers a node of cluster \"" + answer.cluster + "\", not of \"" + config_.cluster + "\"");
    if (known_ && answer.founders != best_->founders)
      throw node_error("at " + where + " answers a node of another cluster than the data directory " + config_.data.string() + " is of");
    if (!best_ || answer.nodes.version > best_->nodes.version) best_ = std::move(answer);
  }

  const node_config& config_;
  logger& log_;
  std::optional<cluster_nodes> best_;
  std::optional<member_id> own_;  ///< its number in the life to which the directory belongs
  bool known_ = false;
  std::vector<transport::address> servers_;
  std::string why_;
};

}  // namespace

bool is_joining(const node_config& config) {
  if (config.join.empty() && (config.discover.empty() || !config.members.empty())) return false;
  return std::ranges::none_of(config.members, [&](auto& m) { return m.name == config.name; });
}

void check_hint(const std::string& text) {
  transport::place one;
  if (text.starts_with(file_hint) && text.size() > file_hint.size()) return;
  if (const auto problem = transport::parse_place(text, one); !problem.empty())
    throw node_error("join \"" + text + "\": " + problem + "; or \"file:PATH\"");
}

cluster_nodes find_cluster(const node_config& config, logger& log, const std::function<bool()>& stopped) {
  search s(config, log);
  const auto end = clock::now() + patience;
  std::string told;
  for (;;) {
    s.ask_all(stopped);
    if (stopped()) throw node_error("asked to stop before the cluster was found");
    if (s.named()) return s.result();
    if (const auto why = s.trouble(); why != told) {
      log.write(log_level::warn, "join: " + why);
      told = why;
    }
    if (s.known() || clock::now() > end) throw node_error("join: " + s.trouble());
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace cohort::detail
