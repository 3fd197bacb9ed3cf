#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"
#include "actors/death_book.hpp"
#include "framework/resilience/engine.hpp"

#include <cohort/resilient_process.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>

namespace cohort {

struct resilient_home::impl {
  explicit impl(std::shared_ptr<stable_store> s) : opened(std::move(s)) {}
  explicit impl(cohort::node& n) : node(&n) {}
  cohort::node* const node = nullptr;  ///< null: only processes of `opened`
  const std::shared_ptr<stable_store> opened;

  /// What a life that begins is told of the one before.
  struct succession {
    bool alone = false;  ///< nobody else writes for this process
    std::string cause;   ///< of its end; empty: there was none here
    std::chrono::nanoseconds age{0};
    std::uint64_t restarts = 0;
  };
  succession begin_life(const std::string& name);
  void end_life(const std::string& name, std::string cause);
  /// Tells log and queries.
  void restarted(const resilient_status& now, const succession& after);

  void stays_down(const resilient_status& now);
  /// Of a replicated one, at the node that executes it.
  void put_aside(const std::string& name, const resilience::message& in, bool ended, unsigned times, const std::string& why);
  /// Its receiver has refused this message for good.
  void undelivered(const std::string& name, const std::string& to, std::uint64_t number, const caf::error& why);
  void activation(const std::string& name, fencing_token number, const resilience::process_state& state, bool begins);

  /// The storage takes nothing just now. Told by the log, once for all that wait.
  void no_room(const std::string& name, const std::string& why);

  /// Throws `node_error`.
  std::shared_ptr<stable_store> storage();
  caf::actor find(const std::string& name);
  bool is_sender(const std::string& name, const caf::strong_actor_ptr& who);
  void enter(const std::string& name, caf::actor_addr who);
  /// The child at that path is this process.
  void lives_at(const std::string& path, const std::string& name);
  /// Empty: none of this home's.
  std::string name_at(const std::string& path);
  std::vector<resilient_status> all_status();
  std::string redo(const std::string& name);

  std::set<std::string> replicated;  ///< complete when the node starts
  struct succession_line {
    bool running = false;
    std::string cause;
    std::chrono::steady_clock::time_point began;
    std::chrono::nanoseconds age{0};
    std::uint64_t lives = 0;
  };
  std::mutex mutex;  // guards all below
  std::map<std::string, caf::actor_addr> receivers;
  std::map<std::string, resilient_status> status;
  std::map<std::string, succession_line> lines;
  std::map<std::string, std::uint64_t> undelivered_counts;
  std::map<std::string, std::string> names;  ///< by path
  std::deque<resilient_restart> restarts;
  std::chrono::steady_clock::time_point no_room_told{};
};

namespace detail {

inline resilience::memory_limits memory_of(const resilient_options& how) {
  return {.outbox_max = how.outbox_max, .senders_max = how.senders_max, .senders_age = how.senders_age};
}

inline constexpr auto resilient_resend_every = std::chrono::milliseconds(500);
inline constexpr auto resilient_no_room_told_every = std::chrono::seconds(10);
inline constexpr auto resilient_room_patience = std::chrono::milliseconds(1000);
inline constexpr auto resilient_request_limit = std::chrono::seconds(30);

/// One commit: filled in by the storage's thread, waited for by a life that ends.
struct commit_flight {
  std::mutex mutex;
  std::condition_variable landed;
  std::optional<stable_result> result;
  stable_batch batch;      ///< kept: it is written again where there was no room for it
  bool grounded = false;   ///< there was none, and it waits to be; the life's thread
};
using flight_ptr = std::shared_ptr<commit_flight>;

struct commit_landed {
  flight_ptr flight;
};
struct commit_again {
  flight_ptr flight;
};
struct resend_time {};
struct redo_again {};

/// To a replicated one: executed once more, whatever it did, also where its sender has gone on without it.
struct replayed_input {
  caf::message what;
};

/// The message is an input of this process that somebody wants to be executed once more, whatever it did. True if it ended the whole
/// operating system's process.
bool pardon(death_book& deaths, const std::string& process, const caf::message& input);
/// `is_put_aside`.
caf::error put_aside_error(const std::string& what);
/// Views into the message; nothing if it is no input.
std::optional<resilience::message> input_in(const caf::message& what);

/// A life of a resilient process as an actor.
class resilient_actor final : public process {
public:
  resilient_actor(caf::actor_config& config, std::shared_ptr<resilient_home::impl> home, std::string name,
                  resilient_factory make, resilient_options how);

private:
  /// Why an input is not taken; empty: it is given another chance.
  struct refusal {
    std::string why;
    bool for_good = false;
  };

  caf::behavior make_behavior() override;
  caf::behavior come_back();
  caf::behavior stay_down(const std::string& why);
  void on_exit() override;
  bool cleanup(caf::error&& why, caf::execution_unit* host) override;
  /// Invalid if the input was not taken, or waits for its answer nowhere. `letter`: replayed.
  caf::response_promise take(const resilience::message& in, std::uint64_t letter = 0);
  resilience::verdict execute(const resilience::message& in, std::uint64_t ticket, std::uint64_t identity);
  /// It has killed too often.
  refusal refused(const resilience::message& in, std::uint64_t identity);
  void condemn_if_last_chance(const resilience::message& in, std::uint64_t identity, const std::string& why);
  void undelivered(const std::string& to, std::uint64_t number, const caf::error& why);
  void pump();
  void take_off();
  bool is_grounded(const stable_result& r);
  void landed(const stable_result& r);
  void release();
  void send(const resilience::effect& e);
  void resend();
  void finish() noexcept;
  void tell();
  wall_time now() const;

  const std::shared_ptr<resilient_home::impl> home_;
  const std::string name_;
  const resilient_options how_;
  const std::shared_ptr<death_book> deaths_;  ///< null: of no node
  resilience::engine engine_;
  resilient_home::impl::succession before_;
  resilient_status status_;
  resilient_status* shown_ = nullptr;  ///< of the home, under its mutex
  flight_ptr flight_;  ///< null: no commit is under way
  std::uint64_t tickets_ = 0;
  std::unordered_map<std::uint64_t, caf::response_promise> promises_;
  std::unordered_map<std::uint64_t, std::uint64_t> receipts_;  ///< by ticket: the number to answer
  std::unordered_map<std::uint64_t, std::uint64_t> letters_;   ///< by ticket: the dead letter that is none any more
  std::map<std::string, std::uint64_t> oldest_;                ///< unacknowledged at the last look, by receiver
  bool timer_ = false, recovered_ = false;
};

}  // namespace detail
}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::commit_landed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::commit_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::resend_time)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::redo_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::replayed_input)
