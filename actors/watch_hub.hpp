#pragma once

#include "actors/known_nodes.hpp"

#include "transport/gateway/service.hpp"

#include <cohort/listener.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cohort::detail {

/// What happened in a group lately, for clients that watch it: kept once for all of them, up to a number of bytes. Costs the
/// replica one load of an atomic for each batch while nobody watches. A watcher that is slower than the ring misses events, and is
/// told how many; nobody waits for it. Any thread.
class watch_hub : public std::enable_shared_from_this<watch_hub> {
public:
  static constexpr std::size_t bytes_max = 16u << 20;

  watch_hub(std::shared_ptr<const known_nodes> nodes, bool sessions) : nodes_(std::move(nodes)), sessions_(sessions) {}

  void delivered(const delivery_batch& batch);
  void view_changed(const group_view& view);
  void gap(const delivery_gap& missed);

  /// `wake` is called when there is something new; once until the next `take` of anybody.
  void on_news(std::function<void()> wake);
  std::unique_ptr<transport::gateway::subscription> subscribe();

private:
  class ring_subscription;
  void push(transport::gateway::event_ptr e, std::size_t bytes);
  void tell();

  const std::shared_ptr<const known_nodes> nodes_;
  const bool sessions_;
  std::atomic<unsigned> watchers_{0};

  std::mutex mutex_;  // guards all below
  std::deque<std::pair<transport::gateway::event_ptr, std::size_t>> ring_;
  std::uint64_t first_ = 0;  ///< number of the ring's first event
  std::size_t bytes_ = 0;
  std::function<void()> wake_;
};

/// Tells the hub, and `inside` if there is one, of everything.
std::unique_ptr<listener> watched(std::shared_ptr<watch_hub> hub, std::unique_ptr<listener> inside);

}  // namespace cohort::detail
