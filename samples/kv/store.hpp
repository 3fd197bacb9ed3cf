#pragma once

#include "samples/kv/keyspace.hpp"
#include "samples/kv/message.hpp"

#include <cohort/state_machine.hpp>

#include <functional>

namespace kv {

/// The replicated key-value service: Redis' strings, keys and hashes as a deterministic state machine.
///
/// A message is what `encode_command`, `encode_transaction` or `encode_clock` made (message.hpp); its reply is RESP3
/// with
/// `*-1` for Redis' null array, which `render` (resp_render.hpp) turns into what a connection's protocol asks for.
/// Bytes that are no such message are answered with an error and change nothing: the same one at every replica.
///
/// Time is `delivery::time` alone. A key whose time has passed is gone for every command, even before its memory is
/// given back: that happens in small steps with the messages applied later, and by clock messages.
class store final : public cohort::state_machine {
public:
  /// `on_next_due`, if given, is told after a message was applied whenever the moment at which the next key expires has
  /// changed (milliseconds since the Unix epoch; `never_due` = none). It is called on the thread of `apply` or
  /// `restore` and only watches: nothing in the state depends on it.
  explicit store(std::function<void(std::int64_t)> on_next_due = {});

  void apply(const cohort::delivery& d, cohort::reply& answer) override;

  /// `question` is a row of commands that only read (message.hpp). The answer is for `decode_answers`.
  void query(std::span<const std::byte> question, cohort::reply& answer) const override;

  void checkpoint(cohort::sink& out) const override;
  void restore(cohort::source& in) override;

  /// The same at replicas that applied the same messages, also across checkpoints; 0 for the empty store.
  std::uint64_t digest() const { return keys_.digest(); }
  std::optional<std::uint64_t> state_digest() const override { return keys_.digest(); }
  /// Keys that are not expired at agreed time.
  std::uint64_t size() const { return keys_.live_count(); }
  const keyspace& keys() const { return keys_; }

private:
  void report_due();

  keyspace keys_;
  std::string reply_;                    ///< reused from message to message
  std::vector<std::string_view> args_;   ///< likewise
  std::function<void(std::int64_t)> on_next_due_;
  std::int64_t reported_due_ = never_due;
};

}  // namespace kv
