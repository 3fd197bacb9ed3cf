// The client library alone, against a gateway without a node: callbacks, and what can be asked.
#include "tests/unit/client_stage.hpp"

#include <doctest/doctest.h>

#include <utility>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// What the client says of callbacks that throw.
struct complaints {
  std::mutex mutex;
  std::vector<std::string> all;
  client_options to(const group_of_one& g) {
    auto how = g.to();
    how.trouble = [this](const std::string& what) {
      std::lock_guard guard(mutex);
      all.push_back(what);
    };
    return how;
  }
  std::size_t count() {
    std::lock_guard guard(mutex);
    return all.size();
  }
};

bool comes(std::future<call_result>& f) { return f.wait_for(20s) == std::future_status::ready; }

}  // namespace

TEST_SUITE("client: callbacks") {
  TEST_CASE("a callback may ask for the session") {
    group_of_one g;
    g.serve();
    client c(g.to());
    std::promise<session_state> seen;
    c.call(bytes("a"), {}, [&](call_result&&) { seen.set_value(c.session()); });
    auto f = seen.get_future();
    REQUIRE(f.wait_for(20s) == std::future_status::ready);
    CHECK(f.get().birth == c.session().birth);
  }

  TEST_CASE("who asks for a call that is open is answered when it ends; of one that ended, at once") {
    group_of_one g;
    std::atomic<bool> lose{true};
    g.judge = [&](const wired::request& r) {
      return r.what == wired::request::kind::call && lose ? group_of_one::fate::lose_answer : group_of_one::fate::pass;
    };
    g.serve();
    client c(g.to());
    std::promise<call_result> done;
    const auto id = c.call(bytes("a"), {}, [&](call_result&& r) { done.set_value(std::move(r)); });
    auto asked = c.ask(id);
    REQUIRE(eventually([&] { return g.times("a") == 1; }));
    auto again = c.ask(id);
    lose = false;
    auto first = done.get_future();
    for (auto* f : {&asked, &again, &first}) {
      REQUIRE(comes(*f));
      const auto r = f->get();
      CHECK(r.what == call_outcome::replied);
      CHECK(r.text() == "a was number 1");
    }
    auto late = c.ask(id);
    REQUIRE(comes(late));
    CHECK(late.get().text() == "a was number 1");
    auto nothing = c.ask(id + 100);
    REQUIRE(comes(nothing));
    CHECK(nothing.get().what == call_outcome::unknown);
    CHECK(g.times("a") == 1);
  }

  TEST_CASE("of the answers of ended calls the last thousand are kept, and no more than 4 MiB") {
    group_of_one g;
    g.serve();
    client c(g.to());
    const std::string large(1u << 20, 'x');
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 6; ++i) ids.push_back(c.call(large).get().id);
    CHECK(c.ask(ids.front()).get().what == call_outcome::unknown);
    CHECK(c.ask(ids.back()).get().what == call_outcome::replied);
    for (int i = 0; i < 1000; ++i) REQUIRE(c.call("").get().what == call_outcome::replied);
    CHECK(c.ask(ids.back()).get().what == call_outcome::unknown);
    CHECK(c.ask(ids.back() + 1).get().what == call_outcome::replied);
  }

  TEST_CASE("who watches a group that is not there, or shows nothing, is told so; one that is there is watched") {
    group_of_one g;
    g.serve();
    const auto first_of = [&](const std::string& group) {
      auto how = g.to();
      how.group = group;
      client c(how);
      std::promise<watch_event> first;
      c.watch([&, told = false](const watch_event& e) mutable {
        if (!std::exchange(told, true)) first.set_value(e);
      });
      auto f = first.get_future();
      const bool came = f.wait_for(20s) == std::future_status::ready;
      c.watch({});
      REQUIRE(came);
      return f.get();
    };
    CHECK(first_of("list").what == watch_event::kind::connected);
    auto e = first_of("lost");
    CHECK(e.what == watch_event::kind::refused);
    CHECK(e.why == "no such group");
    e = first_of("unseen");
    CHECK(e.what == watch_event::kind::refused);
    CHECK(e.why == "cannot be watched");
  }

  TEST_CASE("a callback that throws costs nobody else an answer, a deadline or the process") {
    group_of_one g;
    std::atomic<bool> lose{false};
    g.judge = [&](const wired::request& r) {
      return r.what == wired::request::kind::call && lose ? group_of_one::fate::lose : group_of_one::fate::pass;
    };
    g.serve();
    complaints told;
    auto how = told.to(g);
    how.waiting_calls_max = 8;
    client c(how);
    const auto bad = [](call_result&&) { throw std::runtime_error("the application's"); };
    REQUIRE(c.call("0").get().what == call_outcome::replied);

    // In one batch with others.
    c.call(bytes("bad"), {}, bad);
    std::vector<std::future<call_result>> good;
    for (int i = 0; i < 4; ++i) good.push_back(c.call("good"));
    for (auto& f : good) {
      REQUIRE(comes(f));
      CHECK(f.get().what == call_outcome::replied);
    }
    CHECK(told.count() == 1);

    // At its deadline.
    lose = true;
    c.call(bytes("late"), {.within = 20ms}, bad);
    auto other = c.call("late, too", {.within = 40ms});
    REQUIRE(comes(other));
    CHECK(other.get().what != call_outcome::replied);
    REQUIRE(eventually([&] { return told.count() == 2; }));
    lose = false;
    auto after = c.call("after", {.within = 20s});
    REQUIRE(comes(after));
    CHECK(after.get().what == call_outcome::replied);

    // From a posted task: what is too much is refused at once.
    lose = true;
    const std::string blocked = "blocked";
    for (int i = 0; i < 3000 && told.count() == 2; ++i) c.call(bytes(blocked), {}, i == 2999 ? client::done(bad) : client::done([&](call_result&& r) {
      if (r.what == call_outcome::refused) throw 5;
    }));
    REQUIRE(eventually([&] { return told.count() > 2; }));
    lose = false;
    REQUIRE(eventually([&] { return c.call("last", {.within = 1s}).get().what == call_outcome::replied; }));
    std::lock_guard guard(told.mutex);
    CHECK(told.all[0].ends_with("threw: the application's"));
    CHECK(told.all[2].ends_with("no std::exception"));
  }
}
