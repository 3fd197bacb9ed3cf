// Group drivers whose links and disks are the test's: nothing is on a disk before it says so. Time is real.
#include "actors/group_driver.hpp"
#include "actors/replica.hpp"

#include "persistence/checkpoints.hpp"
#include "transport/checksum.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <thread>

using namespace cohort;
using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

struct flying {
  unsigned from = 0, to = 0;
  protocol::message what;
};

struct member final : driver_host {
  unsigned self = 0;
  std::deque<flying>* air = nullptr;
  std::shared_ptr<driver_credit> credit = std::make_shared<driver_credit>();
  std::unique_ptr<group_driver> driver;
  std::vector<std::function<void()>> next;  ///< what the node around it does after the pass
  bool disk_works = true;
  protocol::journal_position appended = 0, durable = 0, installed = 0;
  std::optional<protocol::mark> checkpoint;
  std::size_t delivered = 0, restored = 0;
  bool restored_too_early = false;
  std::vector<bool> contact;  ///< with a quorum, as the replica was told

  void send(std::uint32_t, std::span<const member_id> targets, const protocol::message& what) override {
    for (auto t : targets) air->push_back({self, static_cast<unsigned>(to_index(t)), what});
  }
  bool append(std::uint32_t, std::span<protocol::persist_op> ops) override {
    appended = ops.back().position;
    for (auto& op : ops)
      if (std::holds_alternative<protocol::persist_install>(op.what)) installed = op.position;
    return true;
  }
  void deliver(std::uint32_t, work_ptr w) override {
    for (auto& op : w->ops) {
      if (auto* b = std::get_if<protocol::deliver_batch>(&op)) delivered += b->what.sizes.size();
      if (auto* r = std::get_if<protocol::deliver_restore>(&op)) {
        ++restored;
        restored_too_early |= durable < installed;
        next.push_back([this, index = r->at.index] { driver->restored(index); });
      }
      if (auto* c = std::get_if<protocol::deliver_checkpoint>(&op))
        next.push_back([this, at = c->at] {
          checkpoint = at;
          driver->checkpoint_stored(at.index, 1);
        });
    }
    if (w->primary) contact.push_back(*w->primary);
    answer_all(w->runs, outcome::replied);
    credit->finished(std::move(w));
  }
  void happened(std::uint32_t, const protocol::event& e) override {
    if (e.kind != protocol::event_kind::chunk_wanted) return;
    next.push_back([this, e] {
      protocol::payload data;
      if (checkpoint && checkpoint->index == e.index)
        data = persistence::one_message(e.number == 0 ? protocol::encode_mark(*checkpoint, 1, &transport::checksum)
                                                      : std::vector<std::byte>(10));
      driver->chunk_loaded(e.member, e.index, static_cast<std::uint32_t>(e.number), std::move(data));
    });
  }
  void view_installed(std::uint32_t, const protocol::deliver_view&) override {}
  void again(std::uint32_t) override {}
};

class group_of_three {
public:
  explicit group_of_three(protocol::slow_policy slow = protocol::slow_policy::exclude,
                          const std::function<void(protocol::core_options&)>& adjust = {}) {
    entry->name = std::string("g");
    entry->how.outcome_bound = 60s;
    protocol::core_options o;
    o.heartbeat = 20ms;
    o.election_min = o.wedge_wait = 150ms;
    o.election_max = o.pull_wait = 300ms;
    o.fail_after = 400ms;
    o.checkpoint_bytes = 4096;
    o.slow = slow;
    if (slow != protocol::slow_policy::exclude) o.lane_window = 64 << 10;
    if (adjust) adjust(o);
    for (unsigned i = 0; i < 3; ++i) {
      auto& m = at(i);
      m.self = i;
      m.air = &air;
      protocol::core_start start;
      start.self = id(i);
      start.seed = i + 1;
      start.checksum = &transport::checksum;
      for (unsigned k = 0; k < 3; ++k) start.founders.push_back(member_id(k));
      m.driver = std::make_unique<group_driver>(entry, o, start, 0, m, m.credit);
    }
    for (unsigned a = 0; a < 3; ++a)
      for (unsigned b = 0; b < 3; ++b)
        if (a != b) at(a).driver->link_up(id(b), true);
    REQUIRE(until([&] { return std::ranges::all_of(members, [](auto& m) { return m.driver->status().primary; }); }));
  }

  static protocol::voter_id id(unsigned i) { return {member_id(i), 100 + i}; }
  member& at(unsigned i) { return members[i]; }
  unsigned leader() {
    unsigned found = 3;
    REQUIRE(until([&] {
      for (unsigned i = 0; i < 3; ++i)
        if (at(i).driver->status().is_leader && at(i).driver->status().primary) found = i;
      return found < 3;
    }));
    return found;
  }

  /// What was written in the last step is on the disk now; then inputs, then what follows from them.
  void step() {
    for (auto& m : members) {
      if (m.disk_works && m.appended > m.durable) m.driver->persisted(m.durable = m.appended);
      for (auto& what : std::exchange(m.next, {})) what();
      m.driver->pass();
    }
    for (auto n = air.size(); n > 0; --n) {
      auto f = std::move(air.front());
      air.pop_front();
      if (!cut[f.from][f.to]) at(f.to).driver->receive(id(f.from), std::move(f.what));
    }
    for (auto& m : members) m.driver->pass();
    std::this_thread::sleep_for(1ms);
  }
  bool until(const std::function<bool()>& done, std::chrono::milliseconds limit = 15s) {
    for (auto end = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < end; step())
      if (done()) return true;
    return done();
  }
  void submit(unsigned i, const std::shared_ptr<port_state>& port, std::uint64_t tag, std::size_t bytes) {
    auto block = std::make_unique<submission_block>();
    block->blob.resize(bytes);
    block->sizes = {static_cast<std::uint32_t>(bytes)};
    block->runs = {{tag, 1}};
    block->flushed = std::chrono::steady_clock::now().time_since_epoch();
    port->queued += bytes + sizeof(std::uint32_t);
    port->inbox.push_back(std::move(block));
    at(i).driver->take(port);
  }
  void link(unsigned a, unsigned b, bool up) {
    for (auto [here, there] : {std::pair(a, b), std::pair(b, a)}) {
      cut[here][there] = !up;
      if (up) at(here).driver->link_up(id(there), false);
      else at(here).driver->link_down(member_id(there), false);
    }
  }

  std::shared_ptr<group_entry> entry = std::make_shared<group_entry>();
  std::shared_ptr<port_state> port = std::make_shared<port_state>(entry, port_wake{});
  std::deque<flying> air;
  member members[3];
  bool cut[3][3] = {};
};

std::vector<std::pair<std::uint64_t, outcome>> answers(port_state& port) {
  std::vector<std::pair<std::uint64_t, outcome>> all;
  for (std::size_t i = 0; i < port.ready.size(); ++i) all.emplace_back(port.ready[i].tag, port.ready[i].outcome);
  port.ready.clear();
  return all;
}

using told = std::vector<std::pair<std::uint64_t, outcome>>;

}  // namespace

TEST_SUITE("driver") {
  TEST_CASE("a vote that is not on the voter's disk elects nobody") {
    group_of_three g;
    const auto a = g.leader(), b = (a + 1) % 3, c = (a + 2) % 3;
    g.at(b).disk_works = false;
    for (auto other : {b, c}) g.cut[a][other] = g.cut[other][a] = true;
    const auto led = [&] { return g.at(b).driver->status().is_leader || g.at(c).driver->status().is_leader; };
    CHECK_FALSE(g.until(led, 1500ms));
    g.at(b).disk_works = true;
    CHECK(g.until(led));
  }

  TEST_CASE("nothing is delivered that only the leader's disk holds") {
    group_of_three g;
    const auto a = g.leader(), b = (a + 1) % 3, c = (a + 2) % 3;
    g.at(b).disk_works = g.at(c).disk_works = false;
    g.submit(a, g.port, 7, 10);
    CHECK_FALSE(g.until([&] { return g.at(a).delivered + g.at(b).delivered + g.at(c).delivered > 0; }, 300ms));
    CHECK(answers(*g.port) == told{});
    g.at(b).disk_works = true;  // two of three
    CHECK(g.until([&] { return g.at(a).delivered == 1; }));
    CHECK(answers(*g.port) == told{{7, outcome::replied}});
    g.at(c).disk_works = true;
    CHECK(g.until([&] { return g.at(c).delivered == 1; }));
  }

  TEST_CASE("a member that does not keep up is waited for, or refuses what it has no room for: as the rules say") {
    for (auto slow : {protocol::slow_policy::wait, protocol::slow_policy::reject}) {
      CAPTURE(static_cast<int>(slow));
      group_of_three g(slow);
      const auto a = g.leader(), c = (a + 2) % 3;
      g.at(c).disk_works = false;
      for (std::uint64_t tag = 1; tag <= 8; ++tag) g.submit(a, g.port, tag, 20'000);
      told got;
      const auto refused = [&] {
        for (auto& answer : answers(*g.port)) got.push_back(answer);
        return std::ranges::count(got, outcome::busy, [](auto& answer) { return answer.second; });
      };
      g.until([&] { return refused() > 0; }, 1000ms);
      if (slow == protocol::slow_policy::wait) CHECK(refused() == 0);
      else CHECK(refused() > 0);
      g.at(c).disk_works = true;
      CHECK(g.until([&] { return refused(), got.size() == 8; }));
      CHECK(std::ranges::count(got, outcome::replied, [](auto& answer) { return answer.second; }) == 8 - refused());
      CHECK(g.at(a).driver->status().in_force->number == 0);  // nobody was excluded
      g.submit(a, g.port, 9, 20'000);
      CHECK(g.until([&] { return refused(), got.size() == 9; }));
      CHECK(got.back() == std::pair(std::uint64_t{9}, outcome::replied));
    }
  }

  TEST_CASE("a minority that goes on refuses what needs the quorum, and takes what the same flush brings beside it (V17)") {
    group_of_three g(protocol::slow_policy::exclude, [](auto& o) {
      o.orders = {order::fifo, order::causal, order::total};
      o.minority_multicast = true;
      o.part_bytes = 64 << 10;
    });
    const auto a = g.leader();
    g.link(a, (a + 1) % 3, false);
    g.link(a, (a + 2) % 3, false);
    REQUIRE(g.until([&] { return !g.at(a).driver->status().primary; }));
    CHECK(g.at(a).contact == std::vector<bool>{true, false});
    auto other = std::make_shared<port_state>(g.entry, port_wake{});
    const auto flush = [&](const std::shared_ptr<port_state>& port, std::vector<std::pair<order, std::uint32_t>> messages) {
      auto block = std::make_unique<submission_block>();
      std::uint64_t tag = 0;
      for (const auto& [how, bytes] : messages) {
        block->blob.resize(block->blob.size() + bytes);
        block->sizes.push_back(bytes);
        block->runs.push_back({++tag, 1, how});
        port->queued += bytes + sizeof(std::uint32_t);
      }
      block->flushed = std::chrono::steady_clock::now().time_since_epoch();
      port->inbox.push_back(std::move(block));
      g.at(a).driver->take(port);
    };
    const auto before = g.at(a).delivered;
    flush(g.port, {{order::total, 10}, {order::causal, 20}, {order::total, 200'000}, {order::fifo, 30}, {order::total, 40}});
    flush(other, {{order::fifo, 10}});
    CHECK(g.until([&] { return g.at(a).delivered == before + 3; }, 2s));
    auto got = answers(*g.port);
    std::ranges::sort(got);
    CHECK(got == told{{1, outcome::no_quorum}, {2, outcome::replied}, {3, outcome::no_quorum}, {4, outcome::replied}, {5, outcome::no_quorum}});
    CHECK(answers(*other) == told{{1, outcome::replied}});
    CHECK(g.port->queued == 0);
  }

  TEST_CASE("at the end, what is under way is unknown, what the core has not taken is stopped") {
    group_of_three g;
    const auto a = g.leader();
    for (auto& m : g.members) m.disk_works = false;
    g.submit(a, g.port, 1, 10);
    g.until([] { return false; }, 30ms);
    g.submit(a, g.port, 2, 10);
    g.at(a).driver->abandon();
    CHECK(answers(*g.port) == told{{2, outcome::stopped}, {1, outcome::unknown}});
  }

  TEST_CASE("who comes back by a checkpoint: restored when it is on the disk, own messages it may hold are unknown") {
    group_of_three g;
    const auto a = g.leader(), b = (a + 1) % 3, c = (a + 2) % 3;
    g.cut[a][c] = g.cut[b][c] = true;  // c is still heard
    g.submit(c, g.port, 5, 10);
    REQUIRE(g.until([&] { return g.at(a).delivered == 1; }));
    g.link(a, c, false);
    g.link(b, c, false);
    REQUIRE(g.until([&] {
      const auto s = g.at(a).driver->status();
      return s.primary && s.in_force->number > 0;
    }));
    auto other = std::make_shared<port_state>(g.entry, port_wake{});
    const auto behind = g.at(c).driver->status().applied;
    // The log begins at the older of two checkpoints, and the second one comes only when it pays: after 256 KiB.
    for (std::uint64_t tag = 1; g.at(a).driver->status().base <= behind && tag < 200; ++tag) {
      g.submit(a, other, tag, 20'000);
      g.until([] { return false; }, 5ms);
    }
    REQUIRE(g.at(a).driver->status().base > behind);
    CHECK(answers(*g.port) == told{});
    g.link(a, c, true);
    g.link(b, c, true);
    REQUIRE(g.until([&] { return g.at(c).restored > 0 && g.at(c).driver->status().primary; }));
    CHECK_FALSE(g.at(c).restored_too_early);
    CHECK(answers(*g.port) == told{{5, outcome::unknown}});
  }

  TEST_CASE("a checkpoint of which a chunk is gone is not restored") {
    struct reader final : state_machine {
      void apply(const delivery&, reply&) override {}
      void query(std::span<const std::byte>, reply&) const override {}
      void checkpoint(sink&) const override {}
      void restore(source& in) override {
        std::vector<std::byte> all(in.left());
        in.read(all);
      }
    };
    auto entry = std::make_shared<group_entry>();
    entry->make_machine = [] { return std::make_unique<reader>(); };
    std::uint32_t gone = 0;
    replica_services services;
    services.load_chunk = [&](log_index, std::uint32_t number, std::string&) {
      if (number == gone || number > 3) return protocol::payload();
      return persistence::one_message(std::vector<std::byte>(number < 3 ? persistence::chunk_bytes : 9));
    };
    services.restored = [](log_index) {};
    replica r(entry, services);
    for (gone = 0; gone <= 3; ++gone) {
      work w;
      w.ops.push_back(protocol::deliver_restore{{}, 3});
      if (gone == 0) CHECK_NOTHROW(r.run(w));
      else CHECK_THROWS_AS(r.run(w), truncated_checkpoint);
    }
  }
}
