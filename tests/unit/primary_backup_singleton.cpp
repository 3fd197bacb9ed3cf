// The one instance of a group: members of which the order of messages and views is the same, and arrives at different times.
#include "primary_backup_stage.hpp"

#include <cohort/singleton.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

using namespace cohort;
using namespace cohort::primary_backup;
using namespace cohort::primary_backup::test;

namespace {

/// What instances do outside of the group.
struct outside {
  int alive = 0;
  fencing_token newest = 0;
  std::vector<fencing_token> tokens;  ///< of all that began
  std::map<std::uint64_t, int> handled;
  int failures = 0;  ///< still to come, at "boom"
};

class counted final : public singleton {
public:
  explicit counted(outside& out) : out_(out) { ++out_.alive; }
  ~counted() override { --out_.alive; }
  void started(fencing_token token) override {
    token_ = token;
    out_.tokens.push_back(token);
  }
  void handles_later(std::function<void()>) override { later_ = true; }
  void handle(const delivery& message, reply& answer) override {
    if (later_ && ++asked_ % 3 != 0) return answer.defer();
    if (text_of(message.payload) == "boom" && out_.failures-- > 0) throw std::runtime_error("asked to");
    ++out_.handled[message.position];
    answer.write(std::to_string(token_));
  }

private:
  outside& out_;
  fencing_token token_ = 0;
  bool later_ = false;
  int asked_ = 0;
};

struct event {
  std::optional<protocol::view> view;
  std::vector<std::byte> bytes;
  delivery what;
};

protocol::view view_with(view_number number, const std::vector<incarnation>& incs, const std::vector<bool>& active) {
  protocol::view v;
  v.number = number;
  for (std::size_t i = 0; i < incs.size(); ++i)
    v.roster.push_back({{member_id(i), i + 1}, incs[i], true, active[i], false});
  return v;
}

}  // namespace

TEST_SUITE_BEGIN("primary backup: singleton");

TEST_CASE("the first token names somebody, also where the office began with view 0") {
  outside out;
  member m(member_id(0), as_service([&] { return std::make_unique<counted>(out); }), backup_kind::hot);
  CHECK(out.alive == 0);
  m.view_installed(view_with(0, {1, 1}, {true, true}), true);
  CHECK(m.execute(1000).empty());
  CHECK(out.alive == 1);
  fence f;
  REQUIRE(out.tokens.size() == 1);
  CHECK(f.admit(out.tokens[0]));
}

TEST_CASE("an instance that throws is replaced, and the message settled in the end") {
  for (int failures = 1; failures <= 4; ++failures) {
    outside out;
    out.failures = failures;
    member m(member_id(0), as_service([&] { return std::make_unique<counted>(out); }), backup_kind::hot);
    m.view_installed(view_with(1, {1}, {true}), true);
    delivery d;
    const auto boom = framed(frame::request, bytes_of("boom"));
    d.payload = boom;
    d.position = 1;
    reply answer;
    m.apply(d, answer);
    std::vector<std::byte> update;
    for (int tries = 0; tries < 10 && update.empty(); ++tries) {
      const auto made = m.execute(1000);
      update.assign(made.begin(), made.end());
      CHECK(out.alive <= 1);
    }
    REQUIRE_FALSE(update.empty());
    CHECK(out.handled[1] == (failures < 3 ? 1 : 0));
    answer.clear();
    d.payload = update;
    d.position = 2;
    d.sender = member_id(0);
    d.sender_incarnation = 1;
    d.own = true;
    m.apply(d, answer);
    std::string said;
    answer.each_settled([&](std::uint64_t, auto bytes) { said = text_of(bytes); });
    CHECK(said == (failures < 3 ? "2" : "failed: asked to"));
  }
}

TEST_CASE("an instance handles a message later: those behind it wait, and it is the same instance") {
  outside out;
  member m(member_id(0), as_service([&] { return std::make_unique<counted>(out); }), backup_kind::hot);
  m.wake_by([] {});
  m.view_installed(view_with(1, {1}, {true}), true);
  const auto message = framed(frame::request, bytes_of("x"));
  reply answer;
  for (std::uint64_t position = 1; position <= 2; ++position) {
    delivery d;
    d.payload = message;
    d.position = position;
    m.apply(d, answer);
  }
  CHECK(m.execute(1000).empty());
  CHECK(m.execute(1000).empty());
  CHECK(out.handled.empty());
  std::vector<std::byte> update;
  const auto made = m.execute(1000);  // the first; the second waits
  update.assign(made.begin(), made.end());
  REQUIRE_FALSE(update.empty());
  CHECK(out.handled == std::map<std::uint64_t, int>{{1, 1}});
  answer.clear();
  delivery d;
  d.payload = update;
  d.position = 3;
  d.sender = member_id(0);
  d.sender_incarnation = 1;
  d.own = true;
  m.apply(d, answer);
  std::vector<std::uint64_t> settled;
  answer.each_settled([&](std::uint64_t p, auto) { settled.push_back(p); });
  CHECK(settled == std::vector<std::uint64_t>{1});
  CHECK(m.execute(1000).empty());
  CHECK_FALSE(m.execute(1000).empty());
  CHECK(out.handled == std::map<std::uint64_t, int>{{1, 1}, {2, 1}});
  CHECK(out.tokens.size() == 1);
  // An answer that waits counts no more once the office is lost.
  m.view_installed(view_with(2, {1}, {false}), false);
  CHECK(out.alive == 0);
}

TEST_CASE("random: one instance where the group says, tokens that grow, nothing lost, and one answer") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    sim::random chance(seed);
    const std::size_t n = 2 + chance.below(3);
    std::vector<outside> out(n);
    std::vector<std::unique_ptr<member>> members;
    for (std::size_t i = 0; i < n; ++i)
      members.push_back(std::make_unique<member>(member_id(i), as_service([&o = out[i]] { return std::make_unique<counted>(o); }),
                                                 backup_kind::hot));
    for (auto& m : members)
      if (seed % 2 == 0) m->wake_by([] {});  // then each message is handled later
    std::deque<event> order;
    std::vector<std::size_t> at(n);
    std::uint64_t position = 0;
    std::vector<incarnation> incs(n, 1);
    std::vector<bool> active(n, true);
    view_number views = 0;
    const auto submit = [&](std::span<const std::byte> bytes, std::size_t sender) {
      event e;
      e.bytes.assign(bytes.begin(), bytes.end());
      e.what.position = ++position;
      e.what.sender = member_id(sender);
      e.what.sender_incarnation = incs[sender];
      order.push_back(std::move(e));
    };
    order.push_back({view_with(views++, incs, active), {}, {}});
    std::map<std::uint64_t, std::string> answers;  // by position; the same at all
    std::set<std::uint64_t> asked;
    const auto step = [&](std::size_t i) {
      if (at[i] == order.size()) return false;
      auto& e = order[at[i]++];
      if (e.view) {
        members[i]->view_installed(*e.view, e.view->roster[i].active);
      } else {
        reply answer;
        e.what.payload = e.bytes;
        e.what.own = to_index(e.what.sender) == i;
        members[i]->apply(e.what, answer);
        answer.each_settled([&](std::uint64_t p, auto bytes) {
          const auto [known, is_new] = answers.emplace(p, text_of(bytes));
          REQUIRE(known->second == text_of(bytes));
        });
      }
      CHECK(out[i].alive <= 1);
      if (!members[i]->executes()) CHECK(out[i].alive == 0);
      return true;
    };
    for (int turn = 0; turn < 400; ++turn) {
      const auto i = chance.below(n);
      if (chance.chance(100)) {
        asked.insert(position + 1);
        submit(framed(frame::request, bytes_of("do")), i);
      } else if (chance.chance(30)) {  // somebody fails, or is back under a new incarnation
        if (active[i] && std::ranges::count(active, true) > 1) active[i] = false;
        else if (!active[i]) active[i] = true, ++incs[i];
        order.push_back({view_with(views++, incs, active), {}, {}});
      } else if (chance.chance(300)) {
        // Also one that does not know yet that it is out of office.
        const auto update = members[i]->execute(1000);
        if (!update.empty()) submit(update, i);
      } else {
        step(i);
      }
    }
    for (bool again = true; std::exchange(again, false);)
      for (std::size_t i = 0; i < n; ++i) {
        while (step(i)) again = true;
        for (int looks = 0; looks < 3; ++looks)
          if (const auto update = members[i]->execute(1000); !update.empty()) submit(update, i), again = true;
      }
    int executing = 0;
    std::set<fencing_token> begun;
    for (std::size_t i = 0; i < n; ++i) {
      executing += members[i]->executes();
      CHECK(out[i].alive == static_cast<int>(members[i]->executes()));
      CHECK(std::ranges::is_sorted(out[i].tokens));
      for (const auto t : std::set<fencing_token>(out[i].tokens.begin(), out[i].tokens.end()))
        CHECK_MESSAGE(begun.insert(t).second, "two members had an instance with token " << t);
    }
    CHECK(executing == 1);
    std::uint64_t before = 0;
    for (const auto p : asked) {
      REQUIRE(answers.contains(p));
      const auto token = std::stoull(answers[p]);
      CHECK_MESSAGE(token >= before, "a message was answered by an older instance behind one of a newer");
      before = token;
    }
  }
}

TEST_SUITE_END();
