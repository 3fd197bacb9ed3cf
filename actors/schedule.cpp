#include "actors/schedule.hpp"

namespace cohort::detail {

void schedule::put(std::size_t at, item what) {
  heap_[at] = what;
  places_[what.second] = at;
}

void schedule::sift_up(std::size_t at) {
  const auto what = heap_[at];
  while (at > 0 && what < heap_[(at - 1) / 2]) {
    put(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  put(at, what);
}

void schedule::sift_down(std::size_t at) {
  const auto what = heap_[at];
  for (;;) {
    auto child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
    if (!(heap_[child] < what)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, what);
}

void schedule::set(std::uint32_t group, protocol::instant when) {
  auto at = places_[group];
  if (when == protocol::never) {
    if (at == nowhere) return;
    places_[group] = nowhere;
    const auto last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    put(at, last);
    sift_up(at);
    sift_down(places_[last.second]);
    return;
  }
  if (at == nowhere) {
    at = heap_.size();
    heap_.push_back({when, group});
    places_[group] = at;
    return sift_up(at);
  }
  if (heap_[at].first == when) return;
  const bool later = when > heap_[at].first;
  heap_[at].first = when;
  later ? sift_down(at) : sift_up(at);
}

void schedule::touch_due(protocol::instant now) {
  while (!heap_.empty() && heap_.front().first <= now) {
    const auto group = heap_.front().second;
    touch(group);
    set(group, protocol::never);  // its pass sets the next one
  }
}

}  // namespace cohort::detail
