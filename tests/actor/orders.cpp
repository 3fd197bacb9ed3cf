// Messages of all orders through nodes: who hears what, and what the sender is answered.
#include "tests/actor/cluster.hpp"

#include <cohort/group.hpp>

#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <tuple>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

constexpr std::array all_orders{order::unordered, order::fifo, order::safe_fifo, order::causal, order::safe_causal, order::total};

struct heard_messages {
  std::mutex mutex;
  std::array<std::vector<std::string>, order_count> by_order;
  std::vector<std::string> of(order how) {
    std::lock_guard guard(mutex);
    return by_order[static_cast<std::size_t>(how)];
  }
  std::size_t count() {
    std::lock_guard guard(mutex);
    std::size_t all = 0;
    for (auto& messages : by_order) all += messages.size();
    return all;
  }
};

class ear final : public listener {
public:
  explicit ear(std::shared_ptr<heard_messages> out) : out_(std::move(out)) {}
  void deliver(const delivery_batch& batch) override {
    std::lock_guard guard(out_->mutex);
    const auto* at = reinterpret_cast<const char*>(batch.blob.data());
    for (auto size : batch.sizes) {
      out_->by_order[static_cast<std::size_t>(batch.how)].emplace_back(at, size);
      at += size;
    }
  }

private:
  std::shared_ptr<heard_messages> out_;
};

using ears = std::array<std::shared_ptr<heard_messages>, 3>;
ears three_ears() {
  return {std::make_shared<heard_messages>(), std::make_shared<heard_messages>(), std::make_shared<heard_messages>()};
}

contract everything(order by_default = order::total) {
  return contract::multicast(by_default, {order::unordered, order::fifo, order::safe_fifo, order::causal, order::safe_causal, order::total});
}

std::string text(int node, order how, int i) { return std::to_string(node) + ' ' + to_string(how) + ' ' + std::to_string(i); }

/// Submits `count` messages of each order and answers how many were `replied`.
std::size_t send_all(node& n, int number, int count) {
  auto port = n.port("room");
  std::uint64_t tag = 0;
  for (int i = 0; i < count; ++i)
    for (auto how : all_orders) {
      const auto message = text(number, how, i);
      port.submit(std::as_bytes(std::span(message)), ++tag, how);
    }
  port.flush();
  std::size_t answered = 0, replied = 0;
  completion_batch done;
  eventually([&] {
    if (port.take(done))
      for (std::size_t i = 0; i < done.size(); ++i, ++answered) replied += done[i].outcome == outcome::replied;
    return answered == tag;
  });
  return replied;
}

/// What one node sent, in the order in which it was heard.
std::vector<std::string> from(const std::vector<std::string>& all, int node) {
  std::vector<std::string> some;
  std::ranges::copy_if(all, std::back_inserter(some), [&](auto& m) { return m.starts_with(std::to_string(node) + ' '); });
  return some;
}

outcome submit(node& n, const std::string& message, std::optional<order> how = {}) {
  auto port = n.port("room");
  port.submit(std::as_bytes(std::span(message)), 1, how);
  port.flush();
  completion_batch done;
  if (!eventually([&] { return port.take(done); })) throw std::runtime_error("no completion came");
  return done[0].outcome;
}

}  // namespace

TEST_SUITE("orders") {
  TEST_CASE("each order from each node is heard by every listener, as its order promises") {
    for (auto how : {durability::journaled, durability::in_memory}) {
      CAPTURE(to_string(how));
      const auto heard = three_ears();
      cluster c(3, {}, [&](node& n, int i) {
        n.listen("room", [out = heard[i]] { return std::make_unique<ear>(out); }, everything().with(how));
      });
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      constexpr int each = 40;
      std::array<std::size_t, 3> replied{};
      std::vector<std::thread> senders;
      for (int i = 0; i < 3; ++i) senders.emplace_back([&, i] { replied[i] = send_all(c.at(i), i, each); });
      for (auto& s : senders) s.join();
      for (auto r : replied) CHECK(r == each * all_orders.size());
      CHECK(eventually([&] { return std::ranges::all_of(heard, [&](auto& h) { return h->count() == 3 * each * all_orders.size(); }); }));
      for (auto order : all_orders) {
        CAPTURE(to_string(order));
        auto first = heard[0]->of(order);
        for (auto& h : heard) {
          auto got = h->of(order);
          if (order == order::total) CHECK(got == first);
          for (int n = 0; n < 3 && order != order::unordered; ++n) {
            std::vector<std::string> sent;
            for (int i = 0; i < each; ++i) sent.push_back(text(n, order, i));
            CHECK(from(got, n) == sent);
          }
          std::ranges::sort(got);
          auto same = first;
          std::ranges::sort(same);
          CHECK(got == same);
          CHECK(std::ranges::adjacent_find(got) == got.end());
        }
      }
    }
  }

  TEST_CASE("a message with a deadline ends once, as delivered everywhere or as expired everywhere") {
    const auto heard = three_ears();
    cluster c(3, {}, [&](node& n, int i) {
      n.listen("room", [out = heard[i]] { return std::make_unique<ear>(out); }, everything());
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto port = c.at(1).port("room");
    std::uint64_t tag = 0, answered = 0, replied = 0, expired = 0;
    completion_batch done;
    const auto take = [&] {
      while (port.take(done))
        for (std::size_t i = 0; i < done.size(); ++i, ++answered) {
          replied += done[i].outcome == outcome::replied;
          expired += done[i].outcome == outcome::expired;
        }
    };
    // A millisecond is about what ordering takes here: some make it, some do not.
    for (int i = 0; i < 400; ++i) {
      const auto message = text(1, order::total, i);
      port.submit(std::as_bytes(std::span(message)), ++tag, {order::total, 1ms});
      port.flush();
      std::this_thread::sleep_for(200us);
      take();
    }
    REQUIRE(eventually([&] { return take(), answered == tag; }));
    CHECK(replied + expired == tag);
    CHECK(eventually([&] { return heard[0]->count() == replied && heard[1]->count() == replied && heard[2]->count() == replied; }));
    CHECK(heard[0]->of(order::total) == heard[1]->of(order::total));
    CHECK(heard[0]->of(order::total) == heard[2]->of(order::total));
  }

  TEST_CASE("without an order it is the contract's default one; what is not enabled is refused") {
    const auto heard = three_ears();
    cluster c(3, {}, [&](node& n, int i) {
      n.listen("room", [out = heard[i]] { return std::make_unique<ear>(out); }, contract::multicast(order::causal, {order::fifo}));
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    CHECK(submit(c.at(0), "plain") == outcome::replied);
    CHECK(submit(c.at(1), "first in, first out", order::fifo) == outcome::replied);
    CHECK(submit(c.at(2), "everywhere the same", order::total) == outcome::not_enabled);
    CHECK(submit(c.at(0), "nobody cares", order::unordered) == outcome::not_enabled);
    caf::scoped_actor self(actor_system_of(c.at(1)));
    auto group = group_handle(c.at(1), "room");
    outcome became = outcome::replied;
    const auto failed = [&](const caf::error& e) { became = outcome_of(e); };
    self->request(group, 10s, std::string("by name"), order::fifo).receive([](const std::string&) {}, failed);
    CHECK(became == outcome::replied);
    self->request(group, 10s, std::string("by default")).receive([](const std::string&) {}, failed);
    CHECK(became == outcome::replied);
    self->request(group, 10s, std::string("by mistake"), order::total).receive([](const std::string&) {}, failed);
    CHECK(became == outcome::not_enabled);
    for (auto& h : heard) {
      CHECK(eventually([&] { return h->count() == 4; }));
      CHECK(h->of(order::causal).size() == 2);
      CHECK(h->of(order::fifo) == std::vector<std::string>{"first in, first out", "by name"});
    }
  }

  TEST_CASE("a listener beside a state machine hears all, the state machine total order alone") {
    const auto heard = three_ears();
    std::array<std::shared_ptr<journal_of_messages>, 3> kept;
    for (auto& k : kept) k = std::make_shared<journal_of_messages>();
    cluster c(3, {}, [&](node& n, int i) {
      n.replicate("room", [out = kept[i]] { return std::make_unique<recorder>(out); }, everything(),
                  [out = heard[i]] { return std::make_unique<ear>(out); });
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    constexpr int each = 20;
    for (int i = 0; i < 3; ++i) CHECK(send_all(c.at(i), i, each) == each * all_orders.size());
    for (int i = 0; i < 3; ++i) {
      CHECK(eventually([&] { return heard[i]->count() == 3 * each * all_orders.size(); }));
      std::lock_guard guard(kept[i]->mutex);
      CHECK(kept[i]->messages == heard[0]->of(order::total));
    }
  }

  TEST_CASE("who was away for too long is told exactly what it was not delivered, before what comes after that") {
    using batch_name = std::tuple<std::string, incarnation, lane, std::uint64_t>;
    struct heard_batches {
      std::mutex mutex;
      std::vector<batch_name> all;      ///< of the newest life
      std::vector<delivery_gap> gaps;
      std::size_t before_gap = 0;
      log_index newest = 0;
      group_view newest_view;
      std::optional<group_view> first_active;  ///< of the newest life
    };
    class register_of_batches final : public listener {
    public:
      explicit register_of_batches(std::shared_ptr<heard_batches> out) : out_(std::move(out)) {
        std::lock_guard guard(out_->mutex);
        out_->all.clear();
        out_->gaps.clear();
        out_->first_active.reset();
      }
      void deliver(const delivery_batch& b) override {
        std::lock_guard guard(out_->mutex);
        out_->all.emplace_back("n" + std::to_string(to_index(b.sender) + 1), b.sender_incarnation, lane_of(b.how), b.number);
        out_->newest = b.index;
      }
      void view_changed(const group_view& view) override {
        std::lock_guard guard(out_->mutex);
        out_->newest_view = view;
        if (view.active_here && !out_->first_active) out_->first_active = view;
      }
      void gap(const delivery_gap& missed) override {
        std::lock_guard guard(out_->mutex);
        out_->before_gap = out_->all.size();
        out_->gaps.push_back(missed);
      }

    private:
      std::shared_ptr<heard_batches> out_;
    };
    for (const auto kind : {durability::journaled, durability::in_memory}) {
      CAPTURE(to_string(kind));
      std::array<std::shared_ptr<heard_batches>, 3> heard;
      for (auto& h : heard) h = std::make_shared<heard_batches>();
      const auto how = everything().with(kind).with(&contract::checkpoint_bytes, std::uint64_t{64} << 10);
      cluster c(3, {}, [&](node& n, int i) {
        n.listen("room", [out = heard[i]] { return std::make_unique<register_of_batches>(out); }, how);
      });
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      CHECK(send_all(c.at(2), 2, 5) == 5 * all_orders.size());
      c.kill(2);
      const std::string much(2000, 'x');
      auto gone = [&] {
        for (int k = 0; k < 100; ++k) submit(c.at(k % 2), much, all_orders[static_cast<std::size_t>(k) % all_orders.size()]);
      };
      gone();
      REQUIRE(eventually([&] { return c.at(0).status("room").members.size() == 3 && c.serves(0); }));
      gone();
      gone();
      c.start(2);
      REQUIRE(eventually([&] { return c.all_serve(); }));
      CHECK(submit(c.at(2), "back", order::total) == outcome::replied);
      CHECK(submit(c.at(0), "the end", order::total) == outcome::replied);
      const auto settled = [&] {
        std::scoped_lock guard(heard[0]->mutex, heard[2]->mutex);
        return heard[0]->newest == heard[2]->newest && heard[2]->all.size() >= 2;
      };
      CHECK(eventually(settled));
      std::scoped_lock guard(heard[0]->mutex, heard[2]->mutex);
      // Who stayed knows whom it stayed with; who came is told of nobody.
      const auto& with = heard[0]->newest_view.together;
      CHECK(std::ranges::count(with, "n1") == 1);
      CHECK(std::ranges::count(with, "n2") == 1);
      REQUIRE(heard[2]->first_active);
      CHECK(heard[2]->first_active->together.empty());
      auto whole = heard[0]->all;
      std::ranges::sort(whole);
      whole.erase(std::ranges::unique(whole).begin(), whole.end());
      auto had = heard[2]->all;
      if (kind == durability::in_memory) {
        // Its process knows nothing of its former life: it is a new member, and missed nothing.
        CHECK(heard[2]->gaps.empty());
        CHECK(had.size() < whole.size());
        continue;
      }
      REQUIRE(heard[2]->gaps.size() == 1);
      const auto& gap = heard[2]->gaps.front();
      CHECK(gap.complete);
      CHECK(!gap.in_state);
      CHECK(gap.after < gap.index);
      CHECK(gap.from_position <= gap.position);
      CHECK(heard[2]->before_gap < had.size());
      for (const auto& run : gap.runs)
        for (auto n = run.from; n <= run.to; ++n) had.emplace_back(run.sender, run.sender_incarnation, run.lane, n);
      std::ranges::sort(had);
      CHECK(std::ranges::adjacent_find(had) == had.end());  // nothing both delivered and missed
      CHECK(had == whole);
    }
  }
}
