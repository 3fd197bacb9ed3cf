#pragma once

#include "framework/simulation/clock.hpp"
#include "framework/simulation/driver.hpp"
#include "framework/simulation/profile.hpp"

#include <array>
#include <deque>
#include <set>

namespace cohort::sim {

/// How the messages between two processes fare.
struct network_state {
  std::vector<std::vector<bool>> cut;              ///< [from][to]
  std::vector<std::vector<std::int64_t>> slow;     ///< [from][to], extra microseconds
  unsigned extra_loss = 0;                         ///< per mille, everywhere
};

/// A whole group in virtual time: one event queue keyed by (time, sequence), members that run production cores and
/// write production records, and models of network, disks and clocks. What happens is a function of the scenario.
class world final : public surroundings {
public:
  world(const scenario& s, const workload& app, checkers& watchers, protocol::checksum_fn sum);
  ~world() override;

  protocol::instant now() const { return now_; }
  /// Runs events up to `until`; false once a property is broken.
  bool run_until(protocol::instant until);
  const std::string& broken() const { return broken_; }
  void fail(std::string why);

  // ---- what fault scripts do
  unsigned members() const { return static_cast<unsigned>(nodes_.size()); }
  bool up(unsigned node) const { return nodes_[node].alive != nullptr; }
  const protocol::core* core_of(unsigned node) const;
  int leader() const;
  void start(unsigned node);
  /// `evidence`: the others see their links reset.
  void crash(unsigned node, bool evidence);
  void wipe(unsigned node);
  void pause(unsigned node, protocol::duration d);
  void reset_link(unsigned a, unsigned b);
  void slow_disk(unsigned node, std::int64_t factor) { nodes_[node].disk_slowness = factor; }
  /// From here on disks are as fast as disks are: slow ones are a fault like others.
  void mend_disks() { scenario_.sync_most = std::min<std::int64_t>(scenario_.sync_most, 5000); scenario_.sync_least = std::min<std::int64_t>(scenario_.sync_least, 1000); }
  /// What clients ask from here on may take its time.
  void lift_deadlines() { scenario_.deadline_share = 0; }
  /// Tells the member to let another lead.
  void hand_over(unsigned node) {
    if (nodes_[node].alive) give(node, nodes_[node].alive->who().number, in_hand_over{}, {});
  }
  /// A member's operator asks for a change of the view.
  void request(unsigned node, protocol::change_kind kind, unsigned who, const protocol::view_options& options) {
    if (nodes_[node].alive) give(node, nodes_[node].alive->who().number, in_request{kind, static_cast<member_id>(who), options}, {});
  }
  bool witness(unsigned node) const { return node + scenario_.witnesses >= members(); }
  std::vector<member_id> witnesses() const;
  /// The process whose member has left ends; started anew when `on_left` says so.
  std::function<void(unsigned node)> on_left;
  void step_clock(unsigned node, std::chrono::microseconds by) { nodes_[node].clock.step(by); }
  std::chrono::microseconds clock_offset(unsigned node) const { return nodes_[node].clock.offset(); }
  network_state& network() { return network_; }
  /// Whether the group can go on for ever without this voter identity (wipes; crashes in volatile groups).
  bool expendable(unsigned node) const;
  /// Nobody's going can lose anything: the newest view that a running member has installed is journaled, and no log knows of one
  /// behind it that is not.
  bool all_on_disk() const;
  bool paused(unsigned node) const { return nodes_[node].paused_until > now_; }
  /// Another living member knows the group.
  bool founded_beside(unsigned node) const;
  /// Calls at a time; how fault scripts and clients plan.
  void at(protocol::instant when, std::function<void()> what);
  random& chance() { return chance_; }
  void steady(bool on) {
    for (const auto& c : watchers_) c->steady(on ? members() : 0);
  }
  /// Told of every vote that leaves and every leader elected.
  std::function<void(unsigned node, const protocol::message&)> on_vote;
  std::function<void(unsigned node)> on_elected;

  // ---- clients
  std::uint64_t call(unsigned client, unsigned node, operation::kind what, unsigned key);
  /// A session's request, as it is written.
  std::uint64_t submit(unsigned client, unsigned node, std::vector<std::byte> request);
  /// A member's application multicasts a message of `bytes` bytes, at least 16, that is like no other.
  void multicast(unsigned node, order how, std::size_t bytes);
  std::function<void(const operation&)> on_returned;
  const std::deque<operation>& operations() const { return operations_; }

  // ---- report
  std::uint64_t trace_hash() const { return hash_; }
  std::uint64_t events() const { return events_; }
  /// Messages given to the network, one for each receiver.
  std::uint64_t messages_sent() const { return sent_; }
  bool tracing = false;
  const scenario& plan() const { return scenario_; }
  driver* process(unsigned node) { return nodes_[node].alive.get(); }

  // ---- surroundings
  void transmit(const life& from, member_id to, const protocol::message& what) override;
  void transmit(const life& from, member_id to, const protocol::pulse& what) override;
  void disk_has_work(const life& l) override;
  void chunk_wanted(const life& l, member_id to, log_index index, std::uint32_t number) override;
  void happened(const life& l, const protocol::event& e) override;
  operation& op(std::uint64_t number) override { return operations_[number - 1]; }
  void returned(operation& o, operation::outcome result) override;
  const checkers& watchers() override { return watchers_; }

private:
  struct link_end {
    bool up = false;
    std::uint64_t session = 0;
    protocol::instant last_arrival{};
  };
  struct node {
    std::unique_ptr<disk> storage;
    std::unique_ptr<driver> alive;
    clock_model clock{0, {}};
    std::vector<link_end> links;
    protocol::instant paused_until{};
    protocol::instant pass_at = protocol::never;
    protocol::instant wake_at = protocol::never;
    protocol::instant restart_wall_least{};
    std::int64_t disk_slowness = 1;
    bool disk_busy = false;
    std::uint64_t lives = 0;
  };
  enum class event_type : std::uint8_t { message, pass, wake, input, sync_done, connect, link_lost, call };
  struct event {
    protocol::instant at{};
    std::uint64_t sequence = 0;
    event_type type{};
    std::uint16_t a = 0, b = 0;
    std::uint64_t x = 0, y = 0;     ///< life or session numbers, counts
    std::uint32_t slot = 0;         ///< in the pool of messages, inputs or calls
    bool flag = false;
  };
  struct flight {
    protocol::voter_id from;
    std::variant<protocol::message, protocol::pulse> what;
  };

  std::uint64_t begin(operation o, in_operation i);
  void fly(const life& from, member_id to, std::variant<protocol::message, protocol::pulse> what);
  void push(event e);
  void handle(const event& e);
  void give(unsigned node, std::uint64_t life_number, input what, protocol::duration after);
  void plan_pass(unsigned node, protocol::instant when);
  void plan_wake(unsigned node);
  void run_pass(unsigned node);
  void plan_sync(unsigned node);
  void connect(unsigned a, unsigned b);
  void plan_connect(unsigned a, unsigned b, protocol::duration after);
  void drop_end(unsigned at, unsigned peer, bool reset);
  bool blank(unsigned node) const;
  bool real_disks() const { return scenario_.core.durable || scenario_.switches_durability; }
  void note(std::uint64_t what, std::uint64_t a, std::uint64_t b);
  void say(const std::string& text);
  void check();

  scenario scenario_;
  const workload& app_;
  checkers& watchers_;
  protocol::checksum_fn sum_;
  random chance_;
  network_state network_;
  std::vector<node> nodes_;
  protocol::view_ptr decree_;  ///< null: the founders find each other
  protocol::instant now_{};
  std::uint64_t sequence_ = 0;
  std::vector<event> queue_;
  std::vector<flight> flights_;
  std::vector<std::uint32_t> free_flights_;
  std::map<std::uint32_t, input> inputs_;
  std::map<std::uint32_t, std::function<void()>> calls_;
  std::uint32_t next_input_ = 0, next_call_ = 0;
  std::uint64_t lives_ = 0, sessions_ = 0, values_ = 0;
  std::deque<operation> operations_;
  std::uint64_t hash_ = 0, events_ = 0, sent_ = 0;
  std::string broken_;
};

}  // namespace cohort::sim
