// In each view the messages of one sender and lane come in the order in which they were sent, without gaps.
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {
namespace {

/// Streams that keep their own order: fifo and safe_fifo, causal and safe_causal, total; -1: none.
int stream_of(order how) {
  switch (how) {
    case order::unordered:
      return -1;
    case order::fifo:
    case order::safe_fifo:
      return 0;
    case order::causal:
    case order::safe_causal:
      return 1;
    case order::total:
      return 2;
  }
  return -1;
}

}  // namespace

std::string fifo_order(const history& h) {
  std::map<std::uint64_t, component_id> where;
  const auto all = stays(h);
  for (const auto& s : all)
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) where.emplace(d->message, s.view->id);
  // What a sender sent in a view, by stream: number of each message. Messages that nobody delivered are in no view.
  std::map<std::uint64_t, std::uint64_t> number;
  for (const auto& l : h.lives) {
    std::map<std::pair<component_id, int>, std::uint64_t> count;
    for (const auto* s : timeline(l))
      if (const auto at = where.find(s->message); s->kind == step_kind::submits && at != where.end())
        if (const int stream = stream_of(h.messages.at(s->message).how); stream >= 0)
          number[s->message] = ++count[{at->second, stream}];
  }
  for (const auto& s : all) {
    std::map<std::pair<process, int>, std::uint64_t> last;
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) {
        const auto m = h.messages.find(d->message);
        if (m == h.messages.end() || stream_of(m->second.how) < 0) continue;
        auto& seen = last[{m->second.sender, stream_of(m->second.how)}];
        if (number[d->message] != seen + 1)
          return name_of(s.of->who) + " delivers " + message_name(h, d->message) + ", number " +
                 std::to_string(number[d->message]) + " of its stream in " + name_of(s.view->id) + ", behind number " +
                 std::to_string(seen);
        ++seen;
      }
  }
  return {};
}

}  // namespace cohort::sim::partition
