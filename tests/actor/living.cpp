// Groups that change while they run: members leave and are removed, rules change, witnesses vote.
#include "tests/actor/cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

change_result result(std::future<change_result> of) {
  if (of.wait_for(40s) != std::future_status::ready) return {false, "no answer came"};
  return of.get();
}

/// Submits one message after the other at one node, and keeps what was acknowledged.
class load {
public:
  load(cluster& where, int at) : worker_([this, &where, at] {
      for (int i = 0; !ending_; ++i) {
        auto text = std::to_string(at) + '/' + std::to_string(i);
        const auto became = where.submit(at, text);
        if (became == outcome::replied) acknowledged_.push_back(text);
        if (became == outcome::not_member || became == outcome::stopped) break;
        sent_ = i + 1;
      }
    }) {}
  ~load() { end(); }
  bool sends(int more) {
    const int goal = sent_ + more;
    return eventually([&] { return sent_ >= goal; });
  }
  const std::vector<std::string>& end() {
    ending_ = true;
    if (worker_.joinable()) worker_.join();
    return acknowledged_;
  }

private:
  std::atomic<bool> ending_{false};
  std::atomic<int> sent_{0};
  std::vector<std::string> acknowledged_;
  std::thread worker_;
};

/// How many messages of two orders were heard.
struct counts {
  std::atomic<int> causal{0}, total{0};
};

class counter final : public listener {
public:
  explicit counter(counts& out) : out_(out) {}
  void deliver(const delivery_batch& batch) override {
    (batch.how == order::total ? out_.total : out_.causal) += static_cast<int>(batch.sizes.size());
  }

private:
  counts& out_;
};

/// Again and again, also past a change of the leader that leaves a submission open.
bool gets_through(cluster& c, int at, const std::string& text) {
  return eventually([&] { return c.submit(at, text) == outcome::replied; }, 30s);
}

bool has_all(cluster& c, int at, const std::vector<std::string>& wanted) {
  return eventually([&] {
    auto held = c.messages(at);
    std::ranges::sort(held);
    return std::ranges::all_of(wanted, [&](auto& w) { return std::ranges::binary_search(held, w); });
  });
}

int leader_of(cluster& c) {
  int found = -1;
  eventually([&] {
    for (int i = 0; i < 3; ++i)
      if (c.running(i) && c.at(i).status("room").role == "leader") found = i;
    return found >= 0;
  });
  return found;
}

}  // namespace

TEST_SUITE("living") {
  TEST_CASE("a member leaves under load, also the one that leads; nothing that was acknowledged is lost") {
    for (bool leading : {false, true}) {
      CAPTURE(leading);
      cluster c(3, {});
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      const int leader = leader_of(c), goes = leading ? leader : (leader + 1) % 3, stays = (goes + 1) % 3, other = (goes + 2) % 3;
      std::vector<std::string> acknowledged;
      {
        load a(c, stays), b(c, goes);
        CHECK(a.sends(20));
        CHECK(b.sends(20));
        const auto left = result(c.at(goes).leave("room"));
        CHECK_MESSAGE(left.done, left.why);
        CHECK(a.sends(20));
        acknowledged = a.end();
        const auto& last_words = b.end();
        acknowledged.insert(acknowledged.end(), last_words.begin(), last_words.end());
      }
      CHECK(eventually([&] { return c.at(goes).status("room").role == "left"; }));
      CHECK(c.submit(goes, "from outside") == outcome::not_member);
      CHECK(result(c.at(goes).leave("room")).why == "this node has left the group");
      CHECK(has_all(c, stays, acknowledged));
      CHECK(has_all(c, other, acknowledged));
      const auto members = c.at(stays).status("room").members;
      CHECK(members.size() == 2);
      CHECK(c.at(goes).failure().empty());
      // It comes back as a new member, and catches up.
      c.stop(goes);
      c.start(goes);
      CHECK(eventually([&] { return c.serves(goes); }));
      CHECK(has_all(c, goes, acknowledged));
    }
  }

  TEST_CASE("the node that left a group goes on with its others, also after its replicas were started again") {
    std::array<std::shared_ptr<journal_of_messages>, 3> hall, room;
    for (auto& h : hall) h = std::make_shared<journal_of_messages>();
    for (auto& r : room) r = std::make_shared<journal_of_messages>();
    cluster c(3, {}, [&](node& n, int i) {
      n.replicate("room", [out = room[i]] { return std::make_unique<recorder>(out); }, contract{});
      n.replicate("hall", [out = hall[i]] { return std::make_unique<recorder>(out); }, contract{});
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    REQUIRE(eventually([&] { return c.at(1).status("hall").primary && c.at(1).status("hall").active; }));
    const auto left = result(c.at(1).leave("room"));
    REQUIRE_MESSAGE(left.done, left.why);
    const auto in_hall = [&](const std::string& text) {
      auto port = c.at(1).port("hall");
      port.submit(std::as_bytes(std::span(text)), 1);
      port.flush();
      completion_batch done;
      return eventually([&] { return port.take(done); }) && done[0].outcome == outcome::replied;
    };
    CHECK(in_hall("still here"));
    hall[1]->explosions = 1;
    in_hall("boom");
    CHECK(eventually([&] { return in_hall("here again"); }));
    CHECK(c.at(1).status("room").role == "left");
    CHECK(c.at(0).status("room").members.size() == 2);
  }

  TEST_CASE("a member that is removed loses its place and may not come back before it is restored") {
    cluster c(3, {});
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    const int leader = leader_of(c), gone = (leader + 1) % 3;
    const auto name = c.at(gone).config().name;
    CHECK(c.insist(leader, "before") == outcome::replied);
    c.kill(gone);
    CHECK(result(c.at(leader).remove_member("room", "nobody")).why == "no member is named nobody");
    const auto removed = result(c.at(leader).remove_member("room", name));
    CHECK_MESSAGE(removed.done, removed.why);
    CHECK(c.at(leader).status("room").members.size() == 2);
    c.start(gone);
    CHECK(eventually([&] { return holds(c.at(gone).status("room").trouble, "an operator removed this node"); }));
    CHECK(!c.serves(gone));
    const auto restored = result(c.at(leader).restore_member("room", name));
    CHECK_MESSAGE(restored.done, restored.why);
    CHECK(eventually([&] { return c.serves(gone); }));
    CHECK(has_all(c, gone, {"before"}));
  }

  TEST_CASE("rules change under load: default order, window and timers, at all members") {
    std::array<counts, 3> heard;
    cluster c(3, {}, [&](node& n, int i) {
      n.listen("room", [&, i] { return std::make_unique<counter>(heard[i]); }, contract::multicast(order::causal, {order::total}));
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    load sender(c, 0);
    CHECK(sender.sends(20));
    CHECK(heard[0].causal >= 19);
    CHECK(heard[0].total == 0);
    CHECK(c.at(1).rules("room").default_order == order::causal);
    const auto wanted = c.at(1).rules("room").with(&contract::default_order, order::total)
                          .with(&contract::lane_window, std::size_t{1} << 20)
                          .with(&contract::heartbeat, 40ms)
                          .with(&contract::election_min, 400ms);
    const auto changed = result(c.at(1).change("room", wanted));
    CHECK_MESSAGE(changed.done, changed.why);
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.at(i).rules("room") == wanted; }));
    const int before = heard[0].total;
    CHECK(sender.sends(20));
    const auto acknowledged = sender.end().size();
    CHECK(c.insist(2, "the last") == outcome::replied);
    CHECK(heard[0].total >= before + 19);
    for (auto& h : heard) CHECK(eventually([&] { return h.total == heard[0].total && h.causal == heard[0].causal; }));
    CHECK(heard[1].total + heard[1].causal >= static_cast<int>(acknowledged) + 1);
    // A node that starts again finds the rules in its journal, or in the view that it joins.
    c.stop(2);
    c.start(2);
    CHECK(eventually([&] { return c.serves(2) && c.at(2).rules("room") == wanted; }));
  }

  TEST_CASE("what was changed holds over restarts and for who joins, whatever the configurations say") {
    const auto founded = contract::multicast(order::causal, {order::total});
    std::array<contract, 3> configured{founded, founded, founded};
    std::array<counts, 3> heard;
    cluster c(3, {}, [&](node& n, int i) {
      n.listen("room", [&, i] { return std::make_unique<counter>(heard[i]); }, configured[i]);
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    const auto wanted = founded.with(&contract::default_order, order::total)
                          .with(&contract::fail_after, 2500ms)
                          .with(&contract::lane_window, std::size_t{1} << 20)
                          .with(&contract::reliability, reliability::all_members)
                          .with(&contract::retain_bytes, std::uint64_t{4} << 20)
                          .with(&contract::retain_time, 60000ms);
    const auto changed = result(c.at(0).change("room", wanted));
    REQUIRE_MESSAGE(changed.done, changed.why);
    // One file was brought up to date, one is as it was, one says something else again; one directory is new.
    configured[0] = wanted;
    configured[2] = founded.with(&contract::heartbeat, 20ms);
    for (int i = 0; i < 3; ++i) c.stop(i);
    c.wipe(2);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    for (int i = 0; i < 3; ++i) CHECK(c.at(i).rules("room") == wanted);
    CHECK(c.insist(2, "after all") == outcome::replied);
    CHECK(eventually([&] { return heard[0].total > 0 && heard[1].total > 0 && heard[2].total > 0; }));
  }

  TEST_CASE("changes that cannot be are refused, with the reason") {
    cluster c(3, contract{}.with(reads::lease));
    c.start_all();
    CHECK_THROWS_AS(c.at(0).leave("nowhere"), node_error);
    REQUIRE(eventually([&] { return c.all_serve(); }));
    const auto now = c.at(0).rules("room");
    const auto refused = [&](const contract& to) { return result(c.at(0).change("room", to)).why; };
    CHECK(holds(refused(now.with(&contract::lease, 500ms)), "G8: a lease of 500 ms"));
    CHECK(holds(refused(now.with(&contract::suspect_at, 900u)), "suspect_at = 900"));
    CHECK(holds(refused(now.with(partition_policy::partitionable)), "found another group"));
    CHECK(holds(refused(now.with(durability::in_memory)), "a restart of all ends the group (\"journaled\" -> \"volatile\")"));
    CHECK(holds(refused(now.with(&contract::queue_bytes, std::size_t{1} << 20)), "queue_bytes: it is each node's own"));
    CHECK(holds(refused(now.with(&contract::heartbeat, 200ms)), "E7"));
    CHECK(holds(refused(now.with(&contract::shrink, true)), "G16: the change weakens a promise"));
    CHECK(holds(refused(now.with(&contract::min_copies, 4u)), "min_copies"));
    CHECK(c.at(0).rules("room") == now);

    // V10: the two that are there are a quorum of three, one of them alone is none.
    const int leader = leader_of(c), gone = (leader + 1) % 3, stays = (leader + 2) % 3;
    c.kill(gone);
    CHECK(eventually([&] {
      const auto s = c.at(leader).status("room");
      return std::ranges::count_if(s.members, [](auto& m) { return m.active; }) == 2;
    }));
    const auto why = result(c.at(stays).leave("room")).why;
    CHECK_MESSAGE(holds(why, "would be no quorum"), why);
    const auto disks = result(c.at(stays).change("room", now.with(durability::in_memory), true)).why;
    CHECK_MESSAGE(holds(disks, "voters are away"), disks);
    CHECK(c.insist(stays, "still a member") == outcome::replied);
  }

  TEST_CASE("two who change different rules at the same moment do not undo each other's change") {
    const auto how = contract{}.with(durability::in_memory);
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    std::size_t window = how.lane_window;
    unsigned copies = how.min_copies;
    int overtaken = 0;
    for (int round = 0; round < 30 && overtaken == 0; ++round) {
      const auto first = c.at(0).rules("room"), second = c.at(1).rules("room");
      const auto other_copies = 3 - second.min_copies;  // 1 and 2 in turn
      auto wider = c.at(0).change("room", first.with(&contract::lane_window, first.lane_window + (1u << 20)));
      auto safer = c.at(1).change("room", second.with(&contract::min_copies, other_copies), true);
      const auto one = result(std::move(wider)), two = result(std::move(safer));
      if (one.done) window += 1u << 20;
      if (two.done) copies = other_copies;
      for (const auto& each : {one, two})
        if (!each.done) CHECK_MESSAGE(holds(each.why, "somebody else changed the rules meanwhile"), each.why);
      overtaken += !one.done + !two.done;
      CHECK((one.done || two.done));
      REQUIRE(eventually([&] { return c.at(2).rules("room").lane_window == window && c.at(2).rules("room").min_copies == copies; }));
      REQUIRE(eventually([&] { return c.at(0).rules("room") == c.at(1).rules("room"); }));
    }
    CHECK(overtaken > 0);
  }

  TEST_CASE("leases, the detector and the limit of messages change while the group works") {
    cluster c(3, contract{}.with(reads::lease).with(&contract::message_bytes_max, std::size_t{64} << 10));
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    CHECK(c.submit(1, std::string(100 << 10, 'x')) == outcome::too_large);
    auto wanted = c.at(0).rules("room").with(&contract::election_min, 400ms).with(&contract::lease, 250ms)
                      .with(&contract::clock_margin, 20ms).with(&contract::clock_rate_ppm, 100u)
                      .with(&contract::suspect_at, 6000u).with(&contract::message_bytes_max, std::size_t{256} << 10);
    auto changed = result(c.at(2).change("room", wanted));
    REQUIRE_MESSAGE(changed.done, changed.why);
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.at(i).rules("room") == wanted; }));
    CHECK(c.insist(1, std::string(100 << 10, 'x')) == outcome::replied);
    std::string answer;
    for (int i = 0; i < 3; ++i) CHECK(c.ask(i, "where?", reads::lease, answer) == outcome::replied);
    // Smaller again: asked for as what it is, and what is larger is refused from then on.
    wanted.message_bytes_max = 32 << 10;
    CHECK(holds(result(c.at(0).change("room", wanted)).why, "messages that were accepted become too large"));
    changed = result(c.at(0).change("room", wanted, true));
    REQUIRE_MESSAGE(changed.done, changed.why);
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.submit(i, std::string(100 << 10, 'x')) == outcome::too_large; }));
    // Who restarts has both behind it: the large message, and the limit.
    c.stop(1);
    c.start(1);
    CHECK(eventually([&] { return c.serves(1) && c.at(1).rules("room") == wanted; }));
    CHECK(eventually([&] { return c.submit(1, std::string(100 << 10, 'x')) == outcome::too_large; }));
  }

  TEST_CASE("a witness votes and holds nothing") {
    cluster c(3, contract{}.with(&contract::witnesses, 1u).with(&contract::checkpoint_bytes, std::uint64_t{64} << 10));
    c.witnesses = {"n3"};
    c.start_all();
    REQUIRE(eventually([&] { return c.serves(0) && c.serves(1); }));
    CHECK(c.at(2).status("room").role == "witness");
    CHECK(gets_through(c, 0, "one"));
    CHECK(c.submit(2, "from the witness") == outcome::not_member);
    std::string answer;
    CHECK(c.ask(2, "where?", reads::linearizable, answer) == outcome::no_quorum);
    CHECK(c.ask(2, "where?", reads::local, answer) == outcome::not_member);
    // One member with payload and the witness are a quorum; past the checkpoint, too.
    c.kill(1);
    CHECK(gets_through(c, 0, "two"));
    c.start(1);
    CHECK(eventually([&] { return c.serves(1); }));
    c.kill(2);
    const std::string big(16 << 10, 'x');
    for (int i = 0; i < 40; ++i) CHECK(gets_through(c, 0, big));
    c.start(2);
    c.kill(1);
    CHECK(gets_through(c, 0, "three"));
    // And all of it again from the disks.
    c.stop(0);
    c.stop(2);
    c.start_all();
    CHECK(eventually([&] { return c.serves(0) && c.serves(1); }));
    CHECK(has_all(c, 1, {"one", "two", "three"}));
    // Also without the one that leads.
    const int leader = c.at(0).status("room").leader == "n1" ? 0 : 1;
    c.kill(leader);
    CHECK(gets_through(c, 1 - leader, "four"));
    c.start(leader);
    CHECK(eventually([&] { return has_all(c, leader, {"four"}); }));
    std::lock_guard guard(c.seen(2)->mutex);
    CHECK(c.seen(2)->lives == 0);
  }
}
