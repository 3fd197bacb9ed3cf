#include "framework/simulation/driver.hpp"

#include "framework/simulation/streams.hpp"
#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <utility>

namespace cohort::sim {

using namespace protocol;

namespace {

constexpr std::size_t large_waiting_max = 3;

pulse_options pulses_for(const core_options& o) {
  pulse_options p;
  p.interval = o.heartbeat;
  p.silence_max = o.election_min / 2;
  p.echo_age_max = o.election_min;
  return p;
}

}  // namespace

driver::driver(surroundings& world, const workload& app, const life& who, disk& storage, const core_options& options,
               core_start start, const disk::found& found, std::size_t chunk_bytes, bool quiet)
    : world_(world), app_(app), who_(who), disk_(storage), chunk_bytes_(chunk_bytes), core_(options, start), quiet_(quiet),
      pulses_(pulses_for(options), 1, *this), peers_(start.founders.size()), part_bytes_(options.part_bytes),
      assembler_(options.message_bytes_max), machine_(app.make()) {
  if (const auto begun = core_.status().in_force) assembler_.bound_by(*begun);
  if (found.checkpoint && !inspector::of(core_).is_witness()) {
    restore(*found.checkpoint, storage.newest_checkpoint()->chunks);
    position_ = found.checkpoint->delivered;
  }
  persisted_ = found.state ? found.state->last_position : found.last;
}

void driver::restore(const mark& at, const std::vector<payload>& chunks) {
  if (at.in_force) assembler_.bound_by(*at.in_force);
  chunk_source in(chunks);
  if (at.with_parts) assembler_.restore(in);
  machine_->restore(in);
}

void driver::pass(instant mono, wall_time wall) {
  ++passes_;
  now_ = std::max(now_, mono);
  bool called_for = inputs_.empty() || time_wanted_ || next_deadline() <= now_;
  core_.tick(mono, wall);
  if (time_wanted_) core_.want_time(*std::exchange(time_wanted_, {}));
  tell_contacts();
  if (quiet_) pulses_.check(now_);
  while (!inputs_.empty()) {
    auto what = std::move(inputs_.front());
    inputs_.pop_front();
    called_for |= feed(what);
  }
  called_for |= std::ranges::any_of(large_, [](const auto& queue) { return !queue.empty(); });
  if (!called_for) return;  // as in production: acknowledgements that change nothing wait for the next pass
  submit_parts();
  tell_contacts();
  core_.drain();
  auto& out = core_.out();
  who_.durable = inspector::of(core_).secured();
  for (auto& op : out.persists) {
    for (auto& c : world_.watchers()) c->persisted(who_, op);
    disk_.append(op);
  }
  if (!out.persists.empty()) world_.disk_has_work(who_);
  release_sends();
  for (auto& s : out.sends) {
    std::vector<member_id> to(out.targets.begin() + s.first_target, out.targets.begin() + s.first_target + s.target_count);
    if (s.needs > persisted_)
      held_.push_back({s.needs, std::move(to), std::move(s.what)});
    else
      send(to, s.what);
  }
  for (auto& d : out.deliveries) deliver(d);
  if (const auto due = wish_.news(*machine_)) time_wanted_ = due;
  for (const auto& e : out.events) {
    if (e.kind == event_kind::chunk_wanted) world_.chunk_wanted(who_, e.member, e.index, static_cast<std::uint32_t>(e.number));
    for (auto& c : world_.watchers()) c->happened(who_, e);
    world_.happened(who_, e);
  }
  core_.drained();
  core_.check_invariants();
  for (auto& c : world_.watchers()) c->passed(who_, inspector::of(core_));
  if (!quiet_) return;
  pulses_.say(0, core_.vouched());
  if (!pulses_.due(now_)) return;
  for (const auto peer : pulses_.linked_peers()) world_.transmit(who_, peer, pulses_.compose(peer, now_));
  pulses_.sent(now_);
}

/// The pass in which this happens ends with another look at all contacts.
void driver::touch(std::uint32_t) { tell_contacts(); }

void driver::tell_contacts() {
  if (!quiet_) return;
  for (std::size_t i = 0; i < peers_; ++i)
    if (const auto peer = static_cast<member_id>(i); peer != who_.id.member) core_.contact(peer, pulses_.contact(peer, 0));
}

/// Whether a pass is called for.
bool driver::feed(input& what) {
  if (auto* m = std::get_if<in_message>(&what)) return core_.receive(m->from, std::move(m->what));
  if (auto* p = std::get_if<in_persisted>(&what)) {
    persisted_ = std::max(persisted_, p->up_to);
    core_.persisted(p->up_to);
  } else if (auto* up = std::get_if<in_link_up>(&what)) {
    if (quiet_) pulses_.link_up(up->peer.member);
    core_.link_up(up->peer, up->blank);
  } else if (auto* down = std::get_if<in_link_down>(&what)) {
    core_.link_down(down->peer, down->reset);
    pulses_.link_down(down->peer);
  } else if (auto* stored = std::get_if<in_checkpoint_stored>(&what)) {
    core_.checkpoint_stored(stored->index, stored->chunks);
  } else if (auto* chunk = std::get_if<in_chunk>(&what)) {
    core_.chunk_loaded(chunk->to, chunk->index, chunk->number, disk_.load(chunk->index, chunk->number));
  } else if (auto* beat = std::get_if<in_pulse>(&what)) {
    pulses_.receive(beat->from, beat->what, now_);
  } else if (std::holds_alternative<in_hand_over>(what)) {
    core_.hand_over();
  } else if (auto* change = std::get_if<in_request>(&what)) {
    const auto based_on = core_.rules();
    const auto id = core_.request(change->kind, change->who, change->options, based_on);
    if (change->kind == change_kind::options)
      for (auto& c : world_.watchers()) c->asked(who_, id, change->options, based_on);
  } else if (auto* talk = std::get_if<in_multicast>(&what)) {
    submit({std::move(talk->bytes), talk->how, {}, {}});
  } else if (auto* o = std::get_if<in_operation>(&what)) {
    if (o->read) {
      core_.read(o->number);
      return true;
    }
    submit({std::move(o->bytes), order::total, o->deadline, o->number});
  }
  return true;
}

void driver::submit(submission s) {
  if (s.bytes.size() > core_.rules().message_bytes_max) return refused(s);  // what waits already was accepted
  if (s.bytes.size() > part_bytes_) {
    auto& queue = large_[static_cast<std::size_t>(s.how)];
    if (queue.size() >= large_waiting_max) return refused(s);
    return queue.push_back(std::move(s));
  }
  const std::span<const std::byte> message = s.bytes;
  if (core_.submit({&message, 1}, s.how, s.deadline) == submit_status::taken)
    taken(s);
  else
    refused(s);
}

/// What the core takes now of the oldest large message of each class.
void driver::submit_parts() {
  for (auto& queue : large_) {
    while (!queue.empty()) {
      auto& s = queue.front();
      const auto part = std::span(s.bytes).subspan(s.taken, std::min(part_bytes_, s.bytes.size() - s.taken));
      const auto status = core_.submit_part(part, s.taken + part.size() < s.bytes.size(), s.how, s.deadline);
      if (status == submit_status::busy || status == submit_status::part_waits) break;
      if (status == submit_status::interrupted) {
        s.taken = 0;
        continue;
      }
      s.taken += part.size();
      if (status == submit_status::taken && s.taken < s.bytes.size()) continue;
      if (status == submit_status::taken)
        taken(s);
      else
        refused(s);
      queue.pop_front();
    }
  }
}

void driver::refused(const submission& s) {
  if (s.operation) world_.returned(world_.op(*s.operation), operation::outcome::refused);
}

/// The core took a message: its outcome will be told in the order of its class.
void driver::taken(const submission& s) {
  const auto hash = hash_payload(one_message(s.bytes));
  unanswered_[static_cast<std::size_t>(s.how)].push_back(hash);
  if (s.operation) submitted_.push_back(*s.operation);
  for (auto& c : world_.watchers()) c->submitted(who_, s.how, hash);
}

void driver::had_part(const lane_name& lane, sequence seq, const message_part& part) {
  for (auto& c : world_.watchers()) c->part(who_, lane, seq, part);
}

void driver::release_sends() {
  // Links keep the order in which messages were handed over; what waits does not hold back what needs less.
  for (auto h = held_.begin(); h != held_.end();) {
    if (h->needs > persisted_) {
      ++h;
      continue;
    }
    send(h->to, h->what);
    h = held_.erase(h);
  }
}

void driver::send(const std::vector<member_id>& to, const message& what) {
  for (auto& c : world_.watchers()) c->sent(who_, what);
  for (const auto m : to) world_.transmit(who_, m, what);
}

/// The oldest unanswered messages of an order are delivered nowhere.
void driver::lose(order cls, std::uint64_t messages) {
  auto& unanswered = unanswered_[static_cast<std::size_t>(cls)];
  for (; messages > 0 && !unanswered.empty(); --messages) {
    // A checkpoint may contain them: behind a restore nobody can tell (O10).
    if (cls == order::total && !submitted_.empty()) {
      if (!restored_) world_.returned(world_.op(submitted_.front()), operation::outcome::lost);
      submitted_.pop_front();
    }
    if (!restored_)
      for (auto& w : world_.watchers()) w->undelivered(who_, cls, unanswered.front());
    unanswered.pop_front();
  }
}

void driver::deliver_total(const deliver_batch& b) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < b.what.sizes.size(); ++i) {
    delivery d;
    d.payload = b.what.blob.subspan(begin, b.what.sizes[i]);
    d.position = b.position + i;
    d.index = b.index;
    d.view = b.view;
    d.sender = b.sender;
    d.sender_incarnation = b.inc;
    d.time = b.time;
    d.own = b.own;
    begin += b.what.sizes[i];
    reply_.clear();
    machine_->apply(d, reply_);
    position_ = d.position;
    if (!b.own || submitted_.empty()) continue;
    auto& o = world_.op(submitted_.front());
    submitted_.pop_front();
    unanswered_[static_cast<std::size_t>(order::total)].pop_front();
    o.position = d.position;
    for (auto& c : world_.watchers()) c->ordered(o, d.position);
    if (o.what == operation::kind::swap) {
      const auto old = app_.swapped(reply_.bytes());
      o.read = old ? *old : ~std::uint64_t(0);
    }
    if (o.what == operation::kind::request) o.reply.assign(reply_.bytes().begin(), reply_.bytes().end());
    world_.returned(o, operation::outcome::done);
  }
  wish_.told(b.time);
  for (auto& c : world_.watchers()) c->state_reached(who_, position_, app_.digest(*machine_));
}

void driver::deliver(delivery_op& what) {
  if (auto* b = std::get_if<deliver_batch>(&what)) {
    if (!b->part.whole() && !assembler_.take(*b)) {
      if (b->own && b->messages() > 0) lose(b->cls, b->messages());
      lose(b->cls, b->lost_before);
      return had_part(b->lane(), b->seq, b->part);
    }
    for (auto& c : world_.watchers()) c->delivered(who_, *b);
    if (b->cls == order::total) return deliver_total(*b);
    // The application has no state that depends on these; who sent them is told what became of them.
    auto& own = unanswered_[static_cast<std::size_t>(b->cls)];
    lose(b->cls, b->lost_before);
    if (b->own)
      for (std::size_t i = 0; i < b->what.sizes.size() && !own.empty(); ++i) own.pop_front();
  } else if (auto* none = std::get_if<deliver_void>(&what)) {
    assembler_.drop(*none);
    if (none->why == void_cause::expired && none->part.whole())
      for (auto& c : world_.watchers()) c->expired(who_, *none);
    else
      had_part(none->lane(), none->seq, none->part);
    if (none->own) lose(none->cls, none->messages());
  } else if (auto* v = std::get_if<deliver_view>(&what)) {
    for (std::size_t c = 0; c < order_count; ++c) lose(static_cast<order>(c), v->lost_messages[c]);
    restored_ = false;
    assembler_.bound_by(*v->what);
    assembler_.view_installed(*v->what);
    for (auto& c : world_.watchers()) c->installed(who_, *v);
  } else if (auto* t = std::get_if<deliver_time>(&what)) {
    delivery d;
    d.position = t->position;
    d.index = t->index;
    d.view = t->view;
    d.time = t->time;
    reply_.clear();
    machine_->time_passed(d, reply_);
    wish_.told(t->time);
  } else if (auto* r = std::get_if<deliver_read>(&what)) {
    auto& o = world_.op(r->tag);
    if (r->refused) {
      world_.returned(o, operation::outcome::refused);
      return;
    }
    reply_.clear();
    machine_->query(app_.question(o.key), reply_);
    const auto value = app_.answered(reply_.bytes());
    o.read = value ? *value : ~std::uint64_t(0);
    o.position = position_;
    world_.returned(o, operation::outcome::done);
  } else if (auto* k = std::get_if<deliver_checkpoint>(&what)) {
    chunk_sink out(chunk_bytes_);
    assembler_.checkpoint(k->at, out);
    machine_->checkpoint(out);
    disk_.store_checkpoint(k->at, out.take(), k->on_disk);
    world_.disk_has_work(who_);
  } else if (auto* place = std::get_if<deliver_place>(&what)) {
    assembler_.reached(place->at);
  } else if (auto* restored = std::get_if<deliver_restore>(&what)) {
    for (auto& c : world_.watchers()) c->restored(who_, restored->at);
    core_.restored(restored->at.index);
    if (inspector::of(core_).is_witness()) return;
    std::vector<payload> chunks;
    for (std::uint32_t n = 1; n <= restored->chunks; ++n) chunks.push_back(disk_.load(restored->at.index, n));
    restore(restored->at, chunks);
    position_ = restored->at.delivered;
    wish_.told(restored->at.time);
    restored_ = true;
    for (auto& c : world_.watchers()) c->state_reached(who_, position_, app_.digest(*machine_));
  }
}

}  // namespace cohort::sim
