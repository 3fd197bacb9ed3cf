#include "tools/cohort/commands.hpp"

#include <cohort/client.hpp>

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

namespace cohort::tool {
namespace {

struct wanted {
  client_options how;
  std::vector<std::string> texts;
  double within = 0;
  bool read = false;
  std::string fresh = "linearizable";
  std::string all;
  double max_age = 0;
  double patience = 0;
  bool verbose = false;
};

std::chrono::milliseconds ms(double seconds) { return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)); }

void add_places(CLI::App& command, const std::shared_ptr<wanted>& w) {
  command.add_option("--gateway", w->how.gateways, "HOST:PORT of a member's gateway; the others are found through it")->required();
  command.add_option("--group", w->how.group, "the group")->required();
}

freshness fresh_of(const std::string& word) {
  if (word == "session") return freshness::session;
  if (word == "bounded") return freshness::bounded;
  if (word == "lease") return freshness::lease;
  return word == "local" ? freshness::local : freshness::linearizable;
}

bool show_place(const call_result& r, bool verbose, bool read = false) {
  if (verbose)
    std::cerr << "by " << r.node << (read ? std::string(", ") + to_string(r.served) : "") << ", position " << r.position << ", log entry " << r.index << ", view " << r.view << ", "
              << r.attempts << (r.attempts == 1 ? " copy" : " copies") << (r.repeated ? ", executed before" : "") << std::endl;
  return true;
}

/// The answer to stdout, everything else to stderr. False unless it was replied.
bool show(const call_result& r, bool verbose, bool read = false) {
  if (r.what == call_outcome::replied)
    std::cout << r.text() << std::endl;
  else
    std::cerr << to_string(r.what) << ": " << r.why << std::endl;
  show_place(r, verbose, read);
  return r.what == call_outcome::replied;
}

/// Of a call of all members: each with its answer, or with what became of it.
bool show_members(const call_result& r, bool verbose) {
  for (const auto& m : r.report.members)
    std::cout << m.member << ": " << (m.what == member_standing::answered ? m.text() : std::string_view(to_string(m.what))) << std::endl;
  if (r.what == call_outcome::replied && !r.report.met()) std::cerr << "not enough answers: " << to_string(r.report.end) << std::endl;
  return (r.what == call_outcome::replied || show(r, false)) && show_place(r, verbose) && r.report.met();
}

std::optional<collation> collation_of(const wanted& w) {
  if (w.all.empty()) return {};
  collation c;
  if (w.within > 0) c.within = ms(w.within);
  for (const auto how : {collate::none, collate::first, collate::majority, collate::all})
    if (w.all == to_string(how)) {
      c.how = how;
      return c;
    }
  c.how = collate::some;
  c.count = static_cast<unsigned>(std::stoul(w.all));  // checked with the command line
  return c;
}

client_options options_of(const wanted& w) {
  auto how = w.how;
  if (w.patience > 0) {
    how.silence_max = how.attempt_timeout = ms(w.patience);
    how.hedge_after = {};
  }
  return how;
}

int call_all(const wanted& w) {
  client c(options_of(w));
  bool good = true;
  const auto one = [&](const std::string& text) {
    read_options how{.how = fresh_of(w.fresh), .max_age = ms(w.max_age)};
    if (w.within > 0) how.within = ms(w.within);
    if (const auto all = collation_of(w)) {
      good &= show_members(c.call_all(text, *all).get(), w.verbose);
      return;
    }
    good &= show((w.read ? c.read(text, how) : c.call(text, {.within = ms(w.within)})).get(), w.verbose, w.read);
  };
  for (const auto& text : w.texts) one(text);
  if (w.texts.empty())
    for (std::string line; std::getline(std::cin, line);) one(line);
  return good ? well : refused;
}

void show(const watch_event& e) {
  switch (e.what) {
    case watch_event::kind::connected: std::cout << "watching at " << e.node; break;
    case watch_event::kind::refused: std::cerr << "refused: " << e.why << std::endl; return;
    case watch_event::kind::missed: std::cout << "missed " << e.missed << " events"; break;
    case watch_event::kind::delivery:
      std::cout << e.order << ' ' << e.position << " from " << e.sender << ": "
                << std::string_view(reinterpret_cast<const char*>(e.payload.data()), e.payload.size());
      break;
    case watch_event::kind::view:
      std::cout << "view " << e.view << ':';
      for (const auto& m : e.members) std::cout << ' ' << m;
      for (const auto& c : e.changes) std::cout << "; " << c;
      break;
  }
  std::cout << std::endl;
}

int watch_until_told(const wanted& w) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  std::atomic<bool> over{false};
  client c(w.how);
  c.watch([&over](const watch_event& e) {
    show(e);
    if (e.what != watch_event::kind::refused) return;
    over = true;
    ::kill(::getpid(), SIGTERM);  // which is waited for below
  });
  int signal = 0;
  sigwait(&ending, &signal);
  return over ? refused : well;
}

}  // namespace

void add_call(CLI::App& program, int& code) {
  auto w = std::make_shared<wanted>();
  auto& command = *program.add_subcommand("call", "Sends requests to a group, each executed exactly once, and prints the answers");
  add_places(command, w);
  command.add_option("text", w->texts, "the requests, one after the other; none: lines of standard input");
  command.add_option("--within", w->within, "seconds until a request expires; 0: tries until it is answered");
  command.add_flag("--read", w->read, "asks instead of changing: the texts are questions");
  command.add_option("--fresh", w->fresh, "how fresh a read is")->check(CLI::IsMember({"linearizable", "lease", "session", "bounded", "local"}));
  command.add_option("--max-age", w->max_age, "seconds, of bounded reads");
  command.add_option("--all", w->all, "every member answers, and so many are waited for: none, first, majority, all or a number")
    ->check(CLI::IsMember({"none", "first", "majority", "all"}) | CLI::Range(1u, 64u));
  command.add_option("--patience", w->patience, "seconds that one member is waited for before another one is asked")
    ->check(CLI::Range(0.001, 3600.0));
  command.add_flag("--verbose", w->verbose, "says who answered, and where in the total order");
  command.callback([w, &code] { code = call_all(*w); });
}

void add_watch(CLI::App& program, int& code) {
  auto w = std::make_shared<wanted>();
  auto& command = *program.add_subcommand("watch", "Prints a group's messages and views as they come");
  add_places(command, w);
  command.callback([w, &code] { code = watch_until_told(*w); });
}

}  // namespace cohort::tool
