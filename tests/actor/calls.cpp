// Calls of a whole group: every member answers, and the caller's node makes one result of it, whatever happens to
// members meanwhile.
#include "tests/actor/cluster.hpp"

#include "actors/call_traffic.hpp"
#include "actors/large_answers.hpp"

#include "framework/rpc/messages.hpp"

#include <cohort/group.hpp>
#include <cohort/session.hpp>
#include <cohort/supervisor.hpp>

#include <doctest/doctest.h>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <random>
#include <set>

using namespace cohort;
using namespace cohort::detail;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct log_of_calls {
  std::mutex mutex;
  std::vector<std::string> applied;
  std::vector<std::uint64_t> open;  ///< positions that were deferred
};

/// Answers "TEXT at N"; adds to it, by its own answer, which node it is. "quiet" is answered at the first node only,
/// the others defer it until "speak"; "large" is answered with too much at the third; "big N" with N bytes more everywhere.
class callee final : public state_machine, public call_handler {
public:
  callee(int node, std::shared_ptr<log_of_calls> log) : node_(node), log_(std::move(log)) {}
  void apply(const delivery& d, reply& answer) override {
    const auto text = text_of(d.payload);
    std::lock_guard guard(log_->mutex);
    log_->applied.push_back(text);
    if (text == "quiet" && node_ > 0) {
      answer.defer();
      log_->open.push_back(d.position);
    } else if (text == "speak") {
      for (const auto position : std::exchange(log_->open, {}))
        answer.settle(position, "at last " + std::to_string(node_));
    }
    answer.write(text + " at ");
    if (text == "large" && node_ == 2) answer.write(std::string(contract{}.message_bytes_max + 100, 'x'));
    if (text.starts_with("big ")) answer.write(std::string(std::strtoul(text.c_str() + 4, nullptr, 10), static_cast<char>('a' + node_)));
  }
  void answer_call(const delivery&, order, reply& answer) override { answer.write(std::to_string(node_)); }
  void checkpoint(sink&) const override {}
  void restore(source&) override {}

private:
  const int node_;
  std::shared_ptr<log_of_calls> log_;
};

struct outcome_of_call {
  outcome what{};
  call_report report;
};

struct group_of_callees {
  std::vector<std::shared_ptr<log_of_calls>> logs;
  cluster c;

  explicit group_of_callees(contract how = contract::replicated())
      : logs(make_logs()), c(3, how.with(&contract::calls, true), [this, how](node& n, int i) {
          n.replicate(
              "room", [this, i] { return std::make_unique<callee>(i, logs[static_cast<std::size_t>(i)]); },
              how.with(&contract::calls, true));
        }) {
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve() && everybody_in(); }));
  }
  static std::vector<std::shared_ptr<log_of_calls>> make_logs() {
    std::vector<std::shared_ptr<log_of_calls>> all(3);
    for (auto& l : all) l = std::make_shared<log_of_calls>();
    return all;
  }
  bool everybody_in() {
    for (int i = 0; i < 3; ++i) {
      const auto members = c.at(i).status("room").members;
      if (std::ranges::count(members, true, &member_status::active) != 3) return false;
    }
    return true;
  }
  std::size_t times_applied(int i, const std::string& text) {
    auto& log = *logs[static_cast<std::size_t>(i)];
    std::lock_guard guard(log.mutex);
    return static_cast<std::size_t>(std::ranges::count(log.applied, text));
  }
};

/// A caller's port and what it completed.
struct asking_port {
  group_port port;
  completion_batch batch;
  std::map<std::uint64_t, std::vector<outcome_of_call>> done;

  explicit asking_port(node& n) : port(n.port("room")) {}
  void call(std::uint64_t tag, const std::string& text, const collation& how) {
    port.call(std::as_bytes(std::span(text)), tag, how);
    port.flush();
  }
  void call(std::uint64_t tag, const std::string& text, collate how, unsigned count = 1,
            std::chrono::milliseconds within = 20s) {
    collation o;
    o.how = how;
    o.count = count;
    o.within = within;
    call(tag, text, o);
  }
  bool has(std::uint64_t tag) {
    while (port.take(batch))
      for (std::size_t i = 0; i < batch.size(); ++i) {
        outcome_of_call o{batch[i].outcome, {}};
        read_report(batch[i].reply, o.report);
        done[batch[i].tag].push_back(std::move(o));
      }
    return done.contains(tag);
  }
  const outcome_of_call& result(std::uint64_t tag) {
    REQUIRE(eventually([&] { return has(tag); }, 30s));
    return done[tag].front();
  }
};

std::set<std::string> answers_of(const call_report& r) {
  std::set<std::string> all;
  for (const auto& m : r.members)
    if (m.what == member_standing::answered) all.emplace(m.text());
  return all;
}

}  // namespace

TEST_SUITE("calls") {
  TEST_CASE("each collation gets as many answers as it asks for, and says who gave them in which view") {
    group_of_callees g;
    asking_port port(g.c.at(1));
    port.call(1, "a", collate::all);
    const auto& all = port.result(1);
    CHECK(all.what == outcome::replied);
    CHECK(all.report.met());
    CHECK(all.report.view == g.c.at(1).status("room").view);
    CHECK(all.report.position > 0);
    REQUIRE(all.report.members.size() == 3);
    CHECK(all.report.members[0].member == "n1");
    CHECK(answers_of(all.report) == std::set<std::string>{"a at 0", "a at 1", "a at 2"});

    port.call(2, "b", collate::none);
    port.call(3, "c", collate::first);
    port.call(4, "d", collate::some, 2);
    port.call(5, "e", collate::majority);
    CHECK(port.result(2).report.met());
    CHECK(port.result(3).report.count(member_standing::answered) >= 1);
    CHECK(port.result(4).report.count(member_standing::answered) >= 2);
    CHECK(port.result(5).report.count(member_standing::answered) >= 2);
    CHECK(port.result(5).report.met());
    port.call(6, "f", collate::some, 4);
    CHECK(port.result(6).report.end == call_end::unmet);
    CHECK(port.result(6).what == outcome::replied);

    collation judged;
    judged.how = collate::custom;
    judged.judge = [](const call_report& r) {
      return answers_of(r).contains("g at 2") ? judgement::enough : judgement::wait;
    };
    port.call(7, "g", judged);
    CHECK(answers_of(port.result(7).report).contains("g at 2"));

    port.call(8, "large", collate::all);
    CHECK(port.result(8).report.end == call_end::unmet);
    CHECK(port.result(8).report.members[2].what == member_standing::too_large);
    for (auto& [tag, results] : port.done) CHECK(results.size() == 1);
    for (int i = 0; i < 3; ++i)
      CHECK(eventually([&] { return g.times_applied(i, "large") == 1 && g.times_applied(i, "c") == 1; }));
  }

  TEST_CASE("a member that is killed while the caller waits is not waited for, and is named") {
    group_of_callees g;
    asking_port port(g.c.at(0));
    port.call(1, "quiet", collate::all);
    port.call(2, "quiet", collate::some, 2);
    REQUIRE(eventually([&] { return g.times_applied(1, "quiet") == 2 && g.times_applied(2, "quiet") == 2; }));
    CHECK_FALSE(port.has(1));
    g.c.kill(2);
    REQUIRE(g.c.insist(1, "speak") == outcome::replied);
    const auto& all = port.result(1);
    CHECK(all.what == outcome::replied);
    CHECK(all.report.met());
    CHECK(all.report.members[2].what == member_standing::failed);
    CHECK(answers_of(all.report) == std::set<std::string>{"quiet at 0", "at last 1"});
    CHECK(port.result(2).report.met());

    // Back under a new life, it redoes the call: that counts nowhere, and a new call reaches it.
    g.c.start(2);
    REQUIRE(eventually([&] { return g.c.all_serve() && g.everybody_in(); }));
    port.call(3, "again", collate::all);
    const auto& again = port.result(3);
    CHECK(again.report.met());
    CHECK(answers_of(again.report).size() == 3);
    CHECK(again.report.members[2].incarnation > all.report.members[2].incarnation);
    CHECK(port.done[1].size() == 1);
  }

  TEST_CASE("time and cancellation end a call with what has come, once") {
    group_of_callees g;
    asking_port port(g.c.at(0));
    port.call(1, "quiet", collate::all, 1, 300ms);
    port.call(2, "quiet", collate::all);
    const auto& late = port.result(1);
    CHECK(late.what == outcome::replied);
    CHECK(late.report.end == call_end::late);
    CHECK(late.report.members[0].what == member_standing::answered);
    CHECK(late.report.members[1].what == member_standing::late);
    CHECK_FALSE(port.has(2));
    port.port.cancel(2);
    CHECK(port.result(2).report.end == call_end::cancelled);
    CHECK(port.result(2).report.count(member_standing::answered) == 1);
    port.port.cancel(2);
    port.port.cancel(77);
    REQUIRE(g.c.insist(1, "speak") == outcome::replied);
    port.call(3, "b", collate::all);
    CHECK(port.result(3).report.met());
    for (auto& [tag, results] : port.done) CHECK(results.size() == 1);
    CHECK(port.done.size() == 3);
  }

  TEST_CASE("the group's actor is requested with call options and answers a report") {
    group_of_callees g;
    caf::scoped_actor self{actor_system_of(g.c.at(2))};
    bool answered = false;
    self->request(group_handle(g.c.at(2), "room"), caf::infinite, std::string("hello"), collation{})
        .receive(
            [&](const call_report& r) {
              answered = r.met() && answers_of(r) == std::set<std::string>{"hello at 0", "hello at 1", "hello at 2"};
            },
            [&](const caf::error& e) { FAIL(to_string(outcome_of(e))); });
    CHECK(answered);
  }

  TEST_CASE("a plain message passes, also one that begins like a call, and its answer comes from here alone") {
    group_of_callees g;
    std::vector<std::byte> like_one;
    rpc::write_call(like_one, 5, wall_time(0), std::as_bytes(std::span("x", 1)));
    std::string reply;
    REQUIRE(g.c.submit(0, text_of(like_one), &reply) == outcome::replied);
    CHECK(reply == text_of(like_one) + " at ");
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return g.times_applied(i, text_of(like_one)) == 1; }));
  }

  TEST_CASE("a session's request is executed once, and every member answers each copy of it with the same") {
    group_of_callees g(contract::replicated().with(&contract::sessions, true));
    asking_port port(g.c.at(0));
    const auto call = [&](std::uint64_t tag, const std::vector<std::byte>& request) -> const call_report& {
      collation o;
      o.session_request = true;
      port.call(tag, text_of(request), o);
      REQUIRE(port.result(tag).report.met());
      return port.result(tag).report;
    };
    std::vector<std::byte> request;
    session_name s{{1, 2}, 0};
    write_open(request, s, {});
    session_reply r;
    REQUIRE(read_reply(call(1, request).members[1].answer, r));
    s.birth = r.birth;
    write_call(request, s, 1, 1, std::as_bytes(std::span("once", 4)));
    for (std::uint64_t tag = 2; tag <= 3; ++tag) {
      const auto& report = call(tag, request);
      CHECK(report.count(member_standing::answered) == 3);
      for (const auto& m : report.members) {
        REQUIRE(read_reply(m.answer, r));
        CHECK(r.what == session_outcome::replied);
        CHECK(r.repeated == (tag == 3));
        CHECK(text_of(r.payload) == "once at ");
      }
    }
    for (int i = 0; i < 3; ++i) CHECK(g.times_applied(i, "once") == 1);
  }

  TEST_CASE("in other orders a listener answers; without calls in the contract they are refused") {
    struct echo final : listener, call_handler {
      void deliver(const delivery_batch& b) override { last = text_of(b.blob); }
      void answer_call(const delivery& d, order how, reply& answer) override {
        answer.write(text_of(d.payload) + ' ' + to_string(how) +
                     (last.ends_with(text_of(d.payload)) ? " heard" : " unheard"));
      }
      std::string last;
    };
    const auto how = contract::multicast(order::fifo, {order::total}).with(&contract::calls, true);
    cluster c(3, how, [&](node& n, int) {
      n.listen(
          "room", [] { return std::make_unique<echo>(); }, how);
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    asking_port port(c.at(0));
    port.call(1, "f", collate::all);
    CHECK(answers_of(port.result(1).report) == std::set<std::string>{"f fifo heard"});
    CHECK(port.result(1).report.position == 0);
    CHECK(port.result(1).report.count(member_standing::answered) == port.result(1).report.members.size());

    cluster without(1, contract::replicated());
    without.start_all();
    asking_port other(without.at(0));
    other.call(1, "a", collate::all);
    CHECK(other.result(1).what == outcome::not_enabled);
    struct nothing final : primary_service {
      void execute(const delivery&, state_update&, reply&) override {}
      void apply(std::span<const std::byte>) override {}
      void checkpoint(sink&) const override {}
      void restore(source&) override {}
    };
    node primary(without.at(0).config());
    CHECK_THROWS_AS(primary.replicate_primary(
                        "x", [] { return std::make_unique<nothing>(); },
                        contract{}.with(&contract::calls, true).with(&contract::single, true)),
                    node_error);
  }

  TEST_CASE("what is never delivered says so") {
    group_of_callees g;
    asking_port port(g.c.at(0));
    g.c.kill(1);
    g.c.kill(2);
    REQUIRE(eventually([&] { return !g.c.serves(0); }));
    port.call(1, "a", collate::all);
    CHECK(refused(port.result(1).what));
    CHECK(port.result(1).report.end == call_end::undelivered);
    g.c.start(1);
    g.c.start(2);
    REQUIRE(eventually([&] { return g.c.all_serve() && g.everybody_in(); }, 30s));
    port.call(2, "quiet", collate::all);
    REQUIRE(eventually([&] { return g.times_applied(0, "quiet") == 1; }));
    g.c.stop(0);
    CHECK(port.result(2).report.end == call_end::stopped);
    for (auto& [tag, results] : port.done) CHECK(results.size() == 1);
  }

  TEST_CASE("answers up to the size of a message travel, in parts") {
    group_of_callees g;
    asking_port port(g.c.at(0));
    std::uint64_t tag = 0;
    for (const std::size_t size : {1u << 10, 256u << 10, 300u << 10, 3u << 20, 12u << 20}) {
      CAPTURE(size);
      port.call(++tag, "big " + std::to_string(size), collate::all);
      const auto& report = port.result(tag).report;
      REQUIRE(report.met());
      REQUIRE(report.members.size() == 3);
      for (int i = 0; i < 3; ++i) {
        const auto& m = report.members[static_cast<std::size_t>(i)];
        REQUIRE(m.what == member_standing::answered);
        const auto head = "big " + std::to_string(size) + " at ";
        const auto expected = head + std::string(size, static_cast<char>('a' + i)) + std::to_string(i);
        CHECK((m.text() == expected));  // without printing it
      }
    }
    // Several at once, and small ones between them.
    for (int i = 0; i < 12; ++i) port.call(++tag, i % 3 == 2 ? "small" : "big 2000000", collate::all);
    for (int i = 0; i < 12; ++i) {
      const auto& report = port.result(tag - static_cast<std::uint64_t>(i)).report;
      CHECK(report.met());
      CHECK(report.count(member_standing::answered) == 3);
    }
  }

  TEST_CASE("parts of an answer make it whole once, whatever is lost, repeated or made up") {
    std::mt19937_64 random(5);
    std::uint64_t whole = 0;
    for (int round = 0; round < 200; ++round) {
      CAPTURE(round);
      large_answers sender(4u << 20), receiver(4u << 20);
      const std::size_t size = large_answers::part_bytes + 1 + random() % (2u << 20);
      auto bytes = std::make_shared<std::vector<std::byte>>(size);
      for (std::size_t i = 0; i < size; i += 97) (*bytes)[i] = static_cast<std::byte>(i * 31);
      const auto length = static_cast<std::uint32_t>(size);
      protocol::call_answers answer{3, 4, {{77, 9, false}}, {bytes, std::span(&length, 1), *bytes}};
      REQUIRE(large_answers::needs_parts(answer));
      REQUIRE(sender.add(member_id(1), 0s, answer));
      unsigned made = 0;
      bool links = true;
      protocol::instant now{};
      for (int turn = 0; turn < 60; ++turn) {
        now += large_answers::look_again;
        const bool last = turn > 40;
        if (random() % 8 == 0 && !last) links = !links;
        if (turn == 41) {
          links = true;
          sender.link_up(member_id(1));
        }
        if (!last && random() % 10 == 0) sender.link_up(member_id(1));
        std::size_t queued = links ? 0 : SIZE_MAX;
        sender.send(
          now, [&](member_id) { return queued; },
          [&](member_id to, const protocol::message& m) {
            CHECK(to == member_id(1));
            auto part = std::get<protocol::call_answers>(m);
            CHECK(part.what.blob.size() <= large_answers::part_bytes);
            if (queued < SIZE_MAX) queued += part.what.blob.size();
            if (!last && random() % 12 == 0) return;  // lost
            for (int copies = random() % 12 == 0 ? 2 : 1; copies > 0; --copies) {
              if (random() % 12 == 0) {  // bounds that make no sense are nobody's
                auto strange = part;
                strange.items[0].total = static_cast<std::uint32_t>(random());
                strange.items[0].number = 78;
                (void)receiver.take(member_id(2), now, strange);
              }
              if (auto all = receiver.take(member_id(2), now, part)) {
                ++made;
                CHECK(all->items.size() == 1);
                CHECK(all->items[0].total == 0);
                CHECK(all->items[0].number == 77);
                CHECK(std::ranges::equal(all->what.blob, *bytes));
              }
            }
          });
      }
      CHECK(made >= 1);  // whoever hears it more than once counts it once (C1)
      whole += made;
      receiver.forget(now, [](std::uint64_t) { return false; });
      sender.send(now + large_answers::kept_time + 1s, [](member_id) { return std::size_t{0}; },
                  [](member_id, const protocol::message&) { FAIL("it was sent whole"); });
      CHECK(sender.next_deadline() == protocol::never);
    }
    CHECK(whole >= 200);
  }

  TEST_CASE("more than a member keeps of large answers is said to be too large, and room comes back") {
    large_answers sender(32u << 20);
    const auto add = [&](std::uint64_t number) {
      auto bytes = std::make_shared<std::vector<std::byte>>(20u << 20);
      auto size = std::make_shared<std::uint32_t>(20u << 20);
      protocol::call_answers a{3, 4, {{number, 9, false}}, {bytes, std::span(size.get(), 1), *bytes}};
      static std::vector<std::shared_ptr<std::uint32_t>> sizes;
      sizes.push_back(size);
      const bool fits = sender.add(member_id(1), 0s, a);
      if (!fits) CHECK(a.items[0].too_large);
      return fits;
    };
    CHECK(add(1));
    CHECK(add(2));
    CHECK(add(3));
    CHECK_FALSE(add(4));
    sender.given_up(member_id(1), {4, {2}});
    CHECK(add(5));
    CHECK_FALSE(add(6));
    sender.send(1s, [](member_id) { return std::size_t{0}; }, [](member_id, const protocol::message&) {});
    CHECK(add(7));  // those that were sent make room
  }

  TEST_CASE("answers that left lately are repeated over a new link, to whom they were for") {
    const auto desk = std::make_shared<call_desk>([](member_id m) { return "n" + std::to_string(to_index(m) + 1); }, 1);
    call_traffic traffic(desk, 1u << 20);
    protocol::call_answers a;
    const auto sent = [&](unsigned to, protocol::instant at) {
      std::vector<std::uint64_t> numbers;
      traffic.link_up(member_id(to), at, [&](const protocol::message& m) {
        for (const auto& i : std::get<protocol::call_answers>(m).items) numbers.push_back(i.number);
      });
      return numbers;
    };
    a.items = {{1, 7, false}};
    traffic.sent(member_id(1), 0s, a);
    a.items = {{2, 7, false}, {3, 7, false}};
    traffic.sent(member_id(2), 2s, a);
    a.items = {{4, 7, false}};
    traffic.sent(member_id(1), 3s, a);
    CHECK(sent(1, 4s) == std::vector<std::uint64_t>{1, 4});
    CHECK(sent(2, 4s) == std::vector<std::uint64_t>{2, 3});
    CHECK(sent(1, 11s) == std::vector<std::uint64_t>{4});
    CHECK(sent(1, 14s).empty());

    // What nobody waits for is dropped where it arrives.
    protocol::message stray(a);
    CHECK(traffic.take(member_id(1), 14s, stray));
    CHECK_FALSE(traffic.waits());
    protocol::message other(protocol::read_request{1});
    CHECK_FALSE(traffic.take(member_id(1), 14s, other));
  }
}
