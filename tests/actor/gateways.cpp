// Programs outside the group: the client library against nodes of this process.
#include "tests/actor/cluster.hpp"

#include "transport/gateway/server.hpp"

#include <cohort/client.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Adds numbers, and tells which member says so by its own answer.
class account final : public state_machine, public call_handler {
public:
  explicit account(int node) : node_(node) {}
  void apply(const delivery& d, reply& answer) override {
    const std::string text(reinterpret_cast<const char*>(d.payload.data()), d.payload.size());
    if (text.starts_with("silent") && node_ == 2) answer.defer();
    sum_ += std::atoll(text.c_str());
    answer.write(std::to_string(sum_));
    if (text.starts_with("fat ")) answer.write(std::string(std::strtoul(text.c_str() + 4, nullptr, 10), '.'));
  }
  void query(std::span<const std::byte>, reply& answer) const override { answer.write(std::to_string(sum_)); }
  void answer_call(const delivery&, order, reply& answer) override { answer.write("!"); }
  void checkpoint(sink& out) const override { out.write_u64(static_cast<std::uint64_t>(sum_)); }
  void restore(source& in) override { sum_ = static_cast<std::int64_t>(in.read_u64()); }

private:
  const int node_;
  std::int64_t sum_ = 0;
};

struct bank {
  contract how;
  cluster c{3, how, [this](node& n, int i) {
              n.replicate(
                  "room", [i] { return std::make_unique<account>(i); }, how);
            }};
  std::vector<std::string> gateways;

  /// `only`: the one member with a gateway; -1: all have one.
  explicit bank(reads by = reads::linearizable, int only = -1)
      : how(contract::replicated().with(&contract::sessions, true).with(&contract::calls, true).with(by)), gateways(c.serve_clients(only)) {
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve() && members() == 3; }));
  }
  std::size_t members() {
    const auto all = c.at(0).status("room").members;
    return static_cast<std::size_t>(std::ranges::count(all, true, &member_status::active));
  }
  client_options to(std::vector<std::string> where) { return {.gateways = std::move(where), .group = "room"}; }
};

std::vector<std::string> told(const call_result& r) {
  std::vector<std::string> all;
  for (const auto& m : r.report.members)
    all.push_back(m.member + ' ' + (m.what == member_standing::answered ? std::string(m.text()) : to_string(m.what)));
  return all;
}

/// Stands behind a gateway without a node: executes whatever it is asked, and fails when it is told to.
struct service_of_test final : transport::gateway::service {
  std::atomic<int> explosions{0};
  std::atomic<unsigned> collected{0}, forgotten{0}, executed{0};
  void ask(const transport::gateway::request& what, std::function<void(transport::gateway::answer&&)> done) override {
    executed += what.what == transport::gateway::request::kind::call;
    transport::gateway::answer a;
    a.what = transport::gateway::verdict::replied;
    a.birth = 1;
    done(std::move(a));
  }
  std::unique_ptr<transport::gateway::open_call> ask_all(const transport::gateway::request&, collate, unsigned,
                                                         std::function<void(transport::gateway::collected&&)>,
                                                         std::function<void(const transport::gateway::collected&)>) override {
    return nullptr;
  }
  void flush() override {}
  void collect() override {
    ++collected;
    if (explosions > 0 && explosions-- > 0) throw std::runtime_error("collected too much");
  }
  void forget() override { ++forgotten; }
  transport::gateway::picture look() override { return {"n1", "", {}, {}}; }
  std::unique_ptr<transport::gateway::subscription> watch(const std::string&, transport::gateway::answer&) override { return nullptr; }
};

}  // namespace

TEST_SUITE("gateways") {
  TEST_CASE("a call of all members from outside: every collation, and each request is executed once") {
    bank b;
    client c(b.to(b.gateways));
    auto r = c.call_all("5").get();
    CHECK(r.what == call_outcome::replied);
    CHECK(r.report.met());
    CHECK(told(r) == std::vector<std::string>{"n1 5", "n2 5", "n3 5"});
    CHECK(r.report.view == b.c.at(0).status("room").view);
    CHECK(r.position == r.report.position);
    for (const auto how : {collate::none, collate::first, collate::majority}) {
      CAPTURE(to_string(how));
      r = c.call_all("1", {.how = how}).get();
      CHECK(r.what == call_outcome::replied);
      CHECK(r.report.met());
      CHECK(r.report.count(member_standing::answered) >= (how == collate::majority ? 2
                                                          : how == collate::first  ? 1
                                                                                   : 0));
    }
    CHECK(c.call_all("1", {.how = collate::some, .count = 2}).get().report.met());
    CHECK(c.call_all("1", {.how = collate::some, .count = 9}).get().report.end == call_end::unmet);

    std::atomic<unsigned> judged{0};
    collation mine{.how = collate::custom};
    mine.judge = [&](const call_report& so_far) {
      ++judged;
      return so_far.count(member_standing::answered) == 3 ? judgement::enough : judgement::wait;
    };
    r = c.call_all("1", mine).get();
    CHECK(r.report.met());
    CHECK(r.report.count(member_standing::answered) == 3);
    CHECK(judged > 0);
    mine.judge = [](const call_report&) { return judgement::give_up; };
    CHECK(c.call_all("1", mine).get().report.end == call_end::unmet);
    CHECK(c.read("").get().text() == "12");
    CHECK(c.call("0").get().text() == "12");
  }

  TEST_CASE("calls of all members go on while their members and gateways are killed") {
    bank b;
    client c(b.to(b.gateways));
    REQUIRE(c.call("0").get().what == call_outcome::replied);
    std::int64_t paid = 0;
    for (int round = 0; round < 12; ++round) {
      if (round % 4 == 1) b.c.kill(round / 4);
      if (round % 4 == 3) b.c.start(round / 4);
      auto r = c.call_all("1", {.how = collate::all, .within = 20s}).get();
      if (r.what == call_outcome::unknown) r = c.ask(r.id).get();
      REQUIRE(std::string(to_string(r.what)) == "replied");
      CHECK(r.report.met());
      ++paid;
      for (const auto& m : r.report.members)
        if (m.what == member_standing::answered) CHECK(m.text() == std::to_string(paid));
    }
    CHECK(c.read("").get().text() == std::to_string(paid));
  }

  TEST_CASE("reads say of which state they are, and a member that has not come so far asks the leader") {
    bank b;
    client c(b.to(b.gateways));
    const auto wrote = c.call("7").get();
    REQUIRE(wrote.what == call_outcome::replied);
    for (const auto how : {freshness::linearizable, freshness::session, freshness::bounded}) {
      CAPTURE(static_cast<int>(how));
      const auto r = c.read("", {.how = how, .max_age = 10s}).get();
      REQUIRE(r.what == call_outcome::replied);
      CHECK(r.text() == "7");
      CHECK(r.index >= wrote.index);
      CHECK(r.view == wrote.view);
      CHECK(r.time >= wrote.time);
    }
    const auto local = c.read("", {.how = freshness::local}).get();
    CHECK(local.what == call_outcome::replied);
    CHECK(local.position <= c.read("").get().position);
  }

  TEST_CASE("each read says what it is, and is at least what was asked for, through whichever member") {
    for (int run = 0; run < 4; ++run) {
      const auto by = run < 3 ? reads::lease : reads::linearizable;
      const int at = run % 3;
      CAPTURE(to_string(by));
      CAPTURE(at);
      bank b(by, at);  // clients have no other way in; at least one of these members does not lead, and has to ask
      const auto freshest = by == reads::lease ? freshness::lease : freshness::linearizable;
      client writer(b.to(b.gateways)), reader(b.to(b.gateways));
      const auto read = [&](freshness f, std::chrono::milliseconds max_age = 0ms) {
        const auto r = reader.read("", {.how = f, .max_age = max_age}).get();
        CHECK(std::string(to_string(r.what)) == "replied");
        return r;
      };
      for (int i = 1; i <= 20; ++i) {
        const auto wrote = writer.call("1").get();
        REQUIRE(wrote.what == call_outcome::replied);
        const auto r = read(i % 2 == 0 ? freshness::linearizable : freshness::lease);
        CHECK(r.text() == std::to_string(i));
        CHECK(r.index >= wrote.index);
        CHECK(r.served == freshest);
      }
      CHECK(read(freshness::local).served == freshness::local);
      const auto seen = read(freshness::session);  // of a client that has seen all of it, so no older state will do
      CHECK(seen.text() == "20");
      CHECK((seen.served == freshness::session || seen.served == freshest));
      CHECK(read(freshness::bounded, 1h).served == freshness::bounded);
      std::this_thread::sleep_for(50ms);  // nothing was applied meanwhile: no member's state can be known to be so new
      CHECK(read(freshness::bounded, 1ms).served == freshest);
    }
  }

  TEST_CASE("answers of megabytes reach clients, of one member and of all") {
    bank b;
    client c(b.to(b.gateways));
    constexpr std::size_t size = 5u << 20;
    const auto text = "fat " + std::to_string(size);
    const auto one = c.call(text).get();
    REQUIRE(one.what == call_outcome::replied);
    CHECK(one.reply.size() == size + 1);
    const auto all = c.call_all(text, {.within = 20s}).get();
    REQUIRE(all.what == call_outcome::replied);
    CHECK(all.report.met());
    CHECK(all.report.count(member_standing::answered) == 3);
    for (const auto& m : all.report.members) CHECK(m.answer.size() == size + 1);
  }

  TEST_CASE("a call that is given up was executed once, or never is") {
    bank b;
    client c(b.to(b.gateways));
    REQUIRE(c.call("0").get().what == call_outcome::replied);
    std::int64_t executed = 0;
    for (int i = 0; i < 200; ++i) {
      std::promise<call_result> done;
      const auto id =
          c.call(std::as_bytes(std::span("1", 1)), {}, [&](call_result&& r) { done.set_value(std::move(r)); });
      c.cancel(id);
      const auto r = done.get_future().get();
      REQUIRE((r.what == call_outcome::replied || r.what == call_outcome::refused));
      executed += r.what == call_outcome::replied;
    }
    CHECK(c.read("").get().text() == std::to_string(executed));
  }

  TEST_CASE("a session that expired is said to be over, and the client goes on in another") {
    bank b;
    auto how = b.to(b.gateways);
    how.session_lifetime = 1s;
    how.session_file = std::filesystem::temp_directory_path() / ("cohort-expired-" + std::to_string(::getpid()));
    session_state before;
    {
      client c(how);
      REQUIRE(c.call("1").get().what == call_outcome::replied);
      before = c.session();
    }
    std::this_thread::sleep_for(1500ms);  // of agreed time, which goes on with every message
    client other(b.to(b.gateways));
    REQUIRE(other.call("1").get().what == call_outcome::replied);
    client again(how);
    CHECK(again.unacknowledged() == std::vector<std::uint64_t>{1});
    CHECK(again.ask(1).get().what == call_outcome::unknown);
    again.acknowledge(1);
    CHECK(again.call("1").get().text() == "3");
    CHECK(again.session().birth > before.birth);
    CHECK(again.read("").get().text() == "3");
    std::filesystem::remove(how.session_file);
  }

  TEST_CASE("a failure on the gateway's thread is told, and the gateway begins anew until it fails again and again") {
    service_of_test behind;
    transport::wake_up wakes;
    std::mutex mutex;
    std::vector<std::pair<std::string, bool>> told;
    const auto times = [&] {
      std::lock_guard guard(mutex);
      return told.size();
    };
    transport::gateway::server s("127.0.0.1:" + std::to_string(free_ports(1)[0]), {}, behind, wakes, [&](const std::string& why, bool over) {
      std::lock_guard guard(mutex);
      told.emplace_back(why, over);
    });
    for (unsigned n = 1; n <= transport::gateway::failures_max; ++n) {
      CAPTURE(n);
      const auto before = behind.collected.load();
      wakes.tell();
      REQUIRE(eventually([&] { return behind.collected > before; }));  // it serves
      CHECK(times() == n - 1);
      behind.explosions = 1;
      wakes.tell();
      REQUIRE(eventually([&] { return times() == n; }));
      CHECK(behind.forgotten == n);
      CHECK(s.figures().failures_total == n);
    }
    std::lock_guard guard(mutex);
    for (const auto& [why, over] : told) CHECK(why == "collected too much");
    CHECK(std::ranges::count(told, true, &std::pair<std::string, bool>::second) == 1);
    CHECK(told.back().second);
  }

  TEST_CASE("a client over its limits is refused or sent away, and all that another one asks is answered") {
    bank b;
    client honest(b.to({b.gateways[0]}));
    REQUIRE(honest.call("0").get().what == call_outcome::replied);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> refused{0}, greedy_open{0};
    std::thread crowd([&] {
      auto how = b.to({b.gateways[0]});
      how.open_calls_max = 50'000;  // beyond what a gateway takes from one connection
      how.waiting_calls_max = 200'000;
      client greedy(how);
      const std::string large(200'000, '0');
      while (!stop) {
        if (greedy_open > 2'000) {
          std::this_thread::sleep_for(1ms);
          continue;
        }
        ++greedy_open;
        greedy.call(std::as_bytes(std::span(large)), {.within = 300ms}, [&](call_result&& r) {
          --greedy_open;
          refused += r.what != call_outcome::replied;
        });
      }
    });
    constexpr int asked = 300;
    int answered = 0, counted = 0;
    for (int i = 0; i < asked; ++i) {
      const auto r = honest.call("1", {.within = 20s}).get();
      answered += r.what == call_outcome::replied;
    }
    stop = true;
    crowd.join();
    counted = std::atoi(std::string(honest.read("", {.within = 20s}).get().text()).c_str());
    CHECK(answered == asked);
    CHECK(counted == asked);
    CHECK(refused > 0);
  }

  TEST_CASE("a client that takes its answers may ask for ever") {
    service_of_test behind;
    transport::wake_up wakes;
    const auto where = "127.0.0.1:" + std::to_string(free_ports(1)[0]);
    transport::gateway::limits bounds;
    bounds.bytes_per_connection_max = 64u << 10;
    bounds.requests_per_second_max = 1'000'000;
    transport::gateway::server s(where, bounds, behind, wakes, [](const std::string& why, bool) { FAIL_CHECK(why); });
    client c({.gateways = {where}, .group = "any"});
    for (int round = 0; round < 100; ++round) {
      std::vector<std::future<call_result>> all;
      for (int i = 0; i < 16; ++i) all.push_back(c.call("x"));
      for (auto& each : all) CHECK(each.get().what == call_outcome::replied);
    }
    CHECK(behind.executed == 1600);
    CHECK(s.figures().refused[static_cast<std::size_t>(transport::gateway::reason::over_limit)] == 0);
  }

  TEST_CASE("requests beyond an address's rate are refused, and executed once when they come again") {
    service_of_test behind;
    transport::wake_up wakes;
    const auto where = "127.0.0.1:" + std::to_string(free_ports(1)[0]);
    transport::gateway::limits bounds;
    bounds.requests_per_second_max = 100;
    transport::gateway::server s(where, bounds, behind, wakes, [](const std::string& why, bool) { FAIL_CHECK(why); });
    client c({.gateways = {where}, .group = "any"});
    std::vector<std::future<call_result>> all;
    for (int i = 0; i < 200; ++i) all.push_back(c.call("x"));
    for (auto& each : all) CHECK(each.get().what == call_outcome::replied);
    CHECK(behind.executed == 200);
    CHECK(s.figures().refused[static_cast<std::size_t>(transport::gateway::reason::over_limit)] > 0);
    CHECK(s.figures().replied_total >= 200);
    CHECK(s.figures().open_requests == 0);
    CHECK(s.figures().connections == 1);
  }
}
