#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"

#include <cohort/process.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace cohort::detail {

/// A message, and how many lives it has cost.
struct inbox_item {
  caf::mailbox_element_ptr what;
  unsigned kills = 0;
  bool system = false;  ///< of the priority lane
};

/// Ends the holding back of a sender whose time is over, unless it was let go meanwhile.
struct hold_over {
  std::uint64_t hold = 0;
};

/// How a life went, told by the process itself. Guarded by `mutex`.
struct life_note {
  std::mutex mutex;
  std::function<void()> up;  ///< called once by the process, on its thread
  std::string cause;         ///< of a failure: what was thrown
  std::string message;       ///< that was being handled
  std::vector<void*> frames;  ///< of the throw, innermost first
  std::function<void(const std::string& why)> down;  ///< it stays down; empty: it does not any more
  std::function<void()> kept;  ///< called once the message it died of is kept as a dead letter, if it is put aside
};

/// The mailbox of a process. Under a supervisor it outlives the process and is taken over by the next life. Two lanes: one
/// for the system's messages, which nothing bounds but their cause, and a bounded one for the application's.
/// Any thread; one short mutex, as CAF's own mailbox has no bound and no place to put one.
class inbox : public std::enable_shared_from_this<inbox> {
public:
  /// Takes a message that has killed too often.
  using poison_sink = std::function<void(inbox_item poison, const life_note& how)>;

  explicit inbox(const mailbox_options& options) : options_(options) {}

  /// The messages that remain when a life ends are kept for the next.
  void keep(std::string owner_name, poison_sink poison);
  const mailbox_options& options() const { return options_; }

  /// `to`: the life it was sent to, null if sent to whoever lives.
  void push(caf::mailbox_element_ptr what, process* to);
  void attach(process* owner);
  /// The owner has ended. `handled` is what it died of, if of a message at all; `skipped` what it had put off. What is returned is to be
  /// called once others know of the end: it puts the message aside, for which the next life need not wait. May be empty.
  [[nodiscard]] std::function<void()> leave(process* owner, inbox_item* handled, std::vector<inbox_item> skipped, const caf::error& why, const life_note* note);
  /// A message that the owner does not want to handle, and that had ended so many lives.
  void set_aside(caf::message what, unsigned lives, const life_note& how);
  /// The next message into `item`. False if there is none: then the owner is no longer scheduled. While it is held back, only
  /// of the system's lane.
  bool take(process* owner, inbox_item& item);
  /// Whether the owner has to be resumed again.
  bool goes_on(process* owner);
  void put_back(std::vector<inbox_item> skipped);
  /// Would `item`, failing once more, be put aside?
  bool is_last_chance(const inbox_item& item) const { return item.kills + 1 >= options_.poison_after; }
  bool is_kept() const;
  /// Nobody will live here for now: what waits is answered with `why`, and what comes before the next `attach` is, too.
  void vacate(const caf::error& why);
  /// For good.
  void close(const caf::error& why);
  /// The hold of that number has lasted long enough.
  void release_all(std::uint64_t hold);
  mailbox_figures figures() const;

private:
  /// By a full mailbox. False if that does already; `number` counts the times at which none did.
  bool hold(const inbox* by, std::uint64_t& number);
  void release(const inbox* by);
  void hold_back(const caf::strong_actor_ptr& sender, inbox& box);
  void wake(std::unique_lock<std::mutex>& guard);
  caf::error full() const;

  const mailbox_options options_;
  mutable std::mutex mutex_;  // guards all below
  std::string owner_name_;
  poison_sink poison_;
  process* owner_ = nullptr;
  bool scheduled_ = false;  ///< the owner runs, or is about to
  bool kept_ = false;
  bool closed_ = false;
  bool vacant_ = false;
  std::set<const inbox*> held_by_;  ///< full mailboxes
  std::uint64_t holds_ = 0;
  std::deque<inbox_item> system_, application_;
  std::vector<std::weak_ptr<inbox>> waiting_;  ///< senders held back by this one
  mailbox_figures figures_;
};

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::hold_over)
