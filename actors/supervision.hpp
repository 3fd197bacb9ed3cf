#pragma once

// Inside actors/ only: includes CAF.
#include "actors/dead_letters.hpp"
#include "actors/death_book.hpp"
#include "actors/log.hpp"

#include "framework/supervision/supervisor.hpp"

#include <cohort/supervisor.hpp>

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace cohort::detail {

struct tree_spec;

/// One of: an actor, a supervisor, or something outside whose failures are reported with `outside_failed`.
struct child_spec {
  std::string name;
  child_options how;
  child_factory make;
  std::shared_ptr<const tree_spec> nested;
  std::function<void()> outside;  ///< starts it, on the supervisors' thread
  bool hidden = false;            ///< not in paths and queries
};

struct tree_spec {
  std::string name;
  supervisor_options how;
  std::vector<child_spec> children;
  std::set<std::string> names;  ///< of those added by the application
};

/// Mailbox and stable address of a child, which outlive its lives.
struct child_mail {
  std::shared_ptr<inbox> box;
  caf::actor front;
};

/// What may be asked from any thread.
struct supervision_board {
  struct row {
    child_status status;
    std::chrono::steady_clock::time_point since;
    child_mail mail;
    std::vector<void*> frames;
  };
  mutable std::mutex mutex;  // guards all below
  std::map<std::string, row> children;
  std::deque<supervision_event> events;
  supervision_counters counters;
};

/// What a supervision tells its node. Called on its thread.
struct supervision_calls {
  std::function<void(log_level, const std::string& line)> log;
  std::function<void(const std::string& why)> gave_up;  ///< the root did
  /// A life of the child at `path` is over; `cause` is empty if not by a failure.
  std::function<void(const std::string& path, const std::string& cause)> ended;
};

class supervision_host;

/// Work for the supervisors' thread.
struct host_call {
  std::function<void(supervision_host&)> run;
};
struct host_tick {};

/// All supervisors of a node, as one actor with a thread of its own: they must be heard when every application thread is
/// stuck in a handler. It carries out what the pure supervisors decide, and decides nothing.
class supervision_host final : public caf::event_based_actor {
public:
  supervision_host(caf::actor_config& config, std::shared_ptr<const tree_spec> root, std::uint64_t seed,
                   std::shared_ptr<supervision_board> board, std::shared_ptr<dead_letters> letters, supervision_calls calls);
  ~supervision_host() override;

  const char* name() const override { return "cohort.supervisors"; }

  // By `host_call`, on its thread.
  std::string start(const std::string& parent, child_spec what);
  bool remove(const std::string& path);
  bool start_again(const std::string& path);
  void outside_failed(const std::string& name, const std::string& why);
  void stop(std::function<void()> done);
  void up(std::uint64_t key, supervision::life number);
  /// Empty: not any more.
  void down(std::uint64_t key, supervision::life number, const std::string& why);
  void ended(std::uint64_t key, supervision::life number, const caf::error& why);
  void poisoned(const std::string& path, std::uint64_t letter, unsigned kills, const std::string& cause,
                const std::string& message);

protected:
  caf::behavior make_behavior() override;

private:
  struct branch;
  struct leaf;
  struct told;

  void begin(branch& b);
  leaf& add(branch& b, child_spec what);
  void settle(branch& b);
  void carry_out(branch& b, const supervision::start_child& what);
  void carry_out(branch& b, const supervision::stop_child& what);
  void carry_out(branch& b, const supervision::all_up&);
  void carry_out(branch& b, const supervision::finished& what);
  void tell(branch& b, const told& what);
  void notice(branch& b, const supervision::report& what);
  void start_actor(leaf& l, supervision::life number);
  void forget(leaf& l, bool for_good);
  void end_mail(const std::string& path);
  void failed_at_start(leaf& l, supervision::life number, const std::string& why);
  void show(leaf& l, const char* state);
  void tell(supervision_event e, log_level level, const std::string& line);
  branch* branch_at(const std::string& path);
  leaf* leaf_of(std::uint64_t key);
  leaf* leaf_at(const std::string& path);
  child_mail& mail_of(leaf& l);
  std::shared_ptr<dead_letters> letters() const { return letters_; }
  void arm();

  std::shared_ptr<const tree_spec> root_spec_;
  std::function<std::uint64_t()> random_;
  std::shared_ptr<supervision_board> board_;
  std::shared_ptr<dead_letters> letters_;
  supervision_calls calls_;
  std::unique_ptr<branch> root_;
  std::set<branch*> branches_;
  std::map<std::uint64_t, leaf*> leaves_;
  std::map<std::string, std::uint64_t> paths_;
  std::map<std::string, child_mail> mails_;
  std::vector<std::unique_ptr<branch>> gone_;  ///< may be in use further up the stack
  std::vector<std::unique_ptr<leaf>> gone_leaves_;
  std::uint64_t next_key_ = 1;
  supervision::instant armed_ = supervision::never;
  std::function<void()> stopped_;
};

/// Checks a name; throws `node_error`.
void check_child_name(const std::string& name);

/// Runs `work` on the host's thread and waits for its result; nothing if the host has ended.
template <class Result>
std::optional<Result> ask_host(const caf::actor& host, std::function<Result(supervision_host&)> work) {
  auto answer = std::make_shared<std::promise<Result>>();
  auto future = answer->get_future();
  cc::hand_over(host, host_call{[answer, work = std::move(work)](supervision_host& h) { answer->set_value(work(h)); }});
  answer.reset();
  try {
    return future.get();
  } catch (const std::future_error&) {
    return std::nullopt;  // it ended with the call in its mailbox
  }
}

}  // namespace cohort::detail

namespace cohort {

struct supervisors::impl {
  caf::actor_addr host;  ///< weak: who keeps a `supervisors` shall not keep the node's actors
  std::shared_ptr<detail::supervision_board> board;
  std::weak_ptr<detail::dead_letters> letters;
  std::weak_ptr<detail::death_book> deaths;
  std::function<caf::actor(const std::string&)> replicated;  ///< who takes inputs of a replicated process of this name; null: nobody
  std::function<std::string(const std::string&)> resilient_at;  ///< name of the resilient process that is this child; empty: none
};

}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::host_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::host_tick)
