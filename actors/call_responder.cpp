#include "actors/call_responder.hpp"

#include "actors/large_answers.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cohort::detail {
namespace {

constexpr auto clocks_apart = std::chrono::seconds(10);  ///< that of a caller and ours, at most
constexpr std::size_t bundle_bytes = large_answers::part_bytes, bundle_items = 4096;
constexpr std::size_t deferred_max = 100'000;

wall_time wall_now() {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

template <class Use>
void each_message(const protocol::payload& what, Use use) {
  auto* at = what.blob.data();
  for (const auto size : what.sizes) {
    use(std::span(at, size));
    at += size;
  }
}

}  // namespace

void call_responder::view_installed(const protocol::view& v) {
  std::vector<member_id> left;
  for (const auto& n : v.notes)
    if (n.cause == protocol::view_cause::left || n.cause == protocol::view_cause::removed) left.push_back(n.id.member);
  roster_.clear();
  inc_ = 0;
  for (const auto& e : v.roster) {
    if (!e.active || e.witness) continue;
    roster_.push_back({e.id.member, e.inc});
    if (e.id.member == self_) inc_ = e.inc;
  }
  std::ranges::sort(roster_);
  desk_->view_installed(roster_, left);
}

void call_responder::executed(const delivery& message, order how, const rpc::call_message& call, reply& written) {
  if (!message.own && wall_now() > call.answered_until + clocks_apart) return;  // long over: this is a log being redone
  const caller to{message.sender, message.sender_incarnation, call.number, message.view, call.answered_until};
  const bool later = how == order::total && written.deferred();
  if (later)
    defer(message.position, to);
  else
    for (auto* handler : own_) handler->answer_call(message, how, written);
  if (message.own) {
    const rpc::place at{message.view, how == order::total ? message.position : 0, message.index, message.time,
                        message.sender_incarnation};
    std::optional<rpc::collator::answer> own;
    if (!later && inc_ != 0) own = own_answer(to, written.bytes());
    desk_->delivered(call.number, at, roster_, std::move(own));
  } else if (!later) {
    answer(to, written.bytes());
  }
}

void call_responder::defer(std::uint64_t position, const caller& to) {
  if (deferred_.size() >= deferred_max) {
    const auto now = wall_now();
    std::erase_if(deferred_, [&](const auto& d) { return now > d.second.until + clocks_apart; });
  }
  if (deferred_.size() < deferred_max) deferred_.emplace(position, to);
}

rpc::collator::answer call_responder::own_answer(const caller& c, std::span<const std::byte> bytes) const {
  const bool too_large = bytes.size() > answer_max_;
  if (too_large) bytes = {};
  return {{self_, inc_}, c.inc, c.view, too_large, {bytes.begin(), bytes.end()}};
}

void call_responder::settled(std::uint64_t position, std::span<const std::byte> bytes) {
  const auto found = deferred_.find(position);
  if (found == deferred_.end()) return;
  answer(found->second, bytes);
  deferred_.erase(found);
}

void call_responder::answer(const caller& c, std::span<const std::byte> bytes) {
  if (inc_ == 0) return;  // no member: its answer counts nowhere
  if (c.member == self_) return desk_->answered(c.number, own_answer(c, bytes));
  const bool too_large = bytes.size() > answer_max_;
  if (too_large) bytes = {};
  auto& b = out_[c.member];
  if (!b.items.empty() &&
      (b.to != c.inc || b.items.size() >= bundle_items || b.blob.size() + bytes.size() > bundle_bytes))
    send(c.member, b);
  b.to = c.inc;
  b.items.push_back({c.number, c.view, too_large});
  b.sizes.push_back(static_cast<std::uint32_t>(bytes.size()));
  b.blob.insert(b.blob.end(), bytes.begin(), bytes.end());
}

void call_responder::send(member_id to, bundle& b) {
  auto kept = std::make_shared<bundle>(std::exchange(b, {}));
  protocol::call_answers a;
  a.inc = inc_;
  a.to = kept->to;
  a.items = std::move(kept->items);
  a.what = {kept, kept->sizes, kept->blob};
  send_(to, std::move(a));
}

void call_responder::flush() {
  for (auto& [to, b] : out_)
    if (!b.items.empty()) send(to, b);
}

void call_responder::take(work& w) {
  for (auto& [from, answers] : w.answers) {
    std::size_t i = 0;
    each_message(answers.what, [&](std::span<const std::byte> bytes) {
      const auto& item = answers.items[i++];
      desk_->answered(item.number,
                      {{from, answers.inc}, answers.to, item.view, item.too_large, {bytes.begin(), bytes.end()}});
    });
  }
  for (auto& [from, over] : w.given_up)
    std::erase_if(deferred_, [&](const auto& d) {
      return d.second.member == from && d.second.inc == over.inc &&
             std::ranges::find(over.numbers, d.second.number) != over.numbers.end();
    });
}

bool holds_calls(const protocol::payload& what) {
  bool found = false;
  each_message(what, [&](std::span<const std::byte> m) { found = found || rpc::is_call(m); });
  return found;
}

void strip_calls(const protocol::payload& what, std::vector<std::uint32_t>& sizes, std::vector<std::byte>& blob) {
  sizes.clear();
  blob.clear();
  each_message(what, [&](std::span<const std::byte> m) {
    rpc::call_message call;
    if (rpc::is_call(m) && rpc::read_call(m, call)) m = call.payload;
    sizes.push_back(static_cast<std::uint32_t>(m.size()));
    blob.insert(blob.end(), m.begin(), m.end());
  });
}

}  // namespace cohort::detail
