#include "actors/call_traffic.hpp"

#include <algorithm>

namespace cohort::detail {

bool call_traffic::take(member_id from, protocol::instant now, protocol::message& what) {
  if (auto* a = std::get_if<protocol::call_answers>(&what)) {
    // What nobody waits for goes no further, however much of it a peer sends.
    if (!desk_ || std::ranges::none_of(a->items, [&](const auto& i) { return desk_->knows(i.number); })) return true;
    if (!large_answers::is_part(*a))
      answers_.emplace_back(from, std::move(*a));
    else if (auto all = large_.take(from, now, *a))
      answers_.emplace_back(from, std::move(*all));
    return true;
  }
  if (auto* o = std::get_if<protocol::calls_over>(&what)) {
    large_.given_up(from, *o);
    if (desk_) over_.emplace_back(from, std::move(*o));
    return true;
  }
  return false;
}

void call_traffic::sent(member_id to, protocol::instant now, const protocol::call_answers& what) {
  const auto bytes = what.what.bytes() + what.items.size() * sizeof(protocol::call_answers::item);
  kept_.push_back({to, now, bytes, what});
  kept_now_ += bytes;
  forget(now);
}

void call_traffic::forget(protocol::instant now) {
  while (!kept_.empty() && (kept_now_ > kept_bytes || kept_.front().at + kept_time < now)) {
    kept_now_ -= kept_.front().bytes;
    kept_.pop_front();
  }
}

void call_traffic::expire(protocol::instant now) {
  if (!desk_) return;
  desk_->expire(now);
  large_.forget(now, [this](std::uint64_t number) { return desk_->knows(number); });
}

void call_traffic::hand_over(work& w) {
  w.answers.swap(answers_);
  w.given_up.swap(over_);
}

void call_traffic::stop() {
  if (desk_) desk_->stop();
  answers_.clear();
  over_.clear();
}

}  // namespace cohort::detail
