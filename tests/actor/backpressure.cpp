// What senders and members live with when somebody cannot keep up.
#include "tests/actor/cluster.hpp"

#include <cohort/group.hpp>

#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// A valve in front of an application: shut, it takes nothing.
class valve {
public:
  void set(bool open) {
    std::lock_guard guard(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return open_; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
};

class counting final : public state_machine {
public:
  explicit counting(std::shared_ptr<valve> gate, std::shared_ptr<std::atomic<std::uint64_t>> count) : gate_(std::move(gate)), count_(std::move(count)) {
    *count_ = 0;
  }
  void apply(const delivery&, reply&) override {
    gate_->pass();
    ++*count_;
  }
  void checkpoint(sink& out) const override { out.write_u64(*count_); }
  void restore(source& in) override { *count_ = in.read_u64(); }

private:
  std::shared_ptr<valve> gate_;
  std::shared_ptr<std::atomic<std::uint64_t>> count_;
};

/// A cluster of "room", whose state machines stand behind a valve each.
struct gated {
  std::vector<std::shared_ptr<valve>> gates;
  std::vector<std::shared_ptr<std::atomic<std::uint64_t>>> counts;
  std::unique_ptr<cluster> c;

  gated(int size, contract how) {
    for (int i = 0; i < size; ++i) {
      gates.push_back(std::make_shared<valve>());
      counts.push_back(std::make_shared<std::atomic<std::uint64_t>>());
    }
    c = std::make_unique<cluster>(size, how, [this, how](node& n, int i) {
      n.replicate("room", [gate = gates[static_cast<std::size_t>(i)], count = counts[static_cast<std::size_t>(i)]] {
        return std::unique_ptr<state_machine>(std::make_unique<counting>(gate, count));
      }, how);
    });
    c->start_all();
  }
  ~gated() {
    for (auto& g : gates) g->set(true);
  }
};

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_SUITE("backpressure") {
  TEST_CASE("an actor whose messages find no room is told when to try again, and when there is room") {
    auto how = contract::replicated().with(durability::in_memory);
    how.single = true;
    how.queue_bytes = 64u << 10;
    how.backlog_bytes = 1;
    how.outcome_bound = 30s;
    gated g(1, how);
    REQUIRE(eventually([&] { return g.c->all_serve(); }));
    {
      caf::actor_system_config config;
      caf::actor_system system(config);
      caf::scoped_actor self(system), other(system);
      auto room = group_handle(g.c->at(0), "room");
      g.gates[0]->set(false);
      const std::string message(8u << 10, 'x');
      bool told = false;
      std::chrono::milliseconds wait{};
      for (int i = 0; i < 1000 && !told; ++i) {
        self->send(room, message);
        self->receive([&](const group_busy& b) { told = b.group == "room", wait = b.retry_after; }, caf::after(2ms) >> [] {});
      }
      REQUIRE(told);
      CHECK(wait >= 1ms);
      CHECK(wait <= 30s);
      std::optional<std::chrono::milliseconds> hint;
      outcome what = outcome::replied;
      other->request(room, 10s, message).receive([](const std::string&) {}, [&](const caf::error& e) { what = outcome_of(e), hint = retry_after(e); });
      CHECK(what == outcome::busy);
      REQUIRE(hint);
      CHECK(*hint >= 1ms);
      CHECK_FALSE(retry_after(make_error(outcome::no_quorum)));
      g.gates[0]->set(true);
      for (auto* who : {&self, &other}) {
        bool resumed = false;
        while (!resumed) {
          bool late = false;
          (*who)->receive([&](const group_resumed& r) { resumed = r.group == "room"; }, [](const group_busy&) {},
                          caf::after(10s) >> [&] { late = true; });
          REQUIRE_FALSE(late);
        }
      }
      std::string answer = "?";
      self->request(room, 10s, message).receive([&](const std::string& reply) { answer = reply; }, [](const caf::error&) {});
      CHECK(answer.empty());
    }
  }

  TEST_CASE("a member that takes nothing at full load: memory stays within the windows, by each policy") {
    // A minute in all. COHORT_SLOW_SECONDS: how long it takes nothing under each of the three.
    const char* given = std::getenv("COHORT_SLOW_SECONDS");
    const auto patience = std::chrono::seconds(given ? std::atoi(given) : 20);
    for (const auto policy : {slow_member::exclude, slow_member::wait, slow_member::reject}) {
      CAPTURE(std::string(to_string(policy)));
      auto how = contract::replicated().with(durability::in_memory).with(policy);
      how.lane_window = 1u << 20;
      how.backlog_bytes = 1u << 20;
      how.queue_bytes = 1u << 20;
      how.checkpoint_bytes = 1u << 20;
      gated g(3, how);
      REQUIRE(eventually([&] { return g.c->all_serve(); }));
      const int slow = g.c->at(0).status("room").role == "leader" ? 1 : 0, busy = slow == 0 ? 1 : 2;
      g.gates[static_cast<std::size_t>(slow)]->set(false);
      auto port = g.c->at(busy).port("room");
      const std::string message(16u << 10, 'x');
      std::uint64_t sent = 0, replied = 0, refused_ones = 0, most = 0, most_resident = 0;
      const auto resident_before = resident_bytes();
      completion_batch done;
      const auto end = std::chrono::steady_clock::now() + patience;
      auto look = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() < end) {
        if (sent - replied - refused_ones < 200) {
          for (int i = 0; i < 20; ++i) port.submit(std::as_bytes(std::span(message)), ++sent);
          port.flush();
        }
        bool busy_now = false;
        while (port.take(done))
          for (std::size_t i = 0; i < done.size(); ++i) {
            ++(done[i].outcome == outcome::replied ? replied : refused_ones);
            busy_now |= done[i].outcome == outcome::busy;
          }
        if (busy_now) std::this_thread::sleep_for(2ms);
        if (std::chrono::steady_clock::now() - look < 50ms) continue;
        look = std::chrono::steady_clock::now();
        for (int i = 0; i < 3; ++i) {
          const auto s = g.c->at(i).status("room");
          most = std::max(most, s.memory_bytes + s.backlog_bytes);
        }
        most_resident = std::max(most_resident, resident_bytes());
      }
      // Three lanes of two windows and a part; since the last two checkpoints; two backlogs and what one pass may add to them.
      const std::uint64_t bound = 3 * (2 * how.lane_window + (32u << 10)) + 2 * (8u << 20) + 2 * how.backlog_bytes + 2 * how.lane_window;
      MESSAGE(std::string(to_string(policy)), ": ", replied, " of ", sent, " answered, at most ", most >> 10, " KiB held of ", bound >> 10);
      CHECK(most <= bound);
      // Whatever holds it: links' queues, mailboxes, ports and their blocks, the allocator.
      const auto grown = most_resident - std::min(most_resident, resident_before);
      MESSAGE("the process of all three nodes grew by ", grown >> 10, " KiB");
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed
      CHECK(grown < 3 * bound);
#endif
      CHECK(replied > 0);
      if (policy == slow_member::exclude) CHECK(replied > 500);  // the others go on without it
      if (policy == slow_member::reject) CHECK(refused_ones > 0);
      g.gates[static_cast<std::size_t>(slow)]->set(true);
      CHECK(eventually([&] { return g.c->all_serve(); }, 30s));
      CHECK(eventually([&] { return g.c->submit(busy, "after") == outcome::replied; }, 30s));
      CHECK(eventually([&] { return *g.counts[0] == *g.counts[1] && *g.counts[1] == *g.counts[2]; }, 30s));
    }
  }
}
