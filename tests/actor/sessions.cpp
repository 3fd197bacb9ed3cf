// Sessions in groups of real nodes: once at every replica, whichever node a request goes through, and after restarts.
#include "tests/actor/cluster.hpp"

#include <cohort/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

struct answer {
  outcome what{};
  std::vector<std::byte> bytes;
  session_reply reply;
};

/// Submits until the group decided, as a caller does that knows nothing of what became of the copies before.
answer insist(cluster& c, int i, const std::vector<std::byte>& request) {
  answer a;
  auto port = c.at(i).port("room");
  completion_batch done;
  submit_options how;
  how.session_request = true;
  eventually([&] {
    port.submit(request, 1, how);
    port.flush();
    if (!eventually([&] { return port.take(done); })) return false;
    a.what = done[0].outcome;
    a.bytes.assign(done[0].reply.begin(), done[0].reply.end());
    return a.what == outcome::replied;
  }, 30s);
  read_reply(a.bytes, a.reply);
  return a;
}

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::vector<std::byte> call(const session_name& s, std::uint64_t number, const std::string& text) {
  std::vector<std::byte> out;
  write_call(out, s, number, 1, std::as_bytes(std::span(text)));
  return out;
}

}  // namespace

TEST_SUITE("sessions") {
  TEST_CASE("a request is executed once whichever node it goes through, also after all were killed") {
    auto how = contract::replicated();
    how.sessions = true;
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    session_name s{{4711, 42}, 0};
    std::vector<std::byte> out;
    write_open(out, s, {.lifetime = std::chrono::hours(1)});
    auto a = insist(c, 0, out);
    REQUIRE(a.reply.what == session_outcome::replied);
    s.birth = a.reply.birth;
    a = insist(c, 0, call(s, 1, "a"));
    REQUIRE(a.reply.what == session_outcome::replied);
    CHECK(!a.reply.repeated);
    const auto first = text_of(a.reply.payload);
    a = insist(c, 1, call(s, 1, "a"));
    CHECK(a.reply.repeated);
    CHECK(text_of(a.reply.payload) == first);
    CHECK(c.insist(2, "plain") == outcome::replied);
    CHECK(c.insist(2, text_of(call(s, 1, "looks like one"))) == outcome::replied);
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.messages(i) == std::vector<std::string>{"a", "plain", text_of(call(s, 1, "looks like one"))}; }));

    c.stop(1);  // leaves a checkpoint
    c.kill(0);
    c.kill(2);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    a = insist(c, 1, call(s, 1, "a"));
    CHECK(a.reply.repeated);
    CHECK(text_of(a.reply.payload) == first);
    a = insist(c, 2, call(s, 2, "b"));
    CHECK(!a.reply.repeated);
    for (int i = 0; i < 3; ++i)
      CHECK(eventually([&] { return c.messages(i).size() == 4 && std::ranges::count(c.messages(i), "a") == 1; }));

    auto port = c.at(0).port("room");
    std::vector<std::byte> question;
    completion_batch done;
    write_question(question, a.reply.index, {}, std::as_bytes(std::span("where?", 6)));
    REQUIRE(eventually([&] {
      port.query(question, reads::linearizable, 1, true);
      port.flush();
      return eventually([&] { return port.take(done); }) && done[0].outcome == outcome::replied;
    }));
    session_reply r;
    REQUIRE(read_reply(done[0].reply, r));
    CHECK(r.what == session_outcome::replied);
    CHECK(text_of(r.payload) == "4");
    CHECK(r.index >= a.reply.index);
  }

  TEST_CASE("a group without sessions refuses their requests, one that only listens cannot have them") {
    cluster c(1, contract::replicated().with(&contract::single, true));
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto port = c.at(0).port("room");
    submit_options how;
    how.session_request = true;
    port.submit(call({{1, 1}, 1}, 1, "a"), 1, how);
    port.query(call({{1, 1}, 1}, 1, "a"), reads::local, 2, true);
    port.flush();
    completion_batch done;
    REQUIRE(eventually([&] { return port.take(done); }));
    REQUIRE(done.size() == 2);
    CHECK(done[0].outcome == outcome::not_enabled);
    CHECK(done[1].outcome == outcome::not_enabled);
    struct quiet final : listener {
      void deliver(const delivery_batch&) override {}
    };
    auto config = c.at(0).config();
    node other(config);
    CHECK_THROWS_AS(other.listen("x", [] { return std::make_unique<quiet>(); }, contract{}.with(&contract::sessions, true).with(&contract::single, true)),
                    node_error);
  }
}
