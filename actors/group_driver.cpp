#include "actors/group_driver.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace cohort::detail {
namespace {

constexpr std::size_t chunk_bytes = 64u << 10;   // of submissions per call of the core, about one batch
constexpr std::size_t chunk_messages = 2048;
constexpr std::size_t spare_works = 64;
constexpr auto contacts_fresh = std::chrono::milliseconds(20);
constexpr std::size_t digests_per_turn = 1024;   // of states, from others

protocol::instant steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

wall_time wall_now() {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

[[noreturn]] void broken(const char* what, std::uint64_t a, std::uint64_t b) {
  std::fprintf(stderr, "cohort: broken invariant: %s (%llu, %llu)\n", what, static_cast<unsigned long long>(a),
               static_cast<unsigned long long>(b));
  std::abort();
}

}  // namespace

work_ptr driver_credit::fresh() {
  std::lock_guard guard(mutex_);
  if (spare_.empty()) return std::make_shared<work>();
  auto w = std::move(spare_.back());
  spare_.pop_back();
  return w;
}

void driver_credit::finished(work_ptr w) {
  backlog_.fetch_sub(w->bytes, std::memory_order_relaxed);
  w->clear();
  std::lock_guard guard(mutex_);
  if (spare_.size() < spare_works) spare_.push_back(std::move(w));
}

group_driver::group_driver(std::shared_ptr<group_entry> group, const protocol::core_options& options,
                           const protocol::core_start& start, protocol::journal_position durable, driver_host& host,
                           std::shared_ptr<driver_credit> credit)
    : group_driver(std::move(group), make_core(options, start), options.part_bytes, durable, host, std::move(credit)) {}

group_driver::group_driver(std::shared_ptr<group_entry> group, std::unique_ptr<group_core> core, std::size_t part_bytes,
                           protocol::journal_position durable, driver_host& host, std::shared_ptr<driver_credit> credit)
    : group_(std::move(group)),
      host_(host),
      credit_(std::move(credit)),
      core_(std::move(core)),
      bound_(group_->how.outcome_bound),
      part_bytes_(part_bytes),
      calls_(group_->desk, group_->how.message_bytes_max),
      durable_(durable),
      appended_(durable) {
  begin_turn();
}

group_driver::~group_driver() { abandon(); }

// ---- inputs ---------------------------------------------------------------------------------------------------------

void group_driver::begin_turn() {
  if (std::exchange(in_turn_, true)) return;
  now_ = steady_now();
  core_->tick(now_, wall_now());
  host_.touched(group_->index);
  host_.tell_contacts(group_->index, *core_);
}

void group_driver::receive(protocol::voter_id from, protocol::message&& what) {
  // A replica which lags far behind must not fill the memory with what others send. Payload that is dropped here is like
  // payload lost on the way: it is not acknowledged, so its sender's window closes (FC1), and it is sent or pulled again.
  if (std::holds_alternative<protocol::batch>(what) && credit_->backlog() > 2 * group_->how.backlog_bytes) return;
  if (retired_) return;
  if (calls_.take(from.member, steady_now(), what)) return touch();
  if (const auto* d = std::get_if<protocol::state_digest>(&what)) {
    // A peer that sends more in one turn than it may keep is not heard out.
    if (digests_.size() < digests_per_turn) digests_.emplace_back(from.member, *d);
    return touch();
  }
  // Most acknowledgements change nothing that a pass would look at, and a pass over a group that was not looked at lately is dear.
  // But the core hears of its contacts before anything else (Q5).
  const auto now = steady_now();
  if (in_turn_ || !std::holds_alternative<protocol::ack>(what) || now - passed_ > contacts_fresh)
    begin_turn();
  else
    core_->tick(now, wall_now());
  if (core_->receive(from, std::move(what))) begin_turn();
}

void group_driver::persisted(protocol::journal_position up_to) {
  if (up_to <= durable_ || retired_) return;
  begin_turn();
  durable_ = up_to;
  core_->persisted(up_to);
}

void group_driver::know(member_id member) {
  if (retired_) return;
  begin_turn();
  core_->know(member);
}

void group_driver::link_up(protocol::voter_id peer, bool blank) {
  if (retired_) return;
  begin_turn();
  core_->link_up(peer, blank);
  calls_.link_up(peer.member, now_, [&](const protocol::message& m) { host_.send(group_->index, std::span(&peer.member, 1), m); });
}

void group_driver::link_down(member_id peer, bool reset) {
  if (retired_) return;
  begin_turn();
  core_->link_down(peer, reset);
}

void group_driver::checkpoint_stored(log_index index, std::uint32_t chunks) {
  if (retired_) return;
  begin_turn();
  core_->checkpoint_stored(index, chunks);
}

void group_driver::checkpoint_failed(log_index index) {
  if (retired_) return;
  begin_turn();
  core_->checkpoint_failed(index);
}

void group_driver::restored(log_index index) {
  if (retired_) return;
  begin_turn();
  core_->restored(index);
}

void group_driver::chunk_loaded(member_id to, log_index index, std::uint32_t number, protocol::payload data) {
  if (retired_) return;
  begin_turn();
  core_->chunk_loaded(to, index, number, std::move(data));
}

void group_driver::offer_ready(protocol::partition::component_id view, std::vector<std::byte> state) {
  if (retired_) return;
  begin_turn();
  core_->offer_ready(view, std::move(state));
}

void group_driver::take(const std::shared_ptr<port_state>& port) {
  if (!retired_) begin_turn();
  port->take_inbox(inbox_);
  for (auto& block : inbox_) {
    if (!accepting_) {
      port->refuse_rest(*block, refusal_);
      port->recycle(std::move(block));
      continue;
    }
    ask(port, *block);
    if (block->consumed()) {
      port->recycle(std::move(block));
      continue;
    }
    auto known = std::find_if(ports_.begin(), ports_.end(), [&](auto& p) { return p.port == port; });
    if (known == ports_.end()) known = ports_.emplace(ports_.end(), port);
    known->blocks.push_back(std::move(block));
  }
  inbox_.clear();
}

/// All questions of a turn share one read of the core: one round of heartbeats confirms them together (rule R1).
void group_driver::ask(const std::shared_ptr<port_state>& port, submission_block& block) {
  if (block.questions.empty()) return;
  auto set = std::make_shared<question_set>();
  set->port = port;
  set->bytes.swap(block.question_bytes);
  set->questions.swap(block.questions);
  if (reads_.empty() || reads_.back().id != next_read_) reads_.push_back({next_read_, {}});
  reads_.back().sets.push_back(std::move(set));
}

// ---- own submissions ------------------------------------------------------------------------------------------------

std::uint64_t group_driver::own_messages() const {
  std::uint64_t all = 0;
  for (auto& of_order : own_) all += of_order.size();
  return all;
}

void group_driver::feed() {
  // A replica which lags takes the room of nobody else: own submissions wait until it has caught up.
  if (ports_.empty() || credit_->backlog() > group_->how.backlog_bytes) return;
  // So do requests of a primary/backup group whose primary does not keep up, here and at every other member, where as many pend. Its
  // updates do not: they are what it catches up with.
  const bool too_many_pend = credit_->pending() > group_->how.backlog_bytes;
  std::size_t fed = 0;
  std::size_t idle = 0;
  while (!ports_.empty() && idle < ports_.size()) {
    if (fed >= turn_bytes) return host_.again(group_->index);
    first_port_ %= ports_.size();
    auto& p = ports_[first_port_];
    if (too_many_pend && p.port->frame) {
      ++idle;
      ++first_port_;
      continue;
    }
    auto before = fed;
    auto status = feed_some(p, fed);
    if (status == protocol::submit_status::busy) {
      // All or nothing: another port's smaller messages may fit, but taking turns then would starve this one.
      if (core_->rules().slow == protocol::slow_policy::reject) refuse_pending(outcome::busy);  // FC4
      return;
    }
    if (status == protocol::submit_status::not_member) return refuse_pending(outcome::not_member);
    if (status == protocol::submit_status::no_quorum) {  // another order's messages may be taken all the same (V17)
      give_up_large(p.port.get());
      auto& block = *p.blocks.front();
      block.next_part_byte = 0;
      fed += p.port->refuse_run(block, outcome::no_quorum);
      if (block.consumed()) {
        p.port->recycle(std::move(p.blocks.front()));
        p.blocks.pop_front();
      }
    }
    // `part_waits` holds up only what the same port submitted behind it.
    idle = fed == before ? idle + 1 : 0;
    if (p.blocks.empty())
      ports_.erase(ports_.begin() + static_cast<std::ptrdiff_t>(first_port_));
    else
      ++first_port_;
  }
}

protocol::submit_status group_driver::feed_some(pending_port& p, std::size_t& fed) {
  auto& block = *p.blocks.front();
  if (block.sizes[block.next_message] > part_bytes_) return feed_parts(p, fed);
  spans_.clear();
  std::size_t bytes = 0;
  auto* at = block.blob.data() + block.next_byte;
  auto& run = block.runs[block.next_run];  // one order at a time
  const auto run_end = block.next_message + run.count - block.next_in_run;
  for (auto i = block.next_message; i < run_end && spans_.size() < chunk_messages; ++i) {
    auto size = block.sizes[i];
    if (size > part_bytes_ || (!spans_.empty() && bytes + size > chunk_bytes)) break;
    spans_.push_back({at, size});
    at += size;
    bytes += size;
  }
  const auto how = run.how.value_or(core_->rules().default_order);
  auto status = core_->submit(spans_, how, run.deadline);
  if (status == protocol::submit_status::taken) {
    took(p, spans_.size(), bytes, how);
    fed += bytes + spans_.size() * sizeof(std::uint32_t);
  } else if (status == protocol::submit_status::too_large) {
    p.port->refuse_rest(block, outcome::too_large);  // a core of components takes no parts
    p.blocks.pop_front();
  } else if (status == protocol::submit_status::not_enabled || status == protocol::submit_status::too_late) {
    fed += p.port->refuse_run(block, status == protocol::submit_status::too_late ? outcome::expired : outcome::not_enabled);
    if (block.consumed()) p.blocks.pop_front();
  }
  return status;
}

/// The core took the first `messages` of the port's oldest block.
void group_driver::took(pending_port& p, std::size_t messages, std::size_t bytes, order how) {
  auto& block = *p.blocks.front();
  p.port->queued.fetch_sub(bytes + messages * sizeof(std::uint32_t), std::memory_order_relaxed);
  block.next_message += messages;
  block.next_byte += bytes;
  while (messages > 0) {
    auto& run = block.runs[block.next_run];
    auto part = static_cast<std::uint32_t>(std::min<std::size_t>(messages, run.count - block.next_in_run));
    own_[static_cast<std::size_t>(how)].add(p.port, run.first_tag + block.next_in_run, part, now_ + bound_);
    messages -= part;
    block.next_in_run += part;
    if (block.next_in_run == run.count) {
      ++block.next_run;
      block.next_in_run = 0;
    }
  }
  if (!block.consumed()) return;
  p.port->recycle(std::move(p.blocks.front()));
  p.blocks.pop_front();
}

void group_driver::refuse_pending(outcome why) {
  for (auto& p : ports_) give_up_large(p.port.get());
  for (auto& p : ports_)
    for (auto& block : p.blocks) {
      p.port->refuse_rest(*block, why);
      p.port->recycle(std::move(block));
    }
  ports_.clear();
}

/// Bounds waiting: what the core took is `unknown` after the bound, what still waits for its window is `busy`.
void group_driver::expire() {
  for (auto& of_order : own_) of_order.expire(now_);
  for (auto& p : ports_)
    while (!p.blocks.empty() && p.blocks.front()->flushed + bound_ <= now_) {
      give_up_large(p.port.get());
      p.port->refuse_rest(*p.blocks.front(), outcome::busy);
      p.port->recycle(std::move(p.blocks.front()));
      p.blocks.pop_front();
    }
  std::erase_if(ports_, [](auto& p) { return p.blocks.empty(); });
}

// ---- the turn's end -------------------------------------------------------------------------------------------------

void group_driver::pass() {
  if (retired_) return;
  if (!in_turn_ && ports_.empty() && next_deadline() > steady_now()) return;
  begin_turn();
  expire();
  feed();
  if (!reads_.empty() && reads_.back().id == next_read_) core_->read(next_read_++);
  core_->tick(steady_now(), wall_now());  // a lease is judged by a clock read after the last input (R2)
  host_.tell_contacts(group_->index, *core_);
  core_->drain();
  auto& out = core_->out();
  if (!out.persists.empty()) {
    appended_ = std::max(appended_, out.persists.back().position);  // what is kept in memory has no position
    // A journal that takes nothing more has reported fatal trouble: from here on nothing is promised.
    if (!broken_) broken_ = !host_.append(group_->index, out.persists);
  }
  std::optional<bool> primary;
  for (const auto& e : out.events)
    if (e.kind == protocol::event_kind::primary) primary = e.flag;
  send_all(out);
  deliver_all(out, primary);
  bool window_opened = false;
  bool left = false;
  for (auto& e : out.events) {
    window_opened |= e.kind == protocol::event_kind::window_open;
    left |= e.kind == protocol::event_kind::left;
    changed(e);
    host_.happened(group_->index, e);
  }
  core_->drained();
  in_turn_ = false;
  passed_ = now_;
  release_sends();
  release_deliveries();
  pass_calls();
  if (left) return retire();
  host_.vouch(group_->index, core_->vouched());
  if (window_opened && !ports_.empty()) host_.again(group_->index);
}

protocol::instant group_driver::next_deadline() const {
  if (retired_) return protocol::never;
  auto next = std::min(core_->next_deadline(), calls_.next_deadline());
  for (auto& of_order : own_) next = std::min(next, of_order.next_deadline());
  for (auto& p : ports_)
    if (!p.blocks.empty()) next = std::min(next, p.blocks.front()->flushed + bound_);
  return next;
}

void group_driver::send_all(protocol::outputs& out) {
  for (auto& op : out.sends) {
    auto targets = std::span(out.targets).subspan(op.first_target, op.target_count);
    if (op.needs <= durable_) {
      host_.send(group_->index, targets, op.what);
      continue;
    }
    // Sorted by position; nearly always this is the end.
    auto at = held_.end();
    while (at != held_.begin() && std::prev(at)->needs > op.needs) --at;
    held_.insert(at, {{targets.begin(), targets.end()}, op.needs, std::move(op.what)});
  }
}

void group_driver::release_sends() {
  for (; !held_.empty() && held_.front().needs <= durable_; held_.pop_front())
    host_.send(group_->index, held_.front().targets, held_.front().what);
}

/// One mailbox message for all that this turn delivers. From a restore on, deliveries wait until the checkpoint they
/// stand on can be read back.
void group_driver::deliver_all(protocol::outputs& out, std::optional<bool> primary) {
  if (out.deliveries.empty() && !primary) return;
  auto w = credit_->fresh();
  w->primary = primary;
  bool hold = held_work_ != nullptr;
  for (auto& op : out.deliveries) {
    account(op, *w);
    after_restore_ = std::holds_alternative<protocol::deliver_restore>(op);
    hold |= after_restore_;
  }
  std::swap(w->ops, out.deliveries);
  credit_->grew(w->bytes);
  if (!hold) return hand_over(std::move(w));
  if (!held_work_) {
    held_work_ = std::move(w);
    held_until_ = appended_;
    return;
  }
  held_work_->bytes += w->bytes;
  if (primary) held_work_->primary = primary;
  for (auto& op : w->ops) {
    if (std::holds_alternative<protocol::deliver_restore>(op)) held_until_ = appended_;
    held_work_->ops.push_back(std::move(op));
  }
  for (auto& run : w->runs) held_work_->runs.push_back(std::move(run));
  for (auto& read : w->reads) held_work_->reads.push_back(std::move(read));
  w->clear();
  credit_->finished(std::move(w));
}

/// The oldest own messages of an order are delivered nowhere, or nobody can tell.
void group_driver::answer_own(order how, std::uint64_t messages, outcome what) {
  if (messages == 0) return;
  auto& own = own_[static_cast<std::size_t>(how)];
  std::vector<own_run> runs;
  if (!own.take(messages, runs)) broken("own messages answered which were not submitted", messages, own.size());
  answer_all(runs, what);
}

/// Finds out whose messages and questions an operation answers.
void group_driver::account(protocol::delivery_op& op, work& w) {
  if (auto* b = std::get_if<protocol::deliver_batch>(&op)) {
    w.bytes += b->what.bytes();
    auto& own = own_[static_cast<std::size_t>(b->cls)];
    answer_own(b->cls, b->lost_before, outcome::lost);
    if (b->own && !own.take(b->messages(), w.runs))
      broken("own messages delivered which were not submitted", b->messages(), own.size());
  } else if (auto* e = std::get_if<protocol::deliver_void>(&op)) {
    if (e->own) answer_own(e->cls, e->messages(), e->why == protocol::void_cause::expired ? outcome::expired : outcome::lost);
  } else if (auto* v = std::get_if<protocol::deliver_view>(&op)) {
    // A checkpoint hides what was delivered before it: ours may be among that.
    for (std::size_t how = 0; how < order_count; ++how)
      answer_own(static_cast<order>(how), v->lost_messages[how], after_restore_ ? outcome::unknown : outcome::lost);
    group_->by_lease.store(v->what->options.reads == protocol::read_mode::lease, std::memory_order_relaxed);
    host_.view_installed(group_->index, *v);
  } else if (auto* c = std::get_if<protocol::deliver_component>(&op)) {
    protocol::deliver_view told;
    told.what = protocol::partition::as_view(*c->what);
    told.member = true;
    host_.view_installed(group_->index, told);
  } else if (auto* r = std::get_if<protocol::deliver_read>(&op)) {
    auto at = std::find_if(reads_.begin(), reads_.end(), [&](auto& g) { return g.id == r->tag; });
    if (at == reads_.end()) broken("a read was answered which was not asked", r->tag, next_read_);
    if (r->refused) at->sets.clear();  // they answer `no_quorum`
    w.reads.push_back(std::move(*at));
    reads_.erase(at);
  }
}

void group_driver::release_deliveries() {
  if (held_work_ && held_until_ <= durable_) hand_over(std::exchange(held_work_, nullptr));
}

void group_driver::answer(member_id to, protocol::call_answers what) {
  if (retired_) return;
  begin_turn();
  if (calls_.take_large(to, now_, what)) return;  // it leaves as the link takes it
  const protocol::message m(std::move(what));
  host_.send(group_->index, std::span(&to, 1), m);
  calls_.sent(to, now_, std::get<protocol::call_answers>(m));
}

/// What came for calls goes to the replica behind what was delivered; it needs no journal.
void group_driver::pass_calls() {
  calls_.expire(now_);
  calls_.send_large(
    now_, [this](member_id to) { return host_.payload_queued(to); },
    [this](member_id to, const protocol::message& part) { host_.send(group_->index, std::span(&to, 1), part); });
  if (const auto over = calls_.given_up(); !over.empty()) send_to_others(protocol::calls_over{core_->status().inc, over});
  if (!calls_.waits() && digests_.empty()) return;
  auto w = credit_->fresh();
  calls_.hand_over(*w);
  w->digests.swap(digests_);
  hand_over(std::move(w));
}

void group_driver::want_time(wall_time due) {
  if (retired_) return;
  begin_turn();
  core_->want_time(due);
}

void group_driver::tell_digest(const protocol::state_digest& what) {
  if (!retired_) send_to_others(what);
}

void group_driver::states_judged(const std::vector<member_id>& odd, const std::string& why_odd) {
  if (retired_) return;
  begin_turn();
  core_->states_differ(odd);
  host_.state_judged(group_->index, why_odd);
}

/// To all who are active beside us.
void group_driver::send_to_others(const protocol::message& what) {
  std::vector<member_id> others;
  const auto s = core_->status();
  if (s.in_force)
    for (const auto& e : s.in_force->roster)
      if (e.active && e.id.member != s.self) others.push_back(e.id.member);
  if (!others.empty()) host_.send(group_->index, others, what);
}

void group_driver::hand_over(work_ptr w) { host_.deliver(group_->index, std::move(w)); }

// ---- the end --------------------------------------------------------------------------------------------------------

void group_driver::stop_accepting(outcome why, bool refuse_waiting) {
  accepting_ = false;
  refusal_ = why;
  if (refuse_waiting) refuse_pending(why);
}

void group_driver::hand_over() {
  if (retired_) return;
  begin_turn();
  core_->hand_over();
}

void group_driver::change(member_id who, const change_asked& what) {
  if (retired_) return what.done({false, "this node has left the group"});
  if (const auto* why = core_->refuses(what.kind, what.options)) return what.done({false, why});
  begin_turn();
  changes_.emplace(core_->request(what.kind, who, what.options, what.based_on), what.done);
}

void group_driver::changed(const protocol::event& e) {
  if (e.kind != protocol::event_kind::change_done && e.kind != protocol::event_kind::change_refused) return;
  const auto asked = changes_.find(e.number);
  if (asked == changes_.end()) return;
  const bool done = e.kind == protocol::event_kind::change_done;
  asked->second({done, done ? "" : to_string(static_cast<protocol::change_refusal>(e.index))});
  changes_.erase(asked);
}

void group_driver::answer_changes(const std::string& why) {
  for (auto& [id, done] : std::exchange(changes_, {})) done({false, why});
}

void group_driver::retire() {
  group_->left = true;
  refusal_ = outcome::not_member;
  retired_ = true;
  in_turn_ = false;
  auto waits = std::exchange(held_work_, nullptr);
  abandon();
  if (waits) credit_->finished(std::move(waits));
}

void group_driver::withdraw(const std::string& why) {
  if (retired_) return;
  host_.vouch(group_->index, {});  // our node's heartbeats must not speak for us any longer
  retire();
  host_.withdrawn(group_->index, why);
}

group_rules group_driver::rules() const {
  group_rules now;
  now.options = core_->rules();
  if (const auto in_force = core_->status().in_force)
    for (const auto& e : in_force->roster) {
      now.voters += e.voter;
      now.inactive += e.voter && !e.active && !e.witness;
    }
  return now;
}

log_index group_driver::want_checkpoint() {
  if (retired_) return 0;
  begin_turn();
  core_->want_checkpoint();
  const auto s = core_->status();
  return s.active && s.applied > s.checkpoint ? s.applied : 0;
}

void group_driver::abandon() {
  stop_accepting(refusal_, true);
  std::vector<own_run> open;
  for (auto& of_order : own_) of_order.take(of_order.size(), open);
  answer_all(open, outcome::unknown);
  reads_.clear();
  held_.clear();
  held_work_.reset();
  calls_.stop();
  answer_changes("the node's part of the group stopped before the change was known to be done; it may still happen");
}

}  // namespace cohort::detail
