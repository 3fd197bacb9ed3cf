// How a runtime's groups begin: those of the start, and those that are created while it runs. How they end: runtime_places.cpp.
#include "actors/runtime.hpp"

#include "actors/awaited.hpp"
#include "actors/group_rules.hpp"
#include "framework/protocol/recovered_state.hpp"
#include "transport/checksum.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>
#include <random>

namespace cohort::detail {
namespace {

/// Keeps a pipe's writer from waiting for a reader that will never come.
struct pipe_end {
  std::shared_ptr<checkpoint_pipe> pipe;
  explicit pipe_end(std::shared_ptr<checkpoint_pipe> p) : pipe(std::move(p)) {}
  ~pipe_end() { pipe->abort(); }
};

/// The voter that a founder's line names.
protocol::voter_id voter_of(const catalogue::founder_line& f, bool journaled) {
  return {f.member, journaled ? f.directory_id : f.boot_id};
}

}  // namespace

/// With its number where there is one: a name that comes back is another group, to peers that have not heard of it, too.
std::string runtime::shown_name(const group_entry& g) { return g.created ? g.name + '#' + std::to_string(g.index) : g.name; }

persistence::group_options runtime::stored_as(const group_entry& g) const {
  const bool in_memory = g.how.durability == durability::in_memory;
  return {place_of(g.index), shown_name(g), in_memory && !g.created ? config_.epoch : 1, in_memory};
}

transport::group_config runtime::shown_as(const group& g) const {
  return {g.entry->index, shown_name(*g.entry), contract_hash(g), g.voter, g.blank, founding_hash(g)};
}

/// Whatever all members must agree on: nodes whose hashes differ refuse each other.
std::uint64_t runtime::contract_hash(const group& g) const {
  auto text = shown_name(*g.entry) + '\n' + agreed_text(g.entry->how);
  for (const auto w : witnesses_of(g)) text += "\nwitness " + name_of(w);
  return transport::checksum(std::as_bytes(std::span(text)));
}

/// Whatever founders must agree on beside that.
std::uint64_t runtime::founding_hash(const group& g) const {
  const auto text = founding_text(g.entry->how);
  return transport::checksum(std::as_bytes(std::span(text)));
}

/// As many of the nodes named for it as the contract has, ascending.
std::vector<member_id> runtime::witnesses_of(const group& g) const {
  std::vector<member_id> all;
  if (const auto& created = g.entry->created) {
    for (const auto& f : created->founders)
      if (f.witness) all.push_back(f.member);
    return all;
  }
  for (unsigned i = 0; i < g.entry->how.witnesses; ++i)
    all.push_back(nodes_->number_of(config_.witnesses.at(i)).value_or(no_member));
  std::ranges::sort(all);
  return all;
}

std::filesystem::path runtime::cold_files(std::uint32_t index) const {
  return config_.data / "cold" / ("group-" + std::to_string(index));
}

replica_services runtime::services_for(const group& g) {
  replica_services s;
  s.nodes = nodes_;
  s.self = self_;
  s.witness = g.witness;
  s.odd = g.odd;
  auto index = g.entry->index;
  s.cold = cold_files(index);
  s.log = [this, name = g.entry->name](const std::string& line) { log_.write(log_level::info, "group=" + name + " " + line); };
  s.load_chunk = [this, place = place_of(index)](log_index at, std::uint32_t number, std::string& why) {
    return journal_->load_chunk(place, at, number, &why);
  };
  s.offer = [ordering = g.ordering](protocol::partition::component_id view, std::vector<std::byte> state) {
    cc::hand_over(ordering, offer_done{view, std::move(state)});
  };
  s.send_answers = [ordering = g.ordering](member_id to, protocol::call_answers what) {
    cc::hand_over(ordering, answers_made{to, std::move(what)});
  };
  s.want_time = [ordering = g.ordering](wall_time due) { cc::hand_over(ordering, time_wanted{due}); };
  s.send_digest = [ordering = g.ordering](const protocol::state_digest& what) { cc::hand_over(ordering, digest_taken{what}); };
  s.diverged = [this, entry = g.entry, ordering = g.ordering](const divergence_report& what, const std::vector<member_id>& odd) {
    diverged(*entry, ordering, what, odd);
  };
  s.store_checkpoint = [this, index, ordering = g.ordering](const protocol::mark& at, bool on_disk, const std::function<void(sink&)>& write) {
    store_checkpoint(index, ordering, at, on_disk, write);
  };
  s.pends = [credit = g.credit, ordering = g.ordering, limit = g.entry->how.backlog_bytes](std::size_t bytes) {
    if (credit->pends(bytes) > limit && bytes <= limit) cc::hand_over(ordering, credit_back{});
  };
  s.restored = [ordering = g.ordering](log_index at) { cc::hand_over(ordering, state_restored{at}); };
  return s;
}

/// On the replica's thread: it only pays for writing its state into memory, a bulk thread feeds the journal.
void runtime::store_checkpoint(std::uint32_t index, const caf::actor& ordering, const protocol::mark& at, bool on_disk,
                               const std::function<void(sink&)>& write) {
  auto pipe = std::make_shared<checkpoint_pipe>();
  auto end = std::make_shared<pipe_end>(pipe);
  checkpoints_->post([end, pipe, ordering, writer = journal_->store_checkpoint(place_of(index), at, on_disk), at_index = at.index] {
    if (!pipe->drain(*writer))
      return cc::hand_over(ordering, checkpoint_done{at_index, 0, "the state could not be written"});
    writer->finish([ordering, at_index](std::uint32_t chunks, const std::string& error) {
      cc::hand_over(ordering, checkpoint_done{at_index, chunks, error});
    });
  });
  end.reset();
  try {
    write(*pipe);
  } catch (...) {
    pipe->abort();
    throw;
  }
  pipe->close();
}

// ---- beginning ------------------------------------------------------------------------------------------------------

/// What the journal holds of the group, and a core that goes on from there. Any thread. Throws `node_error`.
runtime::prepared runtime::prepare(group& g, std::size_t groups) {
  const auto index = g.entry->index;
  const auto place = place_of(index);
  const bool journaled = g.entry->how.durability == durability::journaled;
  const bool apart = g.entry->how.partitions == partition_policy::partitionable;
  const auto witnesses = witnesses_of(g);
  g.witness = std::ranges::binary_search(witnesses, self_);
  protocol::recovery recovered;
  protocol::partition::recovery process;
  if (g.witness) recovered.without_payload();
  auto contents = apart ? persistence::recover(*journal_, place, process) : persistence::recover(*journal_, place, recovered);
  if (!contents.damage.empty()) throw node_error(contents.damage);

  protocol::core_start start;
  start.seed = random_bits();
  start.checksum = &transport::checksum;
  start.last_position = contents.last;
  if (g.entry->created)
    for (const auto& f : g.entry->created->founders) start.founders.push_back(f.member);
  else
    for (std::size_t i = 0; i < config_.members.size(); ++i) start.founders.push_back(member_id(i));
  start.witnesses = witnesses;
  g.blank = contents.blank && !contents.founded && !g.entry->created;
  start.blank = g.blank;
  const auto damaged = [&](const std::string& why, const char* then) {
    return node_error("the journal of group " + g.entry->name + " in " + config_.data.string() + " is damaged: " + why +
                      ". Move the data directory away; the node then " + then);
  };
  protocol::partition::recovered_ptr life;
  bool given_up = false;  // X3: the group was kept in memory when this directory's last life ended
  if (!contents.blank && apart) {
    if (!journaled)
      throw node_error("the data directory " + config_.data.string() + " holds a journaled group " + g.entry->name +
                       "; set its durability back, or move the directory away");
    life = process.finish();
    if (!life) throw damaged(process.why(), "begins anew, and its empty state is merged with that of the others");
  } else if (!contents.blank) {
    start.state = recovered.finish();
    // D10: a member whose journal lost what it promised must not go on under its old vote.
    if (!start.state) throw damaged(recovered.why(), "comes back as a learner and is given the state");
    given_up = !start.state->valid;
    if (given_up) start.state.reset();
  }
  start.ever_founded = contents.founded || given_up;
  // Who votes is who promised: the life whose promises are on the disk, or this one.
  if (start.state && start.state->promises.identity != 0) g.voter = start.state->promises.identity;
  else g.voter = journaled && !given_up ? journal_->identity().directory_id : boot_id_;
  start.self = {self_, g.voter};
  const bool goes_on = start.state && start.state->founded;
  if (g.entry->created && !start.state && !given_up && g.entry->how.partitions == partition_policy::primary) begin_by_decree(*g.entry, start);

  prepared p;
  p.last = contents.last;
  p.core = core_for(*g.entry, start, life, groups);
  if ((goes_on || life) && !g.witness) p.checkpoint = journal_->newest_checkpoint(place);  // W1: a witness keeps no state
  p.line = "group=" + g.entry->name + " " + (goes_on || (journaled && !given_up) ? "journaled" : "volatile") + ", " +
           (apart && !life ? "begins in a component of its own"
            : start.blank  ? "blank: waits for all founders"
            : g.entry->created && contents.blank ? start.state ? "number " + std::to_string(index) + ", one of its founders"
                                                               : "number " + std::to_string(index) + ", asks to join"
                                                 : std::to_string(contents.records) + " journal records read, last position " +
                                                     std::to_string(contents.last));
  p.goes_on = goes_on || life;
  p.state = std::move(start.state);
  return p;
}

/// V19: the catalogue has decided who votes. Whoever is not named, or lost what it was named for, joins.
void runtime::begin_by_decree(const group_entry& g, protocol::core_start& start) const {
  const bool journaled = g.how.durability == durability::journaled;
  std::vector<protocol::voter_id> founders;
  for (const auto& f : g.created->founders)
    if (const auto id = voter_of(f, journaled); id.identity != 0) founders.push_back(id);
  const auto first = protocol::founders_view(std::move(founders), start.witnesses, rules_of(g.how));
  if (find(*first, start.self)) start.state = protocol::founded_by_decree(first);
  else start.ever_founded = !journaled;  // it says so if nobody is left who holds the group
}

std::unique_ptr<group_core> runtime::core_for(const group_entry& g, const protocol::core_start& start,
                                              protocol::partition::recovered_ptr life, std::size_t groups) const {
  if (g.how.partitions == partition_policy::primary) return make_core(core_options_of(g.how, groups), start);
  protocol::partition::core_start s;
  s.self = start.self;
  const auto clock = std::chrono::system_clock::now().time_since_epoch();
  s.inc = static_cast<incarnation>(std::chrono::duration_cast<std::chrono::microseconds>(clock).count());
  s.founders = start.founders;
  s.founder = !start.ever_founded;
  s.state = std::move(life);
  return make_core(component_options_of(g.how), s);
}

/// On the protocol thread, or before there is one.
void runtime::begin(group& g, prepared p) {
  const auto index = g.entry->index;
  g.credit = std::make_shared<driver_credit>();
  g.driver = std::make_shared<group_driver>(g.entry, std::move(p.core), part_bytes_of(g.entry->how), p.last, *this, g.credit);
  std::error_code ignored;
  if (!p.goes_on) std::filesystem::remove(wrong_state_mark(index), ignored);  // it is given the others' state
  else begin_with_mark(g);
  if (g.entry->left) g.driver->retire();
  g.ordering = spawn_ordering(system_, unit_, g.driver, [this, index](const std::string& why) {
    if (const auto* now = groups_.find(index)) log_.write(log_level::warn, where(*now) + why);
  });
  g.membership = spawn_membership(system_, unit_);
  for (const auto& n : table_.nodes)
    if (n.present && n.number != self_ && (g.entry->created || to_index(n.number) >= table_.founders)) g.driver->know(n.number);
  process_calls calls;
  calls.finished = [credit = g.credit, ordering = g.ordering, limit = g.entry->how.backlog_bytes](work_ptr w) {
    auto before = credit->backlog();
    auto bytes = w->bytes;
    credit->finished(std::move(w));
    if (before > limit && before - bytes <= limit) cc::hand_over(ordering, credit_back{});
  };
  calls.failed = [this, ordering = g.ordering, name = g.entry->name](const std::string& why) {
    // Whatever came from now on could only end as `unknown`.
    cc::hand_over(ordering, accept_no_more{true});
    calls_.failed("the replica of group " + name + " threw: " + why);
  };
  g.process = spawn_process(system_, g.entry, services_for(g), std::move(calls));
  auto ended = std::make_shared<std::promise<void>>();
  g.process_ended = ended->get_future();
  caf::actor_cast<caf::abstract_actor*>(g.process)->attach_functor([ended](const caf::error&) { ended->set_value(); });

  if (p.checkpoint) {
    auto w = g.credit->fresh();
    w->ops.push_back(protocol::deliver_restore{p.checkpoint->at, p.checkpoint->chunks});
    deliver(index, std::move(w));
  } else if (p.state && p.state->founded && std::ranges::any_of(p.state->promises.base.in_force->roster, &protocol::roster_entry::active)) {
    // What is redone from the first entry on begins in the founders' view, as it did the first time.
    const auto& base = p.state->promises.base;
    protocol::deliver_view founders;
    founders.index = base.index;
    founders.time = base.time;
    founders.what = base.in_force;
    auto w = g.credit->fresh();
    w->ops.push_back(std::move(founders));
    deliver(index, std::move(w));
  }
  log_.write(log_level::info, p.line);
}

std::string runtime::host(const std::shared_ptr<group_entry>& entry, std::size_t groups, const std::function<bool()>& given_up) {
  const std::string gave_up = "the node stops";
  auto entered = std::make_shared<std::promise<std::string>>();
  auto in_file = entered->get_future();
  journal_->add(stored_as(*entry), [entered](const std::string& error) { entered->set_value(error); });
  if (!awaited(in_file, given_up)) return gave_up;
  if (const auto error = in_file.get(); !error.empty()) return error;
  auto g = std::make_shared<group>(entry);
  auto ready = std::make_shared<prepared>();
  try {
    *ready = prepare(*g, groups);  // here, and not on the protocol thread: other groups' heartbeats do not wait for a journal to be read
  } catch (const node_error& e) {
    return e.what();
  }
  auto begun = std::make_shared<std::promise<void>>();
  auto runs = begun->get_future();
  loop_->post([this, g, ready, begun] {
    groups_.put(g->entry->index, g);
    begin(*g, std::move(*ready));
    connect(*g);
    pulses_->configure(pulse_options_now());
    endpoint_->host(shown_as(*g));
    for (const auto& n : table_.nodes)  // a removed one may be in there, if no leader got to it before all stopped
      if (!n.present && std::ranges::find(leaving_nodes_, n.number) == leaving_nodes_.end()) leaving_nodes_.push_back(n.number);
    if (!leaving_nodes_.empty()) removal_->set_after(std::chrono::nanoseconds(0));
    begun->set_value();
  });
  return awaited(runs, given_up) ? std::string() : gave_up;
}

std::future<std::vector<catalogue::founder_line>> runtime::founders_now(std::uint32_t catalogue) {
  auto answer = std::make_shared<std::promise<std::vector<catalogue::founder_line>>>();
  auto future = answer->get_future();
  loop_->post([this, catalogue, answer] {
    std::vector<catalogue::founder_line> all;
    if (const auto in_force = groups_[catalogue].driver->status().in_force)
      for (const auto& e : in_force->roster)
        if (e.voter) all.push_back({e.id.member, e.id.identity, e.id.member == self_ ? boot_id_ : 0, false});
    for (const auto& l : endpoint_->links())
      for (auto& f : all)
        if (f.member == l.member && l.up && l.identity == f.directory_id) f.boot_id = l.boot_id;
    answer->set_value(std::move(all));
  });
  return future;
}

}  // namespace cohort::detail
