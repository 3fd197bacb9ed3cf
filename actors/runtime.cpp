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

}  // namespace

std::uint64_t runtime::random_bits() {
  std::random_device device;
  std::uint64_t bits = 0;
  while (bits == 0) bits = (std::uint64_t{device()} << 32) | device();
  return bits;
}

// ---- start ----------------------------------------------------------------------------------------------------------

runtime::runtime(const node_config& config, std::shared_ptr<known_nodes> nodes, std::vector<std::shared_ptr<group_entry>> groups,
                 caf::actor_system& system, logger& log, runtime_calls calls, std::vector<std::uint32_t> give_up)
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
  for (auto& entry : groups) groups_.put(entry->index, std::make_shared<group>(entry));
  // What a peer says of a group that comes later must not be lost, so there is room for all from the start.
  const std::size_t places = config_.catalogue ? group_places : groups_.size();
  schedule_.resize(places);
  pulses_ = std::make_unique<protocol::pulses>(pulse_options_now(), places, *this);
  try {
    open_journal(std::move(give_up));
    chunk_loads_ = std::make_unique<bulk_worker>();
    checkpoints_ = std::make_unique<bulk_worker>();
    unit_ = std::make_shared<pinned_unit>(system_, *loop_);
    for (auto& g : groups_) begin(g, prepare(g, groups_.size()));
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
  for (auto& g : groups_) connect(g);
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

void runtime::open_journal(std::vector<std::uint32_t> give_up) {
  persistence::options o;
  o.directory = config_.data;
  o.node = config_.name;
  o.mode = config_.one_flush ? persistence::durability::one_flush : persistence::durability::sync;
  o.quota_bytes = config_.journal_quota;
  o.give_up = std::move(give_up);
  for (auto& g : groups_) {
    o.groups.push_back(stored_as(*g.entry));
  }
  auto opened = persistence::open(
    o, {.on_durable =
          [this](std::uint32_t place, protocol::journal_position up_to) {
            // Behind these calls for one group come those for the next one at its place, which enters when it is gone.
            loop_->post([this, place, up_to] {
              if (auto* g = groups_.at_place(place)) g->driver->persisted(up_to);
            });
          },
        .on_trouble = [this](const persistence::trouble& t) { loop_->post([this, t] { journal_trouble(t); }); }});
  if (!opened.opened) throw node_error(opened.error);
  journal_ = std::move(opened.opened);
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
    c.groups.push_back(shown_as(g));
    message_bytes = std::max(message_bytes, part_bytes_of(g.entry->how));
  }
  c.limits.frame_bytes_max = transport::frame_bytes_for(std::max(message_bytes, defaults.part_bytes), defaults.batch_bytes);
  endpoint_ = std::make_unique<transport::endpoint>(*loop_, std::move(c), *this);
  if (auto error = endpoint_->start(); !error.empty()) throw node_error(error);
  if (config_.catalogue) endpoint_->tell_nodes(table_);
  log_.write(log_level::info, "listening on " + config_.listen + " (links are not encrypted)");
  discovery_ = std::make_unique<discovery>(config_, node_names(), log_, [this](const std::string& name, auto places) {
    loop_->post([this, name, places = std::move(places)]() mutable {
      if (const auto who = nodes_->number_of(name)) endpoint_->propose(*who, std::move(places));
    });
  });
}

// ---- the protocol thread --------------------------------------------------------------------------------------------

void runtime::pass() {
  const auto now = transport::loop::clock();
  if (const auto stood_still = pulses_->check(now); stood_still > 0ms)
    log_.write(log_level::warn, "this node itself stood still for " + std::to_string(stood_still / 1ms) +
                                  " ms (paused, starved of CPU or swapping); its groups' evidence about others counts anew");
  schedule_.touch_due(now);
  schedule_.run([this](std::uint32_t place) {
    auto* g = groups_.at_place(place);
    if (!g) return;  // deleted in this very turn
    auto& driver = *g->driver;
    driver.pass();
    passes_.fetch_add(1, std::memory_order_relaxed);
    schedule_.set(place, driver.next_deadline());
    if (driver.hungry()) waiting_.push_back(place);
  });
  if (pulses_->due(now)) send_pulses();
  if (drained_ && drained_dry()) {
    drained_->set_value();
    drained_.reset();
  }
  const auto is_stored = [this] {  // or cannot be
    for (const auto& g : groups_)
      if (g.driver->status().checkpoint < g.checkpoint_goal) return !journal_->stats().trouble.empty();
    return true;
  };
  if (stored_ && is_stored()) {
    stored_->set_value();
    stored_.reset();
  }
  turns_.fetch_add(1, std::memory_order_relaxed);
  const bool soon = !again_.empty() || schedule_.anything_ready();
  for (auto* list : {&again_, &waiting_}) {
    for (auto place : *list) schedule_.touch(place);
    list->clear();
  }
  deadline_->set(soon ? protocol::instant(0) : std::min(schedule_.next(), pulses_->next_deadline()));
}

bool runtime::drained_dry() const {
  for (const auto& g : groups_)
    if (!g.driver->idle() || g.driver->status().handing_over) return false;
  return true;
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

std::size_t runtime::payload_queued(member_id peer) const { return endpoint_->payload_queued(peer); }

bool runtime::append(std::uint32_t group, std::span<protocol::persist_op> ops) { return journal_->append(place_of(group), ops); }

void runtime::deliver(std::uint32_t group, work_ptr w) { cc::hand_over(groups_[group].process, std::move(w)); }

void runtime::touch(std::uint32_t group) {
  if (auto* g = groups_.find(group)) g->driver->touch();
}

void runtime::on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) {
  if (auto* g = groups_.find(group)) g->driver->receive(from, std::move(what));
}

void runtime::on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) {
  if (!pulses_->linked(peer.member)) pulses_->link_up(peer.member);
  if (!groups_.find(group)) return;
  if (log_.wants(log_level::debug))
    log_.write(log_level::debug, where(groups_[group]) + "link to " + name_of(peer.member) + " is up" + (blank ? ", it is blank" : ""));
  groups_[group].driver->link_up(peer, blank);
}

void runtime::on_group_down(std::uint32_t group, member_id peer) {
  if (auto* g = groups_.find(group)) g->driver->link_down(peer, false);
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
  const auto end = std::chrono::steady_clock::now() + limit;
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  auto bound = std::make_shared<std::promise<std::chrono::milliseconds>>();
  auto longest = bound->get_future();
  loop_->post([this, bound] {
    auto most = 0ms;
    for (auto& g : groups_) {
      most = std::max(most, g.entry->how.outcome_bound);
      // Through the mailboxes, behind what ports have flushed before.
      cc::hand_over(g.ordering, accept_no_more{false});
      cc::hand_over(g.ordering, lead_no_more{});
    }
    bound->set_value(most);
  });
  loop_->post([this, done] { drained_ = done; });
  // A quarter stays for the checkpoints, however long submissions may take by their contracts.
  const auto resolved = std::min(std::chrono::steady_clock::now() + longest.get() + 100ms, end - limit / 4);
  if (future.wait_until(resolved) == std::future_status::timeout)
    log_.write(log_level::warn, "stopping: some submissions are not resolved and end as unknown");
  auto kept = std::make_shared<std::promise<void>>();
  future = kept->get_future();
  loop_->post([this, kept] {
    for (auto& g : groups_)
      if (g.driver->rules().options.durable) g.checkpoint_goal = g.driver->want_checkpoint();
    stored_ = kept;
  });
  kept.reset();
  if (future.wait_until(end) == std::future_status::timeout)
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
  nodes_->on_change({});
  const auto cut_off = [this] {  // not while the protocol thread may begin a group
    for (auto& g : groups_) disconnect(g);
  };
  if (!protocol_thread_.joinable()) cut_off();
  if (protocol_thread_.joinable()) {
    loop_->post([this, cut_off] {
      cut_off();
      drained_.reset();
      stored_.reset();
      endpoint_->stop();
      loop_->stop();
    });
    protocol_thread_.join();
  }
  discovery_.reset();
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
  const auto deadline = std::chrono::steady_clock::now() + process_patience;
  const auto wait_for = [&](group& g) {
    if (!g.process || g.process_ended.wait_until(deadline) == std::future_status::ready) return;
    log_.write(log_level::error, "group=" + g.entry->name + " the state machine does not come back from a call for 10 s; "
                                                            "the process ends without it");
    std::quick_exit(1);
  };
  for (auto& g : groups_) wait_for(g);
  for (auto& g : ending_) wait_for(*g);
}

}  // namespace cohort::detail
