#pragma once

#include "actors/port_state.hpp"

#include <deque>
#include <memory>
#include <optional>

namespace cohort::detail {

/// Own messages that were delivered, and whose answer a later delivery gives (`reply::defer`). Positions only grow, so it is
/// sorted, and what is settled is nearly always in front. The replica's thread.
class deferred_answers {
public:
  struct caller {
    std::shared_ptr<port_state> port;  ///< null: answered
    std::uint64_t tag = 0;
  };

  ~deferred_answers() { give_up(); }
  void add(std::uint64_t position, std::shared_ptr<port_state> port, std::uint64_t tag, protocol::instant deadline);
  /// Who waits for the answer to the message at `position`; nobody waits for it any more then.
  std::optional<caller> take(std::uint64_t position);
  /// Answers `unknown` to all whose deadline is not after `now`.
  void expire(protocol::instant now);
  /// Answers `unknown` to all.
  void give_up();
  bool empty() const { return waiting_.empty(); }

private:
  struct waiting {
    std::uint64_t position = 0;
    caller who;
    protocol::instant deadline{};
  };
  void drop_answered();

  std::deque<waiting> waiting_;
};

}  // namespace cohort::detail
