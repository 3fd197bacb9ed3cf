// A client that comes back. Its end by kill -9 is a copy of its session file at that moment: the life before may go on meanwhile, as one
// does that was only believed dead.
#include "tests/unit/client_stage.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <utility>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

using fate = group_of_one::fate;

struct folder {
  std::filesystem::path path = fast_folder() / ("cohort-lives-" + std::to_string(::getpid()) + '-' + std::to_string(std::random_device{}()));
  int copies = 0;
  folder() { std::filesystem::create_directory(path); }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string fresh() { return path / std::to_string(++copies); }
  std::string copy_of(const std::string& file) {
    auto to = fresh();
    std::filesystem::copy_file(file, to);
    return to;
  }
};

struct stage {
  folder f;
  group_of_one g;
  std::atomic<int> calls{0};  ///< a fate
  std::string file = f.fresh();
  explicit stage(bool serve = true) {
    g.judge = [this](const wired::request& r) { return r.what == wired::request::kind::call ? static_cast<fate>(calls.load()) : fate::pass; };
    if (serve) g.serve();
  }
  void next_calls(fate what) { calls = static_cast<int>(what); }
  client_options with(const std::string& session_file) {
    auto how = g.to();
    how.session_file = session_file;
    return how;
  }
};

call_result got(std::future<call_result> f) {
  REQUIRE(f.wait_for(20s) == std::future_status::ready);
  return f.get();
}

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE("client: lives") {
  TEST_CASE("what was executed in a life before is answered, and not executed again") {
    stage s;
    client first(s.with(s.file));
    CHECK(first.unacknowledged().empty());
    CHECK(got(first.call("a", {.number = 3})).id == 3);
    first.acknowledge(3);
    s.next_calls(fate::lose_answer);
    auto lost = first.call("b", {.number = 5});
    REQUIRE(eventually([&] { return s.g.times("b") == 1; }));
    const auto file = s.f.copy_of(s.file);
    s.next_calls(fate::pass);
    client second(s.with(file));
    CHECK(second.unacknowledged() == numbers{5});
    auto r = got(second.call("b", {.number = 5}));
    CHECK(r.what == call_outcome::replied);
    CHECK(r.text() == "b was number 2");
    CHECK(r.repeated);
    CHECK(got(second.call("c", {.number = 6})).text() == "c was number 3");
    CHECK(got(second.call("d")).id == 7);
    r = got(second.call("a", {.number = 3}));
    CHECK(r.what == call_outcome::refused);
    CHECK(s.g.executed() == std::vector<std::string>{"a", "b", "c", "d"});
  }

  TEST_CASE("what was not executed in a life before is executed once, or is settled by asking") {
    stage s;
    client first(s.with(s.file));
    REQUIRE(got(first.call("a")).id == 1);
    s.next_calls(fate::lose);
    auto lost = first.call("b");
    auto lost_too = first.call("c");
    REQUIRE(eventually([&] { return std::filesystem::file_size(s.file) >= 48 * 5; }));
    const auto file = s.f.copy_of(s.file);
    client second(s.with(file));
    REQUIRE(second.unacknowledged() == numbers{1, 2, 3});
    CHECK(got(second.ask(1)).text() == "a was number 1");
    CHECK(got(second.ask(3)).what == call_outcome::refused);
    s.next_calls(fate::pass);  // a late copy of the life before comes, too, and its number is settled
    CHECK(got(std::move(lost_too)).what == call_outcome::refused);
    CHECK(got(second.call("b", {.number = 2})).text() == "b was number 2");
    CHECK(got(std::move(lost)).text() == "b was number 2");
    CHECK(got(second.ask(2)).text() == "b was number 2");
    CHECK(got(second.ask(4)).what == call_outcome::unknown);
    CHECK(s.g.times("b") == 1);
    CHECK(s.g.times("c") == 0);
  }

  TEST_CASE("a number is never answered with another request's answer") {
    stage s;
    {
      client first(s.with(s.file));
      REQUIRE(got(first.call("a", {.number = 1})).what == call_outcome::replied);
      CHECK(got(first.call("z", {.number = 1})).what == call_outcome::refused);
    }
    client second(s.with(s.file));
    const auto r = got(second.call("z", {.number = 1}));
    CHECK(r.what == call_outcome::refused);
    CHECK(r.why == "its number was used for another request");
    CHECK(got(second.call("a", {.number = 1})).text() == "a was number 1");
    CHECK(s.g.executed() == std::vector<std::string>{"a"});
  }

  TEST_CASE("only what the application acknowledged is forgotten") {
    stage s;
    for (int life = 0; life < 4; ++life) {
      client c(s.with(s.file));
      if (life > 0) CHECK(c.unacknowledged() == numbers{1, 3});
      for (std::uint64_t n = 1; n <= 3; ++n) {
        if (life > 0 && n == 2) continue;
        const auto r = got(c.call("r" + std::to_string(n), {.number = n}));
        CHECK(r.text() == "r" + std::to_string(n) + " was number " + std::to_string(n));
      }
      c.acknowledge(2);
      const auto more = got(c.call("more"));  // in this life's session, and with it the acknowledgement is on disk
      CHECK(more.what == call_outcome::replied);
      c.acknowledge(more.id);
      if (life > 0) CHECK(got(c.ask(2)).what == call_outcome::unknown);
      CHECK(got(c.ask(3)).text() == "r3 was number 3");
      REQUIRE(got(c.call("again")).what == call_outcome::replied);
      c.acknowledge(more.id + 1);
      REQUIRE(got(c.call("last")).what == call_outcome::replied);
      c.acknowledge(more.id + 2);
      REQUIRE(eventually([&] { return got(c.ask(more.id + 2)).what == call_outcome::replied; }));
    }
    for (const auto* text : {"r1", "r2", "r3"}) CHECK(s.g.times(text) == 1);
  }

  TEST_CASE("a life that was only believed dead executes nothing more once the next one has begun, and is told") {
    for (const bool settled : {false, true}) {
      CAPTURE(settled);
      stage s;
      client first(s.with(s.file));
      REQUIRE(got(first.call("a")).what == call_outcome::replied);
      if (settled) {
        first.acknowledge(1);
        REQUIRE(got(first.call("b")).what == call_outcome::replied);
        first.acknowledge(2);
        REQUIRE(eventually([&] { return got(first.call("b", {.number = 2})).what == call_outcome::refused; }));
        client flushed(s.with(s.f.copy_of(s.file)));  // reads, and does nothing
      }
      const auto file = s.f.copy_of(s.file);
      client second(s.with(file));
      if (settled)
        for (auto n : second.unacknowledged()) second.acknowledge(n);
      REQUIRE(got(second.call("mine")).what == call_outcome::replied);
      for (int i = 0; i < 3; ++i) {
        const auto r = got(first.call("old" + std::to_string(i)));
        CHECK(r.what != call_outcome::replied);
        CHECK(r.why.find("another life") != std::string::npos);
        CHECK(s.g.times("old" + std::to_string(i)) == 0);
      }
      CHECK(got(second.call("more")).what == call_outcome::replied);
      CHECK(got(second.read("")).what == call_outcome::replied);
    }
  }

  TEST_CASE("what a life executed after the copy of its file was made is told to the one that began from the copy") {
    stage s;
    client first(s.with(s.file));
    REQUIRE(got(first.call("a")).what == call_outcome::replied);
    const auto file = s.f.copy_of(s.file);
    REQUIRE(got(first.call("b", {.number = 2})).what == call_outcome::replied);
    client second(s.with(file));
    auto r = got(second.call("b", {.number = 2}));
    CHECK(r.what == call_outcome::refused);
    CHECK(r.why.ends_with("ask for it"));
    CHECK(got(second.ask(2)).text() == "b was number 2");
    CHECK(got(second.call("c", {.number = 3})).text() == "c was number 3");
    CHECK(s.g.times("b") == 1);
  }

  TEST_CASE("lives end at any moment, answers and requests are lost: each request is executed once and answered") {
    for (unsigned seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      std::mt19937 random(seed);
      stage s(false);
      s.g.judge = [r = std::mt19937(seed)](const wired::request& q) mutable {
        if (q.what == wired::request::kind::query) return fate::pass;
        // An answer that is lost costs those of its whole batch; numbers are given up in large ones.
        const auto drawn = r() % (q.what == wired::request::kind::cancel ? 2000 : 50);
        return drawn == 0 ? fate::lose : drawn == 1 ? fate::lose_answer : fate::pass;
      };
      s.g.serve();
      std::map<std::uint64_t, std::string> answers;  // what the application has on its own disk
      auto file = s.file;
      std::vector<std::unique_ptr<client>> zombies;
      constexpr std::uint64_t all = 80;
      for (int life = 0; answers.size() < all; ++life) {
        REQUIRE(life < 400);
        auto how = s.with(file);
        how.attempt_timeout = 30ms;
        how.back_off_max = 20ms;
        auto c = std::make_unique<client>(how);
        for (auto n : c->unacknowledged())
          if (answers.contains(n)) c->acknowledge(n);
        std::vector<std::pair<std::uint64_t, std::future<call_result>>> open;
        for (std::uint64_t n = 1; n <= all && open.size() < 12; ++n)
          if (!answers.contains(n)) open.emplace_back(n, c->call("r" + std::to_string(n), {.number = n}));
        auto left = random() % 14;
        for (auto& [n, f] : open) {
          if (left-- == 0) break;
          auto r = got(std::move(f));
          if (r.what == call_outcome::refused && r.why.ends_with("ask for it")) r = got(c->ask(n));  // it was a zombie's by then
          REQUIRE(std::string(to_string(r.what)) + r.why == "replied");
          answers[n] = r.text();
          if (random() % 3 > 0) c->acknowledge(n);
        }
        if (c->session().birth == 0) c.reset();  // its session is in no file yet: the next life cannot know of it
        file = s.f.copy_of(file);
        if (c && random() % 2 == 0) zombies.push_back(std::move(c));
        if (zombies.size() > 3) zombies.erase(zombies.begin());
      }
      for (std::uint64_t n = 1; n <= all; ++n) {
        CAPTURE(n);
        CHECK(s.g.times("r" + std::to_string(n)) == 1);
        CHECK(answers[n].starts_with("r" + std::to_string(n) + " was number "));
      }
      zombies.clear();
    }
  }

  TEST_CASE("a thousand numbers wait to be acknowledged, and the next call for that") {
    stage s;
    client c(s.with(s.file));
    std::vector<std::future<call_result>> all;
    for (int i = 0; i < 1001; ++i) all.push_back(c.call("x"));
    for (int i = 0; i < 1000; ++i) REQUIRE(got(std::move(all[static_cast<std::size_t>(i)])).what == call_outcome::replied);
    CHECK(all[1000].wait_for(100ms) == std::future_status::timeout);
    c.acknowledge(1);
    CHECK(got(std::move(all[1000])).what == call_outcome::replied);
  }

  TEST_CASE("of a session that expired nobody can tell, and the next life goes on in its own") {
    stage s;
    auto how = s.with(s.file);
    how.session_lifetime = 2s;
    std::uint64_t high = 0;
    {
      client first(how);
      REQUIRE(got(first.call("a")).what == call_outcome::replied);
      high = first.session().high;
      s.g.pass_time(3s);
      // In its own life, too, it is for the application to begin another one.
      CHECK(got(first.call("b")).what == call_outcome::refused);
      CHECK(got(first.call("c")).what == call_outcome::refused);
    }
    client second(how);
    CHECK(second.unacknowledged() == numbers{1, 2});
    CHECK(got(second.ask(1)).what == call_outcome::unknown);
    CHECK(got(second.call("b", {.number = 2})).what == call_outcome::unknown);
    second.acknowledge(1);
    second.acknowledge(2);
    CHECK(got(second.call("c")).text() == "c was number 2");
    CHECK(second.session().high != high);
    CHECK(s.g.executed() == std::vector<std::string>{"a", "c"});
  }

  TEST_CASE("one client at a time has a session file, of one group") {
    stage s;
    client first(s.with(s.file));
    CHECK_THROWS_WITH_AS(client(s.with(s.file)), doctest::Contains("another client has it open"), std::runtime_error);
    auto how = s.with(s.f.copy_of(s.file));
    how.group = "other";
    CHECK_THROWS_WITH_AS(client(std::move(how)), doctest::Contains("of another group"), std::runtime_error);
    CHECK_THROWS_AS(client(s.with("/nowhere/at/all")), std::runtime_error);
    client without(s.g.to());
    CHECK_THROWS_AS((void)without.call("x", {.number = 1}), std::invalid_argument);
  }

  TEST_CASE("where the file cannot be written nothing is sent, and the caller is told") {
    stage s;
    client c(s.with(s.file));
    REQUIRE(got(c.call("a")).what == call_outcome::replied);
    rlimit before{}, none{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    none = before;
    none.rlim_cur = std::filesystem::file_size(s.file);
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &none);
    const auto r = got(c.call("b"));
    ::setrlimit(RLIMIT_FSIZE, &before);
    CHECK(r.what == call_outcome::refused);
    CHECK(r.why.starts_with("session file "));
    CHECK(got(c.call("c")).what == call_outcome::refused);
    CHECK(s.g.executed() == std::vector<std::string>{"a"});
  }
}
