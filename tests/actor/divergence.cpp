// Replicas whose states part, and timers of replicated states.
#include "cluster.hpp"

#include "actors/caf_compat.hpp"

#include <cohort/log_timers.hpp>
#include <cohort/monitor.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <random>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Adds up the sizes of messages, and at the members that `drift` a random number for each message "chance".
class sum_machine final : public state_machine {
public:
  sum_machine(bool drifts, bool keeps_digest) : drifts_(drifts), keeps_digest_(keeps_digest) {}
  void apply(const delivery& d, reply& answer) override {
    const std::string_view text(reinterpret_cast<const char*>(d.payload.data()), d.payload.size());
    sum_ += d.payload.size();
    if (drifts_ && text == "chance") sum_ += 1 + std::random_device{}() % 1000;
    answer.write(std::to_string(sum_));
  }
  void query(std::span<const std::byte>, reply& answer) const override { answer.write(std::to_string(sum_)); }
  void checkpoint(sink& out) const override { out.write_u64(sum_); }
  void restore(source& in) override { sum_ = in.read_u64(); }
  std::optional<std::uint64_t> state_digest() const override { return keeps_digest_ ? std::optional(sum_) : std::nullopt; }

private:
  const bool drifts_, keeps_digest_;
  std::uint64_t sum_ = 0;
};

struct told {
  std::mutex mutex;
  std::vector<divergence_report> reports;
  std::vector<divergence_report> all() {
    std::lock_guard guard(mutex);
    return reports;
  }
};

/// Members of which those in `drifting` are not deterministic.
struct parting {
  std::vector<std::shared_ptr<told>> heard;
  cluster nodes;
  parting(int size, const contract& how, std::set<int> drifting, bool keeps_digest = false)
      : nodes(size, how, [this, how, drifting, keeps_digest](node& n, int i) {
          n.replicate("room", [=] { return std::make_unique<sum_machine>(drifting.contains(i), keeps_digest); }, how);
          n.on_divergence([to = heard[i]](const divergence_report& r) {
            std::lock_guard guard(to->mutex);
            to->reports.push_back(r);
          });
        }) {
    for (int i = 0; i < size; ++i) heard.push_back(std::make_shared<told>());
  }
  void say(int i, const std::string& what, int times) {
    for (int n = 0; n < times; ++n) REQUIRE(nodes.insist(i, what) == outcome::replied);
  }
};

contract compared(unsigned every) { return contract{}.with(&contract::compare_every, every); }

/// One timer for each message, 300 ms after it; counts those that expired.
class alarm_clock final : public state_machine {
public:
  struct watch {
    std::mutex mutex;
    std::vector<std::pair<log_index, wall_time>> expired;  ///< where and when
    std::vector<wall_time> due;
    std::vector<std::chrono::system_clock::time_point> at;
  };
  explicit alarm_clock(std::shared_ptr<watch> out) : out_(std::move(out)) {}
  void apply(const delivery& d, reply&) override {
    expire(d);
    timers_.set(d.position, d.time + 300ms);
  }
  void time_passed(const delivery& at, reply&) override { expire(at); }
  std::optional<wall_time> next_due() const override { return timers_.next(); }
  void checkpoint(sink& out) const override { timers_.checkpoint(out); }
  void restore(source& in) override { timers_.restore(in); }

private:
  void expire(const delivery& at) {
    timers_.advance(at.time, [&](std::uint64_t, wall_time when) {
      std::lock_guard guard(out_->mutex);
      out_->expired.emplace_back(at.index, at.time);
      out_->due.push_back(when);
      out_->at.push_back(std::chrono::system_clock::now());
    });
  }
  std::shared_ptr<watch> out_;
  log_timers timers_;
};

}  // namespace

TEST_SUITE("divergence") {
  TEST_CASE("equal states are compared and nobody is told") {
    parting p(3, compared(10), {});
    p.nodes.start_all();
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    p.say(0, "some", 35);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(eventually([&] { return p.nodes.at(i).status("room").agreed_at >= 30; }));
      CHECK(p.nodes.at(i).status("room").differences == 0);
      CHECK(p.nodes.at(i).status("room").diverged.empty());
      CHECK(p.heard[i]->all().empty());
    }
    // Who comes back redoes its journal, and is compared again.
    p.nodes.stop(2);
    p.say(0, "more", 25);
    p.nodes.start(2);
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    p.say(0, "much", 25);
    REQUIRE(eventually([&] { return p.nodes.at(2).status("room").agreed_at >= 80; }));
    CHECK(p.heard[2]->all().empty());
  }

  TEST_CASE("a member that is not deterministic is named at all, and goes on if only a report is asked for") {
    parting p(3, compared(10), {2}, true);
    p.nodes.start_all();
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    p.say(0, "same", 25);
    p.say(0, "chance", 3);
    p.say(0, "same", 30);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(eventually([&] { return !p.heard[i]->all().empty(); }));
      const auto r = p.heard[i]->all().front();
      CHECK(r.group == "room");
      CHECK(r.what == divergence_verdict::differs);
      CHECK(r.odd == std::vector<std::string>{"n3"});
      CHECK(r.here == (i == 2));
      CHECK_FALSE(r.stopped);
      CHECK(r.position >= 26);
      CHECK(r.position < 45);  // ten messages, and the rest of a batch
      REQUIRE(eventually([&] { return p.nodes.at(i).status("room").diverged == std::vector<std::string>{"n3"}; }));
      CHECK(p.nodes.at(i).status("room").differences >= 1);
    }
    CHECK(p.nodes.serves(2));
  }

  TEST_CASE("two members that differ are both told, and nobody stops") {
    parting p(2, compared(5).with(&contract::single, true).with(divergence_policy::stop), {1});
    p.nodes.start_all();
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    p.say(0, "chance", 20);
    for (int i = 0; i < 2; ++i) {
      REQUIRE(eventually([&] { return !p.heard[i]->all().empty(); }));
      CHECK(p.heard[i]->all().front().what == divergence_verdict::undecided);
      CHECK(p.heard[i]->all().front().odd == std::vector<std::string>{"n1", "n2"});
    }
    p.say(0, "same", 20);
    CHECK(p.nodes.serves(0));
    CHECK(p.nodes.serves(1));
  }

  TEST_CASE("the odd one out stops, the others go on without it, and its state is not used again") {
    parting p(3, compared(5).with(divergence_policy::stop), {0});
    p.nodes.start_all();
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    auto down = std::make_shared<std::promise<cohort::down>>();
    auto heard = down->get_future();
    auto& system = p.nodes.at(0).internals().system();
    auto ear = system.spawn([down](caf::event_based_actor*) -> caf::behavior {
      return {[down](const cohort::down& d) { down->set_value(d); }};
    });
    monitor(p.nodes.at(0), monitored::group_of("room"), ear);
    for (int n = 0; n < 60 && p.nodes.at(0).status("room").role != "diverged"; ++n) p.nodes.insist(1, "chance");
    REQUIRE(eventually([&] { return p.nodes.at(0).status("room").role == "diverged"; }));
    CHECK(p.heard[0]->all().back().stopped);
    REQUIRE(heard.wait_for(10s) == std::future_status::ready);
    CHECK(heard.get().reason == down_reason::diverged);
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
    REQUIRE(eventually([&] { return !p.nodes.at(0).status("room").trouble.empty(); }));
    CHECK(p.nodes.at(0).status("room").trouble.find("cohort group repair room") != std::string::npos);
    // Nobody is answered from that state any more ...
    std::string answer;
    CHECK(p.nodes.ask(0, "?", reads::local, answer) == outcome::not_member);
    CHECK(p.nodes.ask(0, "?", reads::linearizable, answer) != outcome::replied);
    CHECK(p.nodes.submit(0, "x") == outcome::not_member);
    // ... and the others are two that agree.
    REQUIRE(eventually([&] {
      const auto s = p.nodes.at(1).status("room");
      return std::ranges::count_if(s.members, [](auto& m) { return m.active; }) == 2;
    }));
    p.say(1, "same", 12);
    p.say(2, "same", 1);
    REQUIRE(eventually([&] { return p.nodes.at(1).status("room").diverged.empty(); }));
    // A restart does not bring the state back.
    p.nodes.stop(0);
    p.nodes.start(0);
    REQUIRE(eventually([&] { return p.nodes.at(0).status("room").role == "diverged"; }));
    CHECK(p.nodes.submit(0, "x") == outcome::not_member);
    p.say(1, "same", 2);
    CHECK(p.nodes.ask(0, "?", reads::local, answer) == outcome::not_member);
    // The repair.
    p.nodes.kill(0);
    p.nodes.wipe(0);
    p.nodes.start(0);
    REQUIRE(eventually([&] { return p.nodes.serves(0); }, 30s));
    p.say(0, "same", 12);
    REQUIRE(eventually([&] { return p.nodes.at(0).status("room").agreed_at > 0; }));
    std::string elsewhere;
    CHECK(p.nodes.ask(0, "?", reads::linearizable, answer) == outcome::replied);
    CHECK(p.nodes.ask(1, "?", reads::linearizable, elsewhere) == outcome::replied);
    CHECK(answer == elsewhere);
  }

  TEST_CASE("an odd member leads no more, gives its state to nobody, also after a restart, and is repaired while it runs") {
    for (const auto kept : {durability::journaled, durability::in_memory}) {
      parting p(3, compared(5).with(kept), {0});
      p.nodes.start_all();
      REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
      const auto answer_of = [&](int i) {
        std::string answer;
        return p.nodes.ask(i, "?", reads::local, answer) == outcome::replied ? answer : std::string();
      };
      const auto leads = [&](int i) { return p.nodes.at(i).status("room").role == "leader"; };
      REQUIRE(eventually([&] {
        for (int i = 1; i < 3; ++i)
          if (leads(i)) p.nodes.at(i).hand_over("room");
        return leads(0);
      }));
      p.say(1, "chance", 1);
      for (int n = 0; n < 60 && p.nodes.at(1).status("room").diverged.empty(); ++n) p.nodes.insist(1, "same");
      for (int i = 0; i < 3; ++i) REQUIRE(eventually([&] { return p.nodes.at(i).status("room").diverged == std::vector<std::string>{"n1"}; }));
      REQUIRE(eventually([&] { return leads(1) || leads(2); }));
      CHECK(p.nodes.serves(0));
      // A host that is replaced has the majority's state.
      p.nodes.kill(2);
      p.nodes.wipe(2);
      p.nodes.start(2);
      REQUIRE(eventually([&] { return p.nodes.serves(2); }, 30s));
      REQUIRE(eventually([&] { return answer_of(2) == answer_of(1); }));
      CHECK(answer_of(2) != answer_of(0));
      CHECK(eventually([&] { return leads(1) || leads(2); }));
      if (kept == durability::journaled) {
        p.nodes.stop(0);
        p.nodes.start(0);
        REQUIRE(eventually([&] { return p.nodes.serves(0); }));
        CHECK(p.nodes.at(0).status("room").diverged == std::vector<std::string>{"n1"});  // before anything is compared
        REQUIRE(eventually([&] {  // who came back leads once it votes
          if (leads(1)) p.nodes.at(1).hand_over("room");
          return leads(2);
        }));
        p.nodes.stop(2);  // where nobody else is, an odd one may lead
        REQUIRE(eventually([&] { return p.nodes.serves(0) && p.nodes.serves(1); }));
        REQUIRE(eventually([&] {
          const auto s = p.nodes.at(0).status("room");
          return std::ranges::count_if(s.members, [](auto& m) { return m.active; }) == 2;
        }));
        auto refused = p.nodes.at(0).repair("room").get();
        CHECK_FALSE(refused.done);
        CHECK(refused.why.find("no quorum") != std::string::npos);
        p.nodes.start(2);
        REQUIRE(eventually([&] { return p.nodes.all_serve(); }, 30s));
      }
      CHECK_THROWS_AS((void)p.nodes.at(0).repair("cellar"), node_error);
      REQUIRE(eventually([&] {
        const auto s = p.nodes.at(0).status("room");
        return s.members.size() == 3 && std::ranges::all_of(s.members, [](auto& m) { return m.voter && m.active; });
      }, 30s));
      const auto same_process = &p.nodes.at(0);
      auto port = p.nodes.at(0).port("room");
      std::string wrong = answer_of(0);
      const auto repaired = p.nodes.at(0).repair("room").get();
      CHECK(repaired.why == "");
      REQUIRE(repaired.done);
      REQUIRE(eventually([&] { return p.nodes.serves(0); }, 30s));
      CHECK(same_process == &p.nodes.at(0));
      REQUIRE(eventually([&] { return answer_of(0) == answer_of(1); }));
      CHECK(answer_of(0) != wrong);
      p.say(0, "same", 12);
      for (int i = 0; i < 3; ++i) REQUIRE(eventually([&] { return p.nodes.at(i).status("room").diverged.empty(); }));
      CHECK(eventually([&] {
        const auto s = p.nodes.at(0).status("room");
        return std::ranges::count_if(s.members, [](auto& m) { return m.voter && m.active; }) == 3;
      }, 30s));
      // It goes on from what it was given.
      p.nodes.stop(0);
      p.nodes.start(0);
      REQUIRE(eventually([&] { return p.nodes.serves(0); }, 30s));
      REQUIRE(eventually([&] { return answer_of(0) == answer_of(1); }));
    }
  }

  TEST_CASE("an odd member that stopped is repaired while its node runs") {
    parting p(3, compared(5).with(divergence_policy::stop), {0});
    p.nodes.start_all();
    REQUIRE(eventually([&] { return p.nodes.all_serve(); }));
    for (int n = 0; n < 60 && p.nodes.at(0).status("room").role != "diverged"; ++n) p.nodes.insist(1, "chance");
    REQUIRE(eventually([&] { return p.nodes.at(0).status("room").role == "diverged"; }));
    REQUIRE(eventually([&] {
      const auto s = p.nodes.at(1).status("room");
      return std::ranges::count_if(s.members, [](auto& m) { return m.active; }) == 2;
    }));
    REQUIRE(p.nodes.at(0).repair("room").get().done);
    REQUIRE(eventually([&] { return p.nodes.serves(0); }, 30s));
    p.say(0, "same", 12);
    std::string here, there;
    CHECK(p.nodes.ask(0, "?", reads::linearizable, here) == outcome::replied);
    CHECK(p.nodes.ask(1, "?", reads::linearizable, there) == outcome::replied);
    CHECK(here == there);
    CHECK(p.nodes.at(0).status("room").trouble == "");
  }

  TEST_CASE("timers of an idle group expire in time, at one place, also behind a failover") {
    std::vector<std::shared_ptr<alarm_clock::watch>> out(3);
    for (auto& w : out) w = std::make_shared<alarm_clock::watch>();
    cluster c(3, {}, [&](node& n, int i) { n.replicate("room", [w = out[i]] { return std::make_unique<alarm_clock>(w); }, {}); });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    const auto expired = [&](int i) {
      std::lock_guard guard(out[i]->mutex);
      return out[i]->expired;
    };
    for (std::size_t n = 1; n <= 3; ++n) {
      REQUIRE(c.insist(1, "wake me") == outcome::replied);
      for (int i = 0; i < 3; ++i) REQUIRE(eventually([&] { return expired(i).size() == n; }, 5s));
    }
    CHECK(expired(0) == expired(1));
    CHECK(expired(0) == expired(2));
    std::chrono::microseconds most{};
    {
      std::lock_guard guard(out[1]->mutex);
      for (std::size_t n = 0; n < 3; ++n) {
        CHECK(out[1]->expired[n].second >= out[1]->due[n]);
        most = std::max(most, std::chrono::duration_cast<std::chrono::microseconds>(out[1]->at[n].time_since_epoch()) - out[1]->due[n]);
      }
    }
    MESSAGE("timers were late by at most " << most.count() << " us");
    CHECK(most < 2s);  // on a loaded machine

    REQUIRE(c.insist(1, "wake me") == outcome::replied);
    const auto leader = c.at(1).status("room").leader;
    const int led = leader == "n1" ? 0 : leader == "n2" ? 1 : 2;
    c.kill(led);
    for (int i = 0; i < 3; ++i)
      if (i != led) CHECK(eventually([&] { return expired(i).size() == 4; }, 10s));
    CHECK(expired((led + 1) % 3) == expired((led + 2) % 3));
  }
}
