#include "actors/runtime.hpp"

#include "actors/group_rules.hpp"
#include "framework/protocol/recovered_state.hpp"
#include "transport/checksum.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>
#include <random>

namespace cohort::detail {
namespace {

using namespace std::chrono_literals;

/// How long an application may take to come to an end at a stop.
constexpr auto process_patience = 10s;

std::uint64_t random_bits() {
  std::random_device device;
  std::uint64_t bits = 0;
  while (bits == 0) bits = (std::uint64_t{device()} << 32) | device();
  return bits;
}

/// Keeps a pipe's writer from waiting for a reader that will never come.
struct pipe_end {
  std::shared_ptr<checkpoint_pipe> pipe;
  explicit pipe_end(std::shared_ptr<checkpoint_pipe> p) : pipe(std::move(p)) {}
  ~pipe_end() { pipe->abort(); }
};

}  // namespace

// ---- ports' side ----------------------------------------------------------------------------------------------------

class runtime::link_to_group final : public group_link {
public:
  link_to_group(runtime& owner, std::uint32_t index) : owner_(&owner), index_(index) {
    ordering_ = owner.groups_[index].ordering;
    process_ = owner.groups_[index].process;
  }

  void flushed(std::shared_ptr<port_state> port) override {
    {
      std::lock_guard guard(mutex_);
      if (owner_) return cc::hand_over(ordering_, port_flushed{std::move(port)});
    }
    port->refuse_inbox(outcome::stopped);
  }

  void ask(std::shared_ptr<question_set> questions) override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(process_, std::move(questions));
  }

  void calls_changed() override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(ordering_, detail::calls_changed{});
  }

  group_status status() override {
    if (auto now = on_protocol_thread<group_status>([](runtime& r, const group& g) { return r.status_of(g); })) return *now;
    group_status none;
    none.role = "stopped";
    return none;
  }

  std::optional<group_rules> rules() override {
    return on_protocol_thread<group_rules>([](runtime&, const group& g) { return g.driver->rules(); });
  }

  void change(change_asked what) override {
    {
      std::lock_guard guard(mutex_);
      if (owner_) {
        const auto who = owner_->nodes_->number_of(what.member).value_or(no_member);
        return cc::hand_over(ordering_, change_wanted{who, std::move(what)});
      }
    }
    what.done({false, "the node's part of the group is stopped"});
  }

  void end() {
    std::lock_guard guard(mutex_);
    owner_ = nullptr;
    ordering_ = nullptr;
    process_ = nullptr;
  }

private:
  /// Empty if the runtime ended with the question in its queue, or does not get to it.
  template <class T, class F>
  std::optional<T> on_protocol_thread(F ask) {
    auto answer = std::make_shared<std::promise<T>>();
    auto future = answer->get_future();
    {
      std::lock_guard guard(mutex_);
      if (owner_)
        owner_->loop_->post([owner = owner_, index = index_, ask, answer] {
          answer->set_value(ask(*owner, owner->groups_[index]));
        });
    }
    answer.reset();
    if (future.wait_for(1s) != std::future_status::ready) return {};
    try {
      return future.get();
    } catch (const std::future_error&) {
      return {};
    }
  }

  std::mutex mutex_;
  runtime* owner_;
  const std::uint32_t index_;
  caf::actor ordering_, process_;
};

// ---- start ----------------------------------------------------------------------------------------------------------

runtime::runtime(const node_config& config, std::shared_ptr<known_nodes> nodes, std::vector<std::shared_ptr<group_entry>> groups,
                 caf::actor_system& system, logger& log, runtime_calls calls)
    : config_(config),
      system_(system),
      log_(log),
      calls_(std::move(calls)),
      nodes_(std::move(nodes)),
      boot_id_(random_bits()),
      loop_(std::make_unique<transport::loop>()) {
  table_ = nodes_->now();
  const auto own = nodes_->number_of(config_.name);
  if (!own) throw node_error("an operator removed node " + config_.name + " from the cluster. To take part again it is added anew, and "
                             "started with another data directory");
  self_ = *own;
  for (auto& entry : groups) {
    groups_.push_back({entry});
    groups_.back().heartbeat = entry->how.heartbeat;
    groups_.back().election_min = entry->how.election_min;
  }
  schedule_.resize(groups_.size());
  pulses_ = std::make_unique<protocol::pulses>(pulse_options_now(), groups_.size(), *this);
  try {
    open_journal();
    chunk_loads_ = std::make_unique<bulk_worker>();
    checkpoints_ = std::make_unique<bulk_worker>();
    unit_ = std::make_shared<pinned_unit>(system_, *loop_);
    for (auto& g : groups_) start_group(g);
    open_endpoint();
  } catch (...) {
    end();
    throw;
  }
  deadline_ = std::make_unique<transport::timer>(*loop_, [] {});
  removal_ = std::make_unique<transport::timer>(*loop_, [this] { settle_removed(); });
  nodes_->on_change([this] { loop_->post([this] { nodes_changed(); }); });
  loop_->post([this] { nodes_changed(); });  // what changed since the table was looked at
  loop_->add_pass_hook(transport::loop::order_drain, [this] { pass(); });
  protocol_thread_ = std::thread([this] { loop_->run(); });
  for (auto& g : groups_) {
    g.link = std::make_shared<link_to_group>(*this, g.entry->index);
    g.entry->run_by(g.link);
  }
}

/// The node's heartbeats serve the group that wants the quickest.
protocol::pulse_options runtime::pulse_options_now() const {
  protocol::pulse_options o;
  o.interval = o.echo_age_max = std::chrono::hours(1);
  for (auto& g : groups_) {
    o.interval = std::min(o.interval, g.heartbeat);
    o.echo_age_max = std::min(o.echo_age_max, g.election_min);
  }
  o.silence_max = o.echo_age_max / 2;
  return o;
}

void runtime::open_journal() {
  persistence::options o;
  o.directory = config_.data;
  o.node = config_.name;
  o.mode = config_.one_flush ? persistence::durability::one_flush : persistence::durability::sync;
  o.quota_bytes = config_.journal_quota;
  for (auto& g : groups_) {
    bool in_memory = g.entry->how.durability == durability::in_memory;
    o.groups.push_back({g.entry->index, g.entry->name, in_memory ? config_.epoch : 1, in_memory});
  }
  auto opened = persistence::open(
    o, {.on_durable =
          [this](std::uint32_t group, protocol::journal_position up_to) {
            loop_->post([this, group, up_to] { groups_[group].driver->persisted(up_to); });
          },
        .on_trouble = [this](const persistence::trouble& t) { loop_->post([this, t] { journal_trouble(t); }); }});
  if (!opened.opened) throw node_error(opened.error);
  journal_ = std::move(opened.opened);
}

void runtime::start_group(group& g) {
  auto index = g.entry->index;
  bool journaled = g.entry->how.durability == durability::journaled;
  const auto witnesses = witnesses_of(g);
  g.witness = std::ranges::binary_search(witnesses, self_);
  protocol::recovery recovered;
  if (g.witness) recovered.without_payload();
  auto contents = persistence::recover(*journal_, index, recovered);
  if (!contents.damage.empty()) throw node_error(contents.damage);

  g.voter = journaled ? journal_->identity().directory_id : boot_id_;
  protocol::core_start start;
  start.self = {self_, g.voter};
  start.seed = random_bits();
  start.checksum = &transport::checksum;
  for (std::size_t i = 0; i < table_.founders; ++i) start.founders.push_back(member_id(i));
  start.witnesses = witnesses;
  g.blank = contents.blank && !contents.founded;
  start.blank = g.blank;
  start.ever_founded = contents.founded;
  if (journaled && !contents.blank) {
    start.state = recovered.finish();
    // D10: a member whose journal lost what it promised must not go on under its old vote.
    if (!start.state)
      throw node_error("the journal of group " + std::string(g.entry->name) + " in " + config_.data.string() +
                       " is damaged: " + recovered.why() +
                       ". Move the data directory away; the node then comes back as a learner and is given the state");
  }

  g.credit = std::make_shared<driver_credit>();
  g.driver = driver_for(g, start, recovered.last_position());
  if (g.entry->left) g.driver->retire();
  g.ordering = spawn_ordering(system_, unit_, g.driver, [this, index](const std::string& why) {
    log_.write(log_level::warn, where(groups_[index]) + why);
  });
  g.membership = spawn_membership(system_, unit_);
  for (const auto& n : table_.nodes)
    if (n.present && to_index(n.number) >= table_.founders && n.number != self_) g.driver->know(n.number);
  process_calls calls;
  calls.finished = [credit = g.credit, ordering = g.ordering, limit = g.entry->how.backlog_bytes](work_ptr w) {
    auto before = credit->backlog();
    auto bytes = w->bytes;
    credit->finished(std::move(w));
    if (before > limit && before - bytes <= limit) cc::hand_over(ordering, credit_back{});
  };
  calls.failed = [this, index](const std::string& why) {
    // Whatever came from now on could only end as `unknown`.
    cc::hand_over(groups_[index].ordering, accept_no_more{true});
    calls_.failed("the replica of group " + groups_[index].entry->name + " threw: " + why);
  };
  g.process = spawn_process(system_, g.entry, services_for(g), std::move(calls));
  auto ended = std::make_shared<std::promise<void>>();
  g.process_ended = ended->get_future();
  caf::actor_cast<caf::abstract_actor*>(g.process)->attach_functor([ended](const caf::error&) { ended->set_value(); });

  // W1: a witness keeps no state.
  if (auto checkpoint = journaled && !g.witness ? journal_->newest_checkpoint(index) : std::nullopt) {
    auto w = g.credit->fresh();
    w->ops.push_back(protocol::deliver_restore{checkpoint->at, checkpoint->chunks});
    deliver(index, std::move(w));
  } else if (start.state && start.state->founded) {
    // What is redone from the first entry on begins in the founders' view, as it did the first time.
    const auto& base = start.state->promises.base;
    protocol::deliver_view founders;
    founders.index = base.index;
    founders.time = base.time;
    founders.what = base.in_force;
    auto w = g.credit->fresh();
    w->ops.push_back(std::move(founders));
    deliver(index, std::move(w));
  }
  log_.write(log_level::info,
             "group=" + g.entry->name + " " + (journaled ? "journaled" : "volatile") + ", " +
               (g.entry->how.partitions == partition_policy::partitionable ? "begins in a component of its own"
                : start.blank ? "blank: waits for all founders"
                            : std::to_string(contents.records) + " journal records read, last position " +
                                std::to_string(contents.last)));
}

std::shared_ptr<group_driver> runtime::driver_for(const group& g, const protocol::core_start& start,
                                                  protocol::journal_position durable) {
  const auto& how = g.entry->how;
  if (how.partitions == partition_policy::primary)
    return std::make_shared<group_driver>(g.entry, core_options_of(how, groups_.size()), start, durable, *this, g.credit);
  protocol::partition::core_start s;
  s.self = start.self;
  const auto clock = std::chrono::system_clock::now().time_since_epoch();
  s.inc = static_cast<incarnation>(std::chrono::duration_cast<std::chrono::microseconds>(clock).count());
  s.founders = start.founders;
  s.founder = !start.ever_founded;
  return std::make_shared<group_driver>(g.entry, make_core(component_options_of(how), s, rules_of(how)), part_bytes_of(how), durable,
                                        *this, g.credit);
}

void runtime::open_endpoint() {
  transport::endpoint_config c;
  c.name = config_.name;
  c.member = self_;
  c.directory_id = journal_->identity().directory_id;
  c.boot_id = boot_id_;
  c.epoch = config_.epoch;
  auto listen = parse_address(config_.listen, "the listening address");
  c.listen = {listen.host, listen.port};
  std::size_t message_bytes = 0;
  protocol::core_options defaults;
  for (std::size_t i = 0; i < config_.members.size(); ++i) {
    auto& m = config_.members[i];
    c.founders.push_back({member_id(i), m.name, m.address});
  }
  for (const auto& n : table_.nodes) {
    if (n.number == self_) continue;
    if (n.present) c.peers.push_back({n.number, configured_places(config_, {n.name, n.address}), n.name});
    else leaving_nodes_.push_back(n.number);
  }
  c.cluster = config_.cluster;
  c.compress = config_.compression == "zstd";
  (void)transport::parse_name_servers(config_.name_servers, c.name_servers);  // checked with the configuration
  for (auto& g : groups_) {
    c.groups.push_back({g.entry->index, g.entry->name, contract_hash(g), g.voter, g.blank, founding_hash(g)});
    message_bytes = std::max(message_bytes, part_bytes_of(g.entry->how));
  }
  c.limits.frame_bytes_max = transport::frame_bytes_for(std::max(message_bytes, defaults.part_bytes), defaults.batch_bytes);
  endpoint_ = std::make_unique<transport::endpoint>(*loop_, std::move(c), *this);
  if (auto error = endpoint_->start(); !error.empty()) throw node_error(error);
  if (config_.catalogue) endpoint_->tell_nodes(table_);
  log_.write(log_level::info, "listening on " + config_.listen + " (links are not encrypted)");
  discovery_ = std::make_unique<discovery>(config_, log_, [this](const std::string& name, auto places) {
    loop_->post([this, name, places = std::move(places)]() mutable {
      if (const auto who = nodes_->number_of(name)) endpoint_->propose(*who, std::move(places));
    });
  });
}

/// Whatever all members must agree on: nodes whose hashes differ refuse each other.
std::uint64_t runtime::contract_hash(const group& g) const {
  auto text = g.entry->name + '\n' + agreed_text(g.entry->how);
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
  for (unsigned i = 0; i < g.entry->how.witnesses; ++i)
    all.push_back(nodes_->number_of(config_.witnesses.at(i)).value_or(no_member));
  std::ranges::sort(all);
  return all;
}

replica_services runtime::services_for(const group& g) {
  replica_services s;
  s.nodes = nodes_;
  s.self = self_;
  s.witness = g.witness;
  auto index = g.entry->index;
  s.cold = config_.data / "cold" / ("group-" + std::to_string(index));
  s.log = [this, index](const std::string& line) { log_.write(log_level::info, "group=" + groups_[index].entry->name + " " + line); };
  s.load_chunk = [this, index](log_index at, std::uint32_t number, std::string& why) {
    return journal_->load_chunk(index, at, number, &why);
  };
  s.offer = [this, index](protocol::partition::component_id view, std::vector<std::byte> state) {
    cc::hand_over(groups_[index].ordering, offer_done{view, std::move(state)});
  };
  s.send_answers = [this, index](member_id to, protocol::call_answers what) {
    cc::hand_over(groups_[index].ordering, answers_made{to, std::move(what)});
  };
  s.store_checkpoint = [this, index](const protocol::mark& at, const std::function<void(sink&)>& write) {
    store_checkpoint(groups_[index], at, write);
  };
  return s;
}

/// On the replica's thread: it only pays for writing its state into memory, a bulk thread feeds the journal.
void runtime::store_checkpoint(const group& g, const protocol::mark& at, const std::function<void(sink&)>& write) {
  auto pipe = std::make_shared<checkpoint_pipe>();
  auto end = std::make_shared<pipe_end>(pipe);
  checkpoints_->post([end, pipe, ordering = g.ordering, writer = journal_->store_checkpoint(g.entry->index, at),
                      index = at.index] {
    if (!pipe->drain(*writer))
      return cc::hand_over(ordering, checkpoint_done{index, 0, "the state could not be written"});
    writer->finish([ordering, index](std::uint32_t chunks, const std::string& error) {
      cc::hand_over(ordering, checkpoint_done{index, chunks, error});
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

// ---- the protocol thread --------------------------------------------------------------------------------------------

void runtime::pass() {
  const auto now = transport::loop::clock();
  if (const auto stood_still = pulses_->check(now); stood_still > 0ms)
    log_.write(log_level::warn, "this node itself stood still for " + std::to_string(stood_still / 1ms) +
                                  " ms (paused, starved of CPU or swapping); its groups' evidence about others counts anew");
  schedule_.touch_due(now);
  schedule_.run([this](std::uint32_t index) {
    auto& driver = *groups_[index].driver;
    driver.pass();
    passes_.fetch_add(1, std::memory_order_relaxed);
    schedule_.set(index, driver.next_deadline());
    if (driver.hungry()) waiting_.push_back(index);
  });
  if (pulses_->due(now)) send_pulses();
  if (drained_ && drained_dry()) {
    drained_->set_value();
    drained_.reset();
  }
  const auto is_stored = [this](const group& g) {  // or cannot be
    return g.driver->status().checkpoint >= g.checkpoint_goal || !journal_->stats().trouble.empty();
  };
  if (stored_ && std::all_of(groups_.begin(), groups_.end(), is_stored)) {
    stored_->set_value();
    stored_.reset();
  }
  turns_.fetch_add(1, std::memory_order_relaxed);
  const bool soon = !again_.empty() || schedule_.anything_ready();
  for (auto* list : {&again_, &waiting_}) {
    for (auto index : *list) schedule_.touch(index);
    list->clear();
  }
  deadline_->set(soon ? protocol::instant(0) : std::min(schedule_.next(), pulses_->next_deadline()));
}

bool runtime::drained_dry() const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [](const group& g) { return g.driver->idle() && !g.driver->status().handing_over; });
}

/// Behind all cores' passes, so that a pulse says what is true when it leaves (Q3).
void runtime::send_pulses() {
  const auto now = transport::loop::clock();
  for (std::size_t i = 0; i < table_.nodes.size(); ++i)
    if (const auto peer = member_id(i); pulses_->linked(peer)) endpoint_->send(peer, pulses_->compose(peer, now));
  pulses_->sent(now);
}

void runtime::tell_contacts(std::uint32_t group, group_core& to) {
  for (std::size_t i = 0; i < table_.nodes.size(); ++i)
    if (const auto peer = member_id(i); peer != self_) to.contact(peer, pulses_->contact(peer, group));
}

void runtime::on_pulse(member_id peer, const protocol::pulse& what) {
  // Read now and not at the begin of the pass: E5 and leases count from a moment at which it had been sent (Q5).
  pulses_->receive(peer, what, transport::loop::clock());
}

void runtime::send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what) {
  endpoint_->send(group, targets, what);
}

bool runtime::append(std::uint32_t group, std::span<protocol::persist_op> ops) { return journal_->append(group, ops); }

void runtime::deliver(std::uint32_t group, work_ptr w) { cc::hand_over(groups_[group].process, std::move(w)); }

void runtime::on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) {
  groups_[group].driver->receive(from, std::move(what));
}

void runtime::on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) {
  if (!pulses_->linked(peer.member)) pulses_->link_up(peer.member);
  if (log_.wants(log_level::debug))
    log_.write(log_level::debug, where(groups_[group]) + "link to " + name_of(peer.member) + " is up" + (blank ? ", it is blank" : ""));
  groups_[group].driver->link_up(peer, blank);
}

void runtime::on_link_down(member_id peer, bool reset) {
  for (auto& g : groups_) g.driver->link_down(peer, reset);
  const std::string evidence = reset ? "its end of the link was closed: its process ended"
                                     : "the link to it went silent: it hangs, or the network is cut";
  calls_.watch->node_down(name_of(peer), reset ? down_reason::ended : down_reason::partitioned, evidence);
  // Once for all groups. An operator can tell a crash from a partition by this line.
  log_.write(log_level::info, "evidence for " + std::to_string(groups_.size()) + (groups_.size() == 1 ? " group: " : " groups: ") +
                                name_of(peer) + ": " + evidence);
  pulses_->link_down(peer);  // when all have been told what counted until now (Q5)
}

// ---- the end --------------------------------------------------------------------------------------------------------

void runtime::drain(std::chrono::nanoseconds limit) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  auto bound = 0ms;
  for (auto& g : groups_) bound = std::max(bound, g.entry->how.outcome_bound);
  // Through the mailboxes, behind what ports have flushed before.
  for (auto& g : groups_) {
    cc::hand_over(g.ordering, accept_no_more{false});
    cc::hand_over(g.ordering, lead_no_more{});
  }
  loop_->post([this, done] { drained_ = done; });
  if (future.wait_for(bound + 100ms) == std::future_status::timeout)
    log_.write(log_level::warn, "stopping: some submissions are not resolved and end as unknown");
  auto kept = std::make_shared<std::promise<void>>();
  future = kept->get_future();
  loop_->post([this, kept] {
    for (auto& g : groups_)
      if (g.entry->how.durability == durability::journaled) g.checkpoint_goal = g.driver->want_checkpoint();
    stored_ = kept;
  });
  kept.reset();
  if (future.wait_for(limit) == std::future_status::timeout)
    log_.write(log_level::warn, "stopping: the last checkpoint is not stored in time; the next start has more to redo");
}

void runtime::nudge() {
  loop_->post([] {});
}

runtime::~runtime() { end(); }

/// Order matters: nobody may call what is gone. Ports first, then the loop with its actors, then the processes (whose
/// answers still reach the ports), then bulk work, then the journal.
void runtime::end() {
  if (std::exchange(ended_, true)) return;
  discovery_.reset();
  nodes_->on_change({});
  for (auto& g : groups_)
    if (g.link) {
      g.entry->run_by(nullptr);
      g.link->end();
    }
  if (protocol_thread_.joinable()) {
    loop_->post([this] {
      drained_.reset();
      stored_.reset();
      endpoint_->stop();
      loop_->stop();
    });
    protocol_thread_.join();
  }
  for (auto& g : groups_) {
    if (g.ordering) cc::hand_over(g.ordering, actor_stop{});
    if (g.membership) cc::hand_over(g.membership, actor_stop{});
  }
  if (unit_) unit_->finish();
  deadline_.reset();
  removal_.reset();
  endpoint_.reset();
  for (auto& g : groups_)
    for (auto& port : g.entry->open_ports()) port->refuse_inbox(outcome::stopped);
  end_processes();
  calls_.watch->runtime_ended();
  checkpoints_.reset();
  chunk_loads_.reset();
  journal_.reset();
}

void runtime::end_processes() {
  for (auto& g : groups_)
    if (g.process) cc::hand_over(g.process, process_stop{});
  auto deadline = std::chrono::steady_clock::now() + process_patience;
  for (auto& g : groups_) {
    if (!g.process || g.process_ended.wait_until(deadline) == std::future_status::ready) continue;
    log_.write(log_level::error, "group=" + g.entry->name + " the state machine does not come back from a call for 10 s; "
                                                            "the process ends without it");
    std::quick_exit(1);
  }
}

}  // namespace cohort::detail
