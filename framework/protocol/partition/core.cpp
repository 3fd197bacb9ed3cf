// Inputs, outputs and timers of a member of a partitionable group.
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {

core::impl::impl(const core_options& o, const core_start& s)
    : options(o),
      start(s),
      self{s.self.member, s.state ? s.state->newest().inc : s.inc},
      founder(s.state ? s.state->newest().founder : s.founder) {
  if (start.state) {  // gone through with the first tick: what is delivered again is judged by a clock (DL2)
    view = start.state->newest().view;
    adopt(view->rules);
    return;
  }
  // A process begins alone: that others are there is what views find out (P3).
  auto alone = std::make_shared<component_view>();
  alone->id = {1, self.member, self.inc};
  alone->rules = {options, {}, options.message_bytes_max};
  alone->members = {self};
  alone->sides.push_back({{alone->id, 0}, {self}, {}, {}, true});
  alone->primary = founder && start.founders == std::vector<member_id>{self.member};
  promised = alone->id.counter;
  enter(std::move(alone));
  happened(event_kind::founded);
  speak_up();
}

/// Nothing is said before it is on disk who says it, and to which attempts this process is lost (P6).
void core::impl::speak_up() {
  write_memory(view);
  identity_at = last_position;
}

void core::impl::tick(instant mono, wall_time w) {
  now = std::max(now, mono);
  wall = w;
  if (std::exchange(ticked, true)) return;
  wanted_since = now;
  next_beat = now;
  if (!start.state) return;
  resume(*start.state);
  speak_up();
}

void core::impl::happened(event_kind kind, bool flag, member_id who, std::uint64_t number) {
  results.events.push_back({kind, flag, who, number, 0, absence::none});
}

void core::impl::send(message&& what, std::span<const member_id> to, journal_position needs) {
  if (to.empty()) return;
  const auto first = static_cast<std::uint32_t>(results.targets.size());
  results.targets.insert(results.targets.end(), to.begin(), to.end());
  results.sends.push_back({first, static_cast<std::uint32_t>(to.size()), needs, std::move(what)});
}

void core::impl::send(const control_body& what, std::span<const member_id> to) {
  if (!to.empty()) send(message(component_control{encode(control{self.inc, what})}), to, identity_at);
}

void core::impl::promise(const control_body& what, std::span<const member_id> to) {
  const auto needs = mistaken(mistake::promises_unwritten) ? identity_at : last_position;
  if (!to.empty()) send(message(component_control{encode(control{self.inc, what})}), to, needs);
}

std::vector<member_id> core::impl::others() const {
  std::vector<member_id> all;
  for (const auto& m : view->members)
    if (m != self) all.push_back(m.member);
  return all;
}

void core::impl::link_up(voter_id who) {
  if (who.member == self.member) return;
  auto& p = peers[who.member];
  if (p.identity != who.identity) p = {};  // another process: what was known is of one that is gone
  p.identity = who.identity;
  p.up = true;
  next_beat = now;
}

void core::impl::link_down(member_id who, bool reset) {
  const auto at = peers.find(who);
  if (at == peers.end()) return;
  at->second.up = false;
  if (reset) at->second.heard = now - options.fail_after;
}

void core::impl::receive(voter_id from, message&& what) {
  const auto at = peers.find(from.member);
  if (at == peers.end() || at->second.identity != from.identity) return;
  auto& p = at->second;
  if (auto* c = std::get_if<component_control>(&what)) {
    control said;
    if (decode(c->bytes, said)) receive_control(p, std::move(said));
    return;
  }
  p.heard = now;
  if (auto* b = std::get_if<batch>(&what)) receive_batch(from, std::move(*b));
  if (auto* wanted_batches = std::get_if<pull>(&what)) receive_pull(from.member, *wanted_batches);
}

void core::impl::receive_control(peer& p, control&& what) {
  if (p.who.inc == 0) {
    for (const auto& [member, known] : peers)
      if (&known == &p) p.who = {member, what.inc};
  }
  if (what.inc == 0 || p.who.inc != what.inc) return;
  p.heard = now;
  const auto who = p.who;
  std::visit(
      [&](auto& body) {
        using body_type = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<body_type, progress>) {
          receive_progress(who, body);
        } else if constexpr (std::is_same_v<body_type, standing>) {
          p.said = std::move(body);
          receive_progress(who, p.said.now);
        } else if constexpr (std::is_same_v<body_type, gather>) {
          receive_gather(p, body);
        } else if constexpr (std::is_same_v<body_type, account>) {
          receive_account(who, std::move(body));
        } else if constexpr (std::is_same_v<body_type, proposal>) {
          receive_proposal(p, body);
        } else if constexpr (std::is_same_v<body_type, prepared>) {
          receive_prepared(who, body);
        } else if constexpr (std::is_same_v<body_type, install>) {
          may_be_installed(body.attempt);
        } else if constexpr (std::is_same_v<body_type, offer>) {
          receive_offer(body);
        } else {
          receive_wanted(who.member, body);
        }
      },
      what.body);
}

void core::impl::drain() {
  settle_requests();
  look_around();
  if (entering != 0) install_view();
  prepare();
  go_on_with_attempt();
  if (merge_unwritten && now >= checkpoint_not_before) {
    merge_unwritten = false;
    take_checkpoint(true);
  }
  pull_missing();
  ask_for_offers();
  while (may_deliver()) {
    const auto before = open_bytes;
    seal();
    find_stable();
    checkpoint_if_due();
    if (!checkpoint_waits()) deliver({&stable, false, false});
    if (open_bytes == before) break;
  }
  answer_reads();
  trim();
  tell_open_window();
  if (now >= next_beat) beat();
  if (std::exchange(progress_due, false) && !wedged()) send(own_progress(), others());
}

instant core::impl::next_deadline() const {
  auto next = next_beat;
  if (leading) next = std::min(next, leading->until);
  if (checkpoint_not_before > now) next = std::min(next, checkpoint_not_before);
  if (const auto steady = wanted_since + steady_for(); steady > now) next = std::min(next, steady);
  return next;
}

core::core(const core_options& options, const core_start& start) : impl_(std::make_unique<impl>(options, start)) {}
core::~core() = default;
core::core(core&&) noexcept = default;

void core::tick(instant mono, wall_time wall) { impl_->tick(mono, wall); }
submit_status core::submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) {
  return impl_->submit(messages, how, deadline);
}
submit_status core::submit_part(std::span<const std::byte> part, bool more, order how, wall_time deadline) {
  return impl_->submit_part(part, more, how, deadline);
}
void core::give_up_parts(order how) { impl_->large[static_cast<std::size_t>(how)] = {}; }
void core::receive(voter_id from, message&& what) { impl_->receive(from, std::move(what)); }
const char* core::refuses(change_kind kind, const view_options& wanted) const { return impl_->refuses(kind, wanted); }
std::uint64_t core::request(const view_options& wanted) { return impl_->request(wanted); }
void core::link_up(voter_id peer, bool) { impl_->link_up(peer); }
void core::link_down(member_id peer, bool reset) { impl_->link_down(peer, reset); }
void core::read(std::uint64_t tag) {
  // What is delivered anywhere in the component is held here: all members must hold it first (P2).
  impl_->reads.emplace_back(tag, impl_->clock);
}
void core::offer_ready(component_id view, std::vector<std::byte> state) { impl_->offer_ready(view, std::move(state)); }
void core::persisted(journal_position up_to) { impl_->persisted(up_to); }
void core::checkpoint_stored(log_index number, std::uint32_t) { impl_->checkpoint_stored(number); }
void core::checkpoint_failed(log_index number) { impl_->checkpoint_failed(number); }
void core::want_checkpoint() { impl_->checkpoint_wanted = impl_->options.durable; }
void core::drain() { impl_->drain(); }
outputs& core::out() { return impl_->results; }
void core::drained() {
  auto& o = impl_->results;
  o.persists.clear();
  o.targets.clear();
  o.sends.clear();
  o.deliveries.clear();
  o.events.clear();
}
instant core::next_deadline() const { return impl_->next_deadline(); }

const view_options& core::rules() const { return impl_->options; }

core_status core::status() const {
  core_status s;
  s.self = impl_->self;
  s.in_force = impl_->view;
  s.leader = impl_->leader;
  s.wedged = impl_->wedged();
  s.merging = !impl_->open_for_messages;
  s.delivered = impl_->delivered;
  for (const auto& l : impl_->lanes) s.payload_bytes += l->bytes();
  s.part_bytes = impl_->part_bytes_under_way();
  s.checkpoint = impl_->stored_checkpoint;
  s.since_checkpoint = impl_->since_checkpoint > 0;
  return s;
}

}  // namespace cohort::protocol::partition
