#include "actors/resilient_front.hpp"

#include "actors/node_impl.hpp"

#include <cohort/group.hpp>

#include <algorithm>
#include <utility>

namespace cohort::detail {

using resilience::outcome_kind;

resilient_front::resilient_front(caf::actor_config& config, std::shared_ptr<resilient_home::impl> home, std::string name,
                                 std::shared_ptr<const group_entry> group, std::function<group_port(port_wake)> open)
    : event_based_actor(config), home_(std::move(home)), name_(std::move(name)), group_(std::move(group)), open_(std::move(open)) {}

caf::behavior resilient_front::make_behavior() {
  // The port is owned by this actor, so the wake function may hold its address only: it must not keep it alive.
  port_ = open_([address = caf::actor_cast<caf::actor_addr>(this)] {
    if (const auto me = caf::actor_cast<caf::actor>(address)) cc::hand_over(me, port_ready{});
  });
  return {
    [this](const std::string& body) { return take({{}, 0, body}); },
    [this](const resilient_message& m) { return take({m.from, m.number, m.body, m.low}); },
    [this](released_effects& r) { released(r); },
    [this](port_ready) {
      while (port_.take(done_))
        for (std::size_t i = 0; i < done_.size(); ++i) completed(done_[i]);
    },
    [this](const replayed_input& r) {
      if (const auto in = input_in(r.what)) replay(*in);
    },
    [this](acks_gathered) { submit_acks(); },
    [this](resend_time) { look(); },
  };
}

// ---- in -------------------------------------------------------------------------------------------------------------

caf::response_promise resilient_front::take(const resilience::message& in) {
  const auto tag = next_tag_++;
  const bool waits = current_mailbox_element()->mid.is_request();
  // The promise takes the sender away.
  const bool is_receipt = home_->is_sender(std::string(in.from), current_sender());
  auto promise = make_response_promise();
  if (waits) asked_.emplace(tag, asked{promise, is_receipt ? in.number : 0});
  const auto bytes = resilience::input_request(in);
  port_.submit(std::as_bytes(std::span(bytes)), tag);
  port_.flush();
  return promise;
}

void resilient_front::replay(const resilience::message& in) {
  for (const auto& bytes : {resilience::pardon_request(in), resilience::replay_request(in)})
    port_.submit(std::as_bytes(std::span(bytes)), next_tag_++);
  port_.flush();
}

void resilient_front::completed(const completion& c) {
  if (const auto who = asked_.find(c.tag); who != asked_.end()) {
    answer(who->second, c);
    asked_.erase(who);
  } else if (const auto acks = acks_under_way_.find(c.tag); acks != acks_under_way_.end()) {
    if (c.outcome != outcome::replied)  // it will be told again
      for (const auto& a : acks->second) acks_[a.to] = std::max(acks_[a.to], a.number);
    acks_under_way_.erase(acks);
    arm();
  }
}

void resilient_front::answer(asked& who, const completion& c) {
  if (c.outcome != outcome::replied) return who.promise.deliver(make_error(c.outcome));
  const auto a = resilience::read_answer(c.reply);
  const auto refuse = [&](const std::string& why) {
    who.promise.deliver(caf::make_error(caf::sec::runtime_error, "resilient process " + name_ + ": " + why));
  };
  switch (a.what) {
    case outcome_kind::replied:
      if (who.receipt != 0) return who.promise.deliver(who.receipt);
      return who.promise.deliver(std::string(a.body));
    case outcome_kind::outdated:
      if (who.receipt != 0) return who.promise.deliver(who.receipt);
      return refuse("applied before, and the answer is not kept behind newer ones");
    case outcome_kind::gap: return refuse("not taken, a message before it is missing");
    case outcome_kind::full: return refuse("not taken, too much waits; try again later");
    case outcome_kind::failed: return refuse("not taken, it threw: " + std::string(a.body));
    case outcome_kind::deadly: return refuse("not taken, " + std::string(a.body));
    case outcome_kind::refused:
      home_->node->internals().deaths()->count_refused();
      return who.promise.deliver(put_aside_error("resilient process " + name_ + ": not taken, " + std::string(a.body)));
    case outcome_kind::malformed: return refuse("not taken: a name has up to 64 bytes, and a number begins with 1");
  }
}

// ---- out ------------------------------------------------------------------------------------------------------------

void resilient_front::released(released_effects& r) {
  if (r.activation < activation_) return;
  if (r.activation != activation_) forget();
  activation_ = r.activation;
  for (auto& e : r.effects) lanes_[e.to].messages.push_back({std::move(e)});
  for (auto& [to, lane] : lanes_) give(to, lane);
  arm();
}

/// What has not been given to the receiver yet, in order.
void resilient_front::give(const std::string& to, lane& of) {
  if (of.given == of.messages.size()) return;
  const auto receiver = home_->find(to);
  if (!receiver) return;  // nobody of that name yet: later
  for (; of.given < of.messages.size(); ++of.given) {
    const auto& [e, received] = of.messages[of.given];
    if (received) continue;
    // Refused for good, those before it are answered, too, though the group may not know of that yet.
    const auto low = std::max(e.low, of.messages.front().what.number);
    request(receiver, resilient_request_limit, resilient_message{name_, e.number, e.body, low, activation_})
      .then(
        [this, to, activation = activation_](std::uint64_t number) {
          if (activation == activation_) acknowledged(to, number);
        },
        [this, to, number = e.number, activation = activation_](const caf::error& why) {
          if (activation == activation_ && is_put_aside(why)) undelivered(to, number, why);
        });  // else it is sent again when its time has come
  }
}

void resilient_front::acknowledged(const std::string& to, std::uint64_t number) {
  auto& lane = lanes_[to];
  auto& messages = lane.messages;
  if (messages.empty() || number < messages.front().what.number || number - messages.front().what.number >= lane.given) return;
  messages[number - messages.front().what.number].received = true;
  if (!messages.front().received) return;
  for (; !messages.empty() && messages.front().received; messages.pop_front(), --lane.given) acks_[to] = messages.front().what.number;
  // Receipts that come together travel together.
  if (!std::exchange(gathering_, true)) cc::send(this, caf::actor(this), acks_gathered{});
}

/// It is as if the receiver had it: what is behind it can be taken now (R10).
void resilient_front::undelivered(const std::string& to, std::uint64_t number, const caf::error& why) {
  auto& lane = lanes_[to];
  const auto first = lane.messages.empty() ? 0 : lane.messages.front().what.number;
  if (number < first || number - first >= lane.given || lane.messages[number - first].received) return;  // it was sent twice
  home_->undelivered(name_, to, number, why);
  acknowledged(to, number);
  lane.given = 0;
  give(to, lane);
}

void resilient_front::submit_acks() {
  gathering_ = false;
  if (acks_.empty()) return;
  std::vector<resilience::acknowledgement> list;
  for (const auto& [to, number] : std::exchange(acks_, {})) list.push_back({to, number});
  const auto tag = next_tag_++;
  const auto bytes = resilience::acks_request(activation_, list);
  port_.submit(std::as_bytes(std::span(bytes)), tag);
  port_.flush();
  acks_under_way_.emplace(tag, std::move(list));
}

/// Sends again to those who have taken nothing since the last look.
void resilient_front::look() {
  timer_ = false;
  if (!in_office()) return forget();
  for (auto& [to, lane] : lanes_) {
    if (lane.messages.empty()) continue;
    if (std::exchange(lane.oldest, lane.messages.front().what.number) == lane.messages.front().what.number) lane.given = 0;
    give(to, lane);
  }
  if (!gathering_) submit_acks();
  arm();
}

void resilient_front::arm() {
  if (timer_) return;
  if (acks_.empty() && std::ranges::all_of(lanes_, [](const auto& l) { return l.second.messages.empty(); })) return;
  timer_ = true;
  cc::delayed_send(this, caf::actor(this), resilient_resend_every, resend_time{});
}

/// Another activation sends from the agreed state what is not acknowledged there.
void resilient_front::forget() {
  lanes_.clear();
  acks_.clear();
  acks_under_way_.clear();
}

bool resilient_front::in_office() const {
  const auto now = group_->reported();
  return now.executes && resilience::activation_of(now.office) == activation_;
}

}  // namespace cohort::detail
