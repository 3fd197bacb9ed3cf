#pragma once

#include <caf/actor_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/message_id.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cohort {

namespace detail {
class inbox;
struct inbox_item;
struct life_note;
}  // namespace detail

/// What happens to a message that finds its receiver's mailbox full. Requests that are not taken are answered with an error
/// for which `is_mailbox_full` holds, whatever the policy, so that nobody waits for nothing.
enum class overflow : std::uint8_t {
  /// A sender that is a `process` is taken at its word, but handles no further message until the mailbox is half empty, or
  /// for `mailbox_options::hold_limit`: so a slow receiver slows down those who feed it, and those who feed them. Other
  /// senders have no credit to be held: as `fail`.
  block,
  drop_oldest,  ///< the message that waits longest makes room
  drop_newest,  ///< the message that came is dropped
  /// The message that came is refused: its sender is sent the error, which ends it unless it has set an error handler.
  fail,
};

struct mailbox_options {
  /// Messages that wait, 1 up. Responses, exits, downs, time-outs and messages of high priority travel in a lane of their
  /// own, which is served first and does not count.
  std::size_t messages_max = 10'000;
  cohort::overflow overflow = overflow::block;
  std::chrono::milliseconds hold_limit{1000};  ///< `block`: a cycle of full mailboxes goes on at this pace, and is no deadlock
  /// A message on which so many lives of the child ended by a failure is put aside as a dead letter; until then it is given
  /// to the next life again. 1: never given twice. At least 1.
  unsigned poison_after = 3;
};

struct mailbox_figures {
  std::size_t waiting = 0;
  std::size_t waiting_most = 0;   ///< ever
  std::uint64_t refused = 0;      ///< by `fail` and `block`, dropped by `drop_newest`
  std::uint64_t dropped = 0;      ///< by `drop_oldest`
  std::uint64_t held_back = 0;    ///< how often a sender was
};

/// True for the error of a message that a full mailbox did not take.
bool is_mailbox_full(const caf::error& e);

/// Base of application actors with a bounded mailbox. Used like `caf::event_based_actor`: derive and override
/// `make_behavior`, or pass a function to `child_start::spawn`.
///
/// As the child of a supervisor (`<cohort/supervisor.hpp>`) it keeps address and mailbox over its restarts. The message on
/// which a life failed is given to the next one, as often as `mailbox_options::poison_after` allows: messages are handled at
/// least once around failures, so what must not happen twice needs `poison_after = 1` or a handler that recognises it. A
/// request is answered by the life that handles it. Handlers should take messages by value or constant reference: a message
/// that was changed in place is given again as it then is.
///
/// Runs on CAF's scheduler (not detached). A handler that blocks, blocks one of the node's application threads.
class process : public caf::event_based_actor {
public:
  explicit process(caf::actor_config& config, mailbox_options mailbox = {});
  ~process() override;

  /// The child is up once `make_behavior` has returned. After `starts_later`, called there, it is up when `is_up` is called,
  /// which has to be within its start limit.
  void starts_later() { starts_later_ = true; }
  void is_up();

  mailbox_figures mailbox_now() const;

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void launch(caf::execution_unit* unit, bool lazy, bool hide) override;
  resume_result resume(caf::execution_unit* unit, std::size_t messages_max) override;
  bool cleanup(caf::error&& why, caf::execution_unit* host) override;

  /// The message being handled becomes a dead letter with this cause, and this life goes on; who waits for an answer is the
  /// caller's business. `lives`: that it has ended. `kept` is called once the letter is on disk, by any thread. Nothing without a
  /// supervisor.
  void set_aside(unsigned lives, const std::string& cause, std::function<void()> kept = {});
  /// Should this life fail by the message being handled, it is put aside, since it has ended others: then `kept` is called as
  /// above. False if it is not.
  bool when_set_aside(std::function<void()> kept);
  /// The message being handled has ended so many lives of which this mailbox does not know: they count, too.
  void lives_lost(unsigned before);
  /// To its supervisor this child is up, but it does nothing, for this reason; queries and the log say so. Empty: it works again.
  void stays_down(const std::string& why);

  /// For the supervisor, before `launch`.
  void join(std::shared_ptr<detail::inbox> box, std::shared_ptr<detail::life_note> note);
  /// For mailboxes.
  const std::shared_ptr<detail::inbox>& box() const { return inbox_; }

private:
  caf::error died_of(std::exception_ptr& thrown);
  void put_back_skipped();

  std::shared_ptr<detail::inbox> inbox_;
  std::shared_ptr<detail::life_note> note_;  ///< null unless supervised
  std::unique_ptr<detail::inbox_item> now_;  ///< being handled, if its message is there
  std::optional<caf::message_id> held_answer_;  ///< of the request in `now_`, which the next life shall answer
  std::vector<detail::inbox_item> skipped_;
  bool starts_later_ = false;
  bool said_up_ = false;
};

/// A process from a function: `self` lives as long as the behaviour.
using process_function = std::function<caf::behavior(process* self)>;

}  // namespace cohort
