#include "actors/replica.hpp"

#include "actors/cold_file.hpp"
#include "actors/group_core.hpp"
#include "actors/group_rules.hpp"
#include "actors/monitors.hpp"
#include "actors/request_witness.hpp"

#include "persistence/journal.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

namespace cohort {

const char* to_string(change_cause c) {
  switch (c) {
    case change_cause::founded: return "founded";
    case change_cause::joined: return "joined";
    case change_cause::recovered: return "recovered";
    case change_cause::promoted: return "promoted";
    case change_cause::failed: return "failed";
    case change_cause::excluded: return "excluded";
    case change_cause::cut_off: return "cut off";
    case change_cause::replaced: return "replaced";
    case change_cause::left: return "left";
    case change_cause::removed: return "removed";
    case change_cause::shrunk: return "shrunk";
  }
  return "?";
}

}  // namespace cohort

namespace cohort::detail {
namespace {

/// Reads a checkpoint chunk by chunk, so that one chunk is in memory at a time.
class chunk_source final : public source {
public:
  chunk_source(log_index index, std::uint32_t chunks, const replica_services& services)
      : index_(index), chunks_(chunks), services_(services) {
    if (chunks_ == 0) return;
    left_ = std::uint64_t{chunks_ - 1} * persistence::chunk_bytes + load(chunks_).blob.size();
  }

  void read(std::span<std::byte> out) override {
    if (out.size() > left_) throw truncated_checkpoint("the checkpoint ends before what the state machine wants");
    left_ -= out.size();
    while (!out.empty()) {
      if (at_ == current_.blob.size()) {
        current_ = load(++number_);
        at_ = 0;
      }
      auto part = std::min(out.size(), current_.blob.size() - at_);
      std::memcpy(out.data(), current_.blob.data() + at_, part);
      at_ += part;
      out = out.subspan(part);
    }
  }

  std::uint64_t left() const override { return left_; }

private:
  protocol::payload load(std::uint32_t number) const {
    std::string why;
    auto chunk = services_.load_chunk(index_, number, why);
    // Only a state of no bytes at all has an empty chunk: its one.
    bool right_size = number == chunks_ ? (!chunk.blob.empty() || (chunks_ == 1 && !chunk.sizes.empty())) &&
                                            chunk.blob.size() <= persistence::chunk_bytes
                                        : chunk.blob.size() == persistence::chunk_bytes;
    if (!right_size)
      throw truncated_checkpoint("chunk " + std::to_string(number) + " of the checkpoint at log index " +
                                 std::to_string(index_) + (why.empty() ? " is not there" : ": " + why));
    return chunk;
  }

  log_index index_;
  std::uint32_t chunks_;
  const replica_services& services_;
  std::uint32_t number_ = 0;
  std::size_t at_ = 0;
  protocol::payload current_;
  std::uint64_t left_ = 0;
};

/// `failed` beside `excluded`: the leader does not hear it, and it lives (V20).
std::optional<change_cause> told_as(const protocol::view_note& n, const std::vector<protocol::view_note>& all) {
  using protocol::view_cause;
  const auto also = [&](view_cause cause) { return std::ranges::find(all, protocol::view_note{n.id, cause}) != all.end(); };
  switch (n.cause) {
    case view_cause::founded: return change_cause::founded;
    case view_cause::joined: return change_cause::joined;
    case view_cause::recovered: return change_cause::recovered;
    case view_cause::promoted: return change_cause::promoted;
    case view_cause::failed: return also(view_cause::excluded) ? std::nullopt : std::optional(change_cause::failed);
    case view_cause::excluded: return also(view_cause::failed) ? change_cause::cut_off : change_cause::excluded;
    case view_cause::replaced: return change_cause::replaced;
    case view_cause::left: return change_cause::left;
    case view_cause::removed: return change_cause::removed;
    case view_cause::shrunk: return change_cause::shrunk;
  }
  return {};
}

/// A state machine as it is: one side's state replaces the others'.
class one_sides_state final : public mergeable {
public:
  explicit one_sides_state(state_machine& machine) : machine_(machine) {}
  void checkpoint(sink& out) const override { machine_.checkpoint(out); }
  void restore(source& in) override { machine_.restore(in); }
  void reconcile(std::span<const merge_side>) override {}

private:
  state_machine& machine_;
};

}  // namespace

replica::replica(std::shared_ptr<group_entry> group, replica_services services)
    : group_(std::move(group)), services_(std::move(services)), rules_(group_->how), assembler_(group_->how.message_bytes_max) {
  stopped_ = group_->diverged;
  if (services_.witness) return;
  if (group_->make_machine) machine_ = group_->make_machine();
  if (group_->make_service) host_primary();
  if (group_->make_listener) listener_ = group_->make_listener();
  if (group_->how.partitions == partition_policy::partitionable) find_components();
  if (machine_ && group_->how.partitions == partition_policy::primary && group_->how.compare_every > 0) guard_state();
  if (group_->desk) {
    std::vector<call_handler*> own{dynamic_cast<call_handler*>(machine_.get()), dynamic_cast<call_handler*>(listener_.get())};
    std::erase(own, nullptr);
    calls_ = std::make_unique<call_responder>(group_->desk, services_.self, group_->how.message_bytes_max, std::move(own),
                                                services_.send_answers);
  }
}

void replica::find_components() {
  auto* state = dynamic_cast<mergeable*>(machine_.get());
  if (!state) state = dynamic_cast<mergeable*>(listener_.get());
  const auto how = group_->how.merge;
  if (!state && machine_) {
    plain_state_ = std::make_unique<one_sides_state>(*machine_);
    state = plain_state_.get();
  }
  if (how == merge_policy::application && (!state || plain_state_))
    throw std::logic_error("group " + group_->name + " merges by the application, and its " +
                           (machine_ ? "state machine" : "listener") + " is no cohort::mergeable");
  components_ = std::make_unique<components>(services_.nodes, services_.self, how, how == merge_policy::none ? nullptr : state,
                                             dynamic_cast<component_listener*>(listener_.get()));
}

void replica::guard_state() {
  divergence_guard::outlets out{
    .send = services_.send_digest,
    .report = [group = group_](const divergence_figures& now) { group->report(now); },
    .found = [this](const divergence::finding& f, view_number view) { found(f, view); }};
  guard_ = std::make_unique<divergence_guard>(services_.self, group_->how.compare_every, services_.odd, std::move(out));
}

void replica::found(const divergence::finding& f, view_number view) {
  divergence_report r{.group = group_->name, .what = f.what, .position = f.position, .view = view, .odd = {}};
  for (const auto m : f.odd) r.odd.push_back(services_.nodes->name_of(m));
  r.here = std::ranges::find(f.odd, services_.self) != f.odd.end();
  r.stopped = stopped_ = stopped_ || (r.here && f.what == divergence_verdict::differs && group_->how.on_divergence == divergence_policy::stop);
  if (stopped_) deferred_.give_up();
  services_.diverged(r, f.what == divergence_verdict::differs ? f.odd : std::vector<member_id>{});
}

void replica::host_primary() {
  const auto kind = group_->backups;
  auto logic = std::make_unique<primary_backup::member>(
    services_.self, group_->make_service, kind,
    kind == backup_kind::cold ? std::make_unique<cold_file>(services_.cold) : nullptr);
  logic->wake_by(services_.updates_ready);
  if (group_->deaths) {
    logic->witnessed_by(std::make_shared<request_witness>(group_->deaths, group_->name));
    for (const auto& d : group_->deaths->untold(group_->name)) logic->died_of({d.activation, d.position});
  }
  member_ = logic.get();
  machine_ = std::move(logic);
  primary_ = std::make_unique<primary_host>(
    *member_,
    primary_services{port_access::open_unframed(group_, services_.updates_ready), services_.log,
                     [group = group_, pends = services_.pends](const primary_status& now) {
                       pends(now.pending_bytes);
                       group->report(now);
                     },
                     [group = group_](const primary_backup::death_tale& t) { group->deaths->told(group->name, t.office, t.position); }},
    [nodes = services_.nodes](member_id id) { return nodes->name_of(id); });
}

void replica::run(work& w) {
  next_run_ = 0;
  next_read_ = 0;
  try {
    if (w.primary == true) tell_primary(true);
    for (auto& op : w.ops) {
      if (stopped_) break;
      std::visit([&](auto& what) { deliver(what, w); }, op);
    }
    if (w.primary == false) tell_primary(false);
    if (calls_ && !stopped_) calls_->take(w);
    if (guard_ && !stopped_) guard_->take(w.digests);
  } catch (...) {
    flush_answers();  // what was applied before is true and answered; the rest is `unknown`
    throw;
  }
  flush_answers();
  if (stopped_) answer_all(w.runs, outcome::unknown);  // delivered, and not applied here
  if (calls_) calls_->flush();
  w.runs.clear();
  if (machine_ && !stopped_)
    if (const auto due = wish_.news(*machine_)) services_.want_time(*due);
  if (primary_ && !stopped_) primary_->work();
}

void replica::updates_done() {
  if (primary_ && !stopped_) primary_->updates_done();
}

void replica::tick() {
  if (stopped_) return;
  deferred_.expire(std::chrono::steady_clock::now().time_since_epoch());
  if (primary_ && primary_->waits()) primary_->work();
}

void replica::deliver(protocol::deliver_batch& b, work& w) {
  if (!b.part.whole()) {
    const bool ends_own = b.own && b.messages() > 0;
    if (!assembler_.take(b)) {
      if (ends_own) answer_own(w, outcome::lost);
      return;
    }
  }
  const bool calls = calls_ && holds_calls(b.what);
  if (listener_) tell_listener(b, calls);
  if (!b.own && !machine_ && !calls) return;
  delivery d;
  d.position = b.position;
  d.index = b.index;
  d.view = b.view;
  d.sender = b.sender;
  d.sender_incarnation = b.inc;
  d.time = b.time;
  d.own = b.own;
  d.late = b.late;
  auto* bytes = b.what.blob.data();
  // A batch at a time. What the primary of a group executes it says itself; here are the updates, which its members apply.
  const bool speaks = machine_ && group_->deaths && b.cls == order::total;
  persistence::last_words::speaker words(speaks ? group_->deaths->words() : nullptr);
  if (speaks)
    words.begins({.kind = persistence::word_kind::delivery, .process = group_->name, .from = services_.nodes->name_of(b.sender),
                  .position = b.position, .count = b.what.sizes.size(), .activation = b.view, .body = b.what.blob});
  for (auto size : b.what.sizes) {
    d.payload = {bytes, size};
    bytes += size;
    words.at(d.position);
    __builtin_prefetch(bytes);  // the next one's beginning: whoever applies it looks there first, and it came over the network
    rpc::call_message call;
    if (calls && rpc::is_call(d.payload) && rpc::read_call(d.payload, call)) d.payload = call.payload;
    if (machine_ && b.cls == order::total) machine_->apply(d, answer_);  // state may depend on nothing else (G11)
    if (call.number != 0) calls_->executed(d, b.cls, call, answer_);
    if (b.own && call.number == 0 && answer_.deferred())
      defer_own(w, d.position);
    else if (b.own)
      answer_own(w, outcome::replied);
    if (answer_.settles()) answer_settled();
    ++d.position;
    if (machine_ || call.number != 0) answer_.clear();
  }
  if (machine_ && b.cls == order::total) wish_.told(b.time);
  if (guard_ && b.cls == order::total && guard_->due(d.position - 1))
    guard_->compare(*machine_, d.position - 1, !member_ || member_->up_to_date());
}

void replica::tell_listener(const protocol::deliver_batch& b, bool calls) {
  delivery_batch told{b.what.sizes, b.what.blob, b.position, b.index, b.view, b.sender, b.inc, b.time, b.own, b.cls, b.late, b.stable, b.seq};
  if (calls) {
    strip_calls(b.what, stripped_sizes_, stripped_);
    told.sizes = stripped_sizes_;
    told.blob = stripped_;
  }
  listener_->deliver(told);
}

/// A later message answers it. One that was told `unknown` already hears no more.
void replica::defer_own(work& w, std::uint64_t position) {
  auto& run = w.runs[next_run_];
  if (!run.answered) deferred_.add(position, run.port, run.first_tag, run.deadline);
  ++run.first_tag;
  if (--run.count == 0) ++next_run_;
}

void replica::answer_settled() {
  answer_.each_settled([this](std::uint64_t position, std::span<const std::byte> bytes) {
    if (calls_) calls_->settled(position, bytes);
    const auto who = deferred_.take(position);
    if (!who) return;
    answer_port(who->port);
    answers_.add(who->tag, outcome::replied, bytes);
  });
}

/// The oldest own message that is not answered. Its run shrinks: should the application throw, the rest is what `work` reports
/// as unknown.
void replica::answer_own(work& w, outcome what) {
  auto& run = w.runs[next_run_];
  if (!run.answered) {
    if (answering_ != run.port) answer_port(run.port);
    answers_.add(run.first_tag, what, answer_.bytes());
  }
  ++run.first_tag;
  if (--run.count == 0) ++next_run_;
}

void replica::ask(question_set& questions) {
  if (services_.witness || stopped_) {
    questions.otherwise = outcome::not_member;  // answered when it is dropped
    return;
  }
  answer_port(questions.port);
  auto& waiting = questions.questions;
  std::size_t done = 0;
  try {
    for (; done < waiting.size(); ++done) {
      auto& q = waiting[done];
      if (machine_) machine_->query(std::span(questions.bytes).subspan(q.offset, q.length), answer_);
      answers_.add(q.tag, outcome::replied, answer_.bytes());
      answer_.clear();
    }
  } catch (...) {
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(done));
    flush_answers();
    throw;
  }
  waiting.clear();
  flush_answers();
}

void replica::deliver(protocol::deliver_read&, work& w) {
  for (auto& set : w.reads[next_read_].sets) ask(*set);
  ++next_read_;
}

void replica::deliver(protocol::deliver_time& t, work&) {
  if (!machine_) return;
  delivery d;
  d.position = t.position;
  d.index = t.index;
  d.view = t.view;
  d.time = t.time;
  wish_.told(t.time);
  machine_->time_passed(d, answer_);
  if (answer_.settles()) answer_settled();
  answer_.clear();
}

void replica::deliver(protocol::deliver_checkpoint& c, work&) {
  services_.store_checkpoint(c.at, c.on_disk, [this, &c](sink& out) {
    assembler_.checkpoint(c.at, out);
    if (components_)
      components_->checkpoint(out);
    else if (machine_)
      machine_->checkpoint(out);
  });
}

void replica::deliver(protocol::deliver_restore& r, work&) {
  deferred_.give_up();  // what the checkpoint holds may have been answered below it
  if (calls_) {
    calls_->restored();
    if (r.at.in_force) calls_->view_installed(*r.at.in_force);
  }
  if (group_->watch && r.at.in_force) {
    protocol::deliver_view v;
    v.what = r.at.in_force;
    v.member = active_in(*v.what);
    group_->watch->view(group_->name, describe(v, *services_.nodes), components_ != nullptr);
  }
  if (r.at.in_force) assembler_.bound_by(*r.at.in_force);
  chunk_source from(r.at.index, r.chunks, services_);
  if (r.at.with_parts) assembler_.restore(from);
  if (components_)
    components_->restore(from);
  else if (machine_)
    machine_->restore(from);
  wish_.told(r.at.time);
  if (guard_) guard_->restored(r.at.delivered);
  if (guard_ && r.at.in_force) guard_->view_installed(*r.at.in_force, active_in(*r.at.in_force));
  if (listener_ && r.at.missed) {
    auto missed = describe(r.at, *services_.nodes);
    missed.in_state = machine_ != nullptr;
    listener_->gap(missed);
  }
  if (r.at.in_force) tell_rules(*r.at.in_force);
  services_.restored(r.at.index);
}

bool replica::active_in(const protocol::view& v) const {
  return std::ranges::any_of(v.roster, [&](auto& e) { return e.id.member == services_.self && e.active; });
}

void replica::deliver(protocol::deliver_view& v, work&) {
  assembler_.bound_by(*v.what);
  assembler_.view_installed(*v.what);
  if (guard_) guard_->view_installed(*v.what, v.member);
  if (calls_) calls_->view_installed(*v.what);
  if (member_) member_->view_installed(*v.what, v.member);
  const auto told = describe(v, *services_.nodes);
  if (group_->watch) group_->watch->view(group_->name, told, false);
  if (listener_) listener_->view_changed(told);
  tell_rules(*v.what);
}

void replica::deliver(protocol::deliver_component& c, work&) {
  protocol::deliver_view v;
  v.what = protocol::partition::as_view(*c.what);
  v.member = true;
  assembler_.bound_by(*v.what);
  assembler_.view_installed(*v.what);
  const auto told = describe(v, *services_.nodes);
  if (group_->watch) group_->watch->view(group_->name, told, true);
  if (listener_) listener_->view_changed(told);
  tell_rules(*v.what);
  components_->changed(c);
}

void replica::tell_primary(bool now) {
  if (listener_ && !stopped_ && std::exchange(told_primary_, now) != now) listener_->primary_changed(now);
}

void replica::tell_rules(const protocol::view& v) {
  if (!listener_) return;
  auto now = under_rules(group_->how, v.options);
  const auto what = difference(rules_, now);
  if (what.empty()) return;
  rules_ = std::move(now);
  listener_->rules_changed(rules_, what);
}

void replica::answer_port(const std::shared_ptr<port_state>& port) {
  if (answering_ == port) return;
  flush_answers();
  answering_ = port;
}

void replica::flush_answers() {
  if (answering_) answering_->complete(answers_);
  answering_.reset();
}

group_view describe(const protocol::deliver_view& v, const known_nodes& nodes) {
  group_view view;
  view.number = v.what->number;
  view.index = v.index;
  view.time = v.time;
  view.active_here = v.member;
  for (auto& e : v.what->roster) view.members.push_back({nodes.name_of(e.id.member), e.inc, e.voter, e.active, e.witness, e.id.identity});
  for (auto m : v.together) view.together.push_back(nodes.name_of(m));
  for (auto& n : v.what->notes)
    if (const auto cause = told_as(n, v.what->notes)) view.changes.push_back({nodes.name_of(n.id.member), *cause});
  return view;
}

delivery_gap describe(const protocol::mark& at, const known_nodes& nodes) {
  const auto& missed = *at.missed;
  delivery_gap gap;
  gap.after = missed.after;
  gap.index = at.index;
  gap.from_view = missed.view;
  gap.view = at.in_force->number;
  gap.from_position = missed.delivered + 1;
  gap.position = at.delivered;
  gap.complete = missed.complete;
  for (const auto& r : missed.runs) {
    gap.runs.push_back({nodes.name_of(r.lane.owner), r.lane.inc,
                        r.lane.kind == protocol::lane_kind::plain ? lane::plain : lane::causal, r.from, r.to, r.view});
  }
  return gap;
}

}  // namespace cohort::detail
