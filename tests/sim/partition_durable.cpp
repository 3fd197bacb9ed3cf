// Partitionable groups on disk: the core alone with a disk that is written when the test says so, and the checker.
#include "framework/protocol/partition/core.hpp"
#include "framework/protocol/partition/mistakes.hpp"
#include "tests/sim/partition_scribe.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

namespace {

using namespace cohort;
using namespace cohort::test::partition;
using protocol::submit_status;
using std::chrono::milliseconds;

/// A process and its disk. What it sends goes nowhere; what it delivers and asks for is kept.
struct machine {
  pp::core_options options;
  std::vector<protocol::persist_op> journal;  ///< also what is not flushed yet
  std::size_t flushed = 0;
  std::optional<pp::core> core;
  std::vector<protocol::deliver_batch> delivered;
  std::vector<protocol::mark> checkpoints;  ///< asked for
  pp::component_id installed;
  std::optional<protocol::mark> stored;
  std::vector<std::pair<protocol::journal_position, pp::control>> said;
  milliseconds now{1};
  incarnation lives = 0;
  const std::vector<member_id> founders;

  explicit machine(bool durable = true, std::vector<member_id> all = {A.member, B.member}) : founders(std::move(all)) {
    options.orders = order_set::all();
    options.durable = durable;
    options.merge = merge_policy::application;
    options.checkpoint_bytes = 1u << 20;
    start();
  }
  void start() {
    pp::recovery found;
    if (stored) found.checkpoint(*stored, 1);
    for (const auto& op : journal) REQUIRE(found.record(op));
    core.emplace(options, pp::core_start{{A.member, 7}, ++lives, founders, lives == 1, found.finish()});
    core->tick(now, wall());
  }
  /// Power fails: what was not flushed is gone.
  void restart() {
    journal.resize(flushed);
    delivered.clear();
    said.clear();
    start();
  }
  wall_time wall() const { return wall_time(std::chrono::microseconds(now).count() + 1'000'000); }
  protocol::journal_position on_disk() const { return flushed == 0 ? 0 : journal[flushed - 1].position; }
  void flush() {
    flushed = journal.size();
    core->persisted(on_disk());
  }
  void pass(milliseconds later = milliseconds(1)) {
    now += later;
    core->tick(now, wall());
    core->drain();
    auto& out = core->out();
    for (auto& op : out.persists) journal.push_back(std::move(op));
    for (auto& op : out.deliveries) {
      if (auto* b = std::get_if<protocol::deliver_batch>(&op)) delivered.push_back(*b);
      if (auto* c = std::get_if<protocol::deliver_checkpoint>(&op)) checkpoints.push_back(c->at);
      if (auto* c = std::get_if<protocol::deliver_component>(&op)) installed = c->what->id;
    }
    for (const auto& op : out.sends) {
      pp::control c;
      if (const auto* bytes = std::get_if<protocol::component_control>(&op.what); bytes && pp::decode(bytes->bytes, c))
        said.emplace_back(op.needs, c);
    }
    core->drained();
  }
  void live(milliseconds time) {
    for (const auto until = now + time; now < until;) {
      pass(milliseconds(10));
      flush();
    }
  }
  submit_status submit(order how = order::total) {
    const std::vector<std::byte> text(10, std::byte{1});
    const std::span<const std::byte> one(text);
    return core->submit({&one, 1}, how);
  }
  /// B is there, and says that it would have A form its view.
  void meet() {
    core->link_up({B.member, 9}, false);
    pp::standing s{1, A.member, false, {pp::process{A.member, core->status().self.inc}}, {}};
    s.now.view = id(1, B);
    core->receive({B.member, 9}, protocol::component_control{pp::encode(pp::control{B.inc, s})});
  }
  template <class T>
  std::vector<std::pair<protocol::journal_position, T>> told() const {
    std::vector<std::pair<protocol::journal_position, T>> all;
    for (const auto& [needs, c] : said)
      if (const auto* body = std::get_if<T>(&c.body)) all.emplace_back(needs, *body);
    return all;
  }
};

/// Attempts of three lives that all end before anything is installed.
bool numbers_are_used_once() {
  machine m;
  m.pass();
  m.flush();
  std::vector<pp::component_id> used;
  for (int life = 0; life < 3; ++life) {
    m.meet();
    m.pass();
    m.meet();
    for (int i = 0; i < 30 && m.told<pp::gather>().empty(); ++i) {
      m.pass(milliseconds(10));
      m.meet();
    }
    for (const auto& [needs, g] : m.told<pp::gather>()) {
      m.flush();
      if (needs > m.on_disk() || std::ranges::find(used, g.attempt) != used.end()) return false;
      used.push_back(g.attempt);
      break;
    }
    m.restart();
    m.pass();
  }
  return used.size() == 3;
}

/// Two of three founders meet, of whom neither knows of a primary view. Whether theirs is one.
bool some_founders_are_primary(bool durable) {
  machine m(durable, {A.member, B.member, C.member});
  m.pass();
  m.flush();
  for (int i = 0; i < 60 && m.told<pp::gather>().empty(); ++i) {
    m.meet();
    m.pass(milliseconds(10));
    m.flush();
  }
  REQUIRE_FALSE(m.told<pp::gather>().empty());
  pp::account a;
  a.attempt = m.told<pp::gather>().back().second.attempt;
  a.view = id(1, B);
  a.state = {a.view, 0};
  a.blank = true;
  a.rules = {m.options, {}, m.options.message_bytes_max};
  a.founder = true;
  m.core->receive({B.member, 9}, protocol::component_control{pp::encode(pp::control{B.inc, a})});
  for (int i = 0; i < 100 && m.told<pp::proposal>().empty(); ++i) {
    m.pass(milliseconds(10));
    m.flush();
  }
  REQUIRE_FALSE(m.told<pp::proposal>().empty());
  const auto& v = *m.told<pp::proposal>().back().second.what;
  REQUIRE(v.members.size() == 2);
  return v.primary;
}

/// A gather may leave only once it is on disk that its number is used.
bool gathers_wait_for_the_disk() {
  machine m;
  m.pass();
  m.flush();
  const auto before = m.on_disk();
  for (int i = 0; i < 30 && m.told<pp::gather>().empty(); ++i) {
    m.meet();
    m.pass(milliseconds(10));
  }
  REQUIRE_FALSE(m.told<pp::gather>().empty());
  return m.told<pp::gather>().front().first > before;
}

/// The view that is delivered after a restart is still the one after the next, however soon power fails.
bool installed_views_are_remembered() {
  machine m;
  m.live(milliseconds(50));
  m.restart();
  m.pass();
  m.flush();
  const auto before = m.installed;
  for (int i = 0; i < 200 && m.installed == before; ++i) {
    m.flush();
    m.pass(milliseconds(10));
  }
  const auto seen = m.installed;
  REQUIRE_FALSE(seen == before);
  m.restart();
  m.pass();
  return m.installed == seen;
}

template <class Check>
bool with(pp::mistake planted, Check check) {
  pp::planted_mistake = planted;
  const bool holds = check();
  pp::planted_mistake = pp::mistake::none;
  return holds;
}

}  // namespace

TEST_SUITE("partition durable") {
  TEST_CASE("nothing is said before it is on disk who says it; in memory there is nothing to wait for") {
    machine m;
    m.meet();
    m.pass();
    REQUIRE_FALSE(m.said.empty());
    for (const auto& [needs, what] : m.said) CHECK(needs > 0);
    machine other(false);
    other.meet();
    other.pass();
    REQUIRE_FALSE(other.said.empty());
    for (const auto& [needs, what] : other.said) CHECK(needs == 0);
    CHECK(other.journal.empty());
  }

  TEST_CASE("what is safe is on disk before it is delivered, other orders need not wait") {
    machine m;
    m.pass();
    m.flush();
    CHECK(m.submit(order::total) == submit_status::taken);
    CHECK(m.submit(order::fifo) == submit_status::taken);
    m.pass();
    REQUIRE(m.delivered.size() == 1);
    CHECK(m.delivered[0].cls == order::fifo);
    m.flush();
    m.pass();
    REQUIRE(m.delivered.size() == 2);
    CHECK(m.delivered[1].cls == order::total);
    CHECK(m.delivered[1].stable);
  }

  TEST_CASE("a restart goes on as the same process, and delivers again in the same view at the same position") {
    machine m;
    m.live(milliseconds(50));
    for (int i = 0; i < 3; ++i) {
      REQUIRE(m.submit() == submit_status::taken);
      m.live(milliseconds(20));
    }
    const auto before = m.delivered;
    REQUIRE(before.size() == 3);
    CHECK(before[0].own);
    const auto self = m.core->status().self;
    REQUIRE(m.submit() == submit_status::taken);
    m.pass();  // this one is not flushed
    m.restart();
    CHECK(m.core->status().self == self);
    CHECK(m.core->status().wedged);
    m.live(milliseconds(500));
    CHECK_FALSE(m.core->status().wedged);
    REQUIRE(m.delivered.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(m.delivered[i].view == before[i].view);
      CHECK(m.delivered[i].position == before[i].position);
      CHECK_FALSE(m.delivered[i].own);  // nobody waits for it any more
    }
    CHECK(m.submit() == submit_status::taken);
    m.live(milliseconds(50));
    CHECK(m.delivered.back().own);
    CHECK(m.delivered.back().view > before[0].view);
  }

  TEST_CASE("a checkpoint is where the next start begins; what it covers is delivered no more") {
    machine m;
    m.live(milliseconds(50));
    for (int i = 0; i < 3; ++i) REQUIRE(m.submit() == submit_status::taken);
    m.live(milliseconds(50));
    CHECK(m.core->status().since_checkpoint);
    m.core->want_checkpoint();
    m.live(milliseconds(50));
    REQUIRE(m.checkpoints.size() == 1);
    m.stored = m.checkpoints[0];
    m.core->checkpoint_stored(m.stored->index, 1);
    m.live(milliseconds(20));
    CHECK(m.core->status().checkpoint == m.stored->index);
    CHECK_FALSE(m.core->status().since_checkpoint);
    REQUIRE(m.submit() == submit_status::taken);
    m.live(milliseconds(50));
    m.restart();
    CHECK(m.core->status().checkpoint == m.stored->index);
    m.live(milliseconds(500));
    REQUIRE(m.delivered.size() == 1);
    CHECK(m.delivered[0].position == 4);
  }

  TEST_CASE("a checkpoint that cannot be stored is tried again") {
    machine m;
    m.live(milliseconds(50));
    REQUIRE(m.submit() == submit_status::taken);
    m.live(milliseconds(50));
    m.core->want_checkpoint();
    m.live(milliseconds(50));
    REQUIRE(m.checkpoints.size() == 1);
    m.core->checkpoint_failed(m.checkpoints[0].index);
    m.live(milliseconds(500));
    CHECK(m.checkpoints.size() == 1);
    m.live(milliseconds(700));
    CHECK(m.checkpoints.size() == 2);
  }

  TEST_CASE("the number of an attempt is used once, in whatever life") {
    CHECK(numbers_are_used_once());
    CHECK_FALSE(with(pp::mistake::promise_forgotten, numbers_are_used_once));
  }

  TEST_CASE("a promise waits for the disk") {
    CHECK(gathers_wait_for_the_disk());
    CHECK_FALSE(with(pp::mistake::promises_unwritten, gathers_wait_for_the_disk));
  }

  TEST_CASE("a view is delivered once it is on disk that it is installed") {
    CHECK(installed_views_are_remembered());
    CHECK_FALSE(with(pp::mistake::view_unwritten, installed_views_are_remembered));
  }

  TEST_CASE("P9: a majority of the founders is no primary view again, which those could form whose directories are gone") {
    CHECK_FALSE(some_founders_are_primary(true));
    CHECK(some_founders_are_primary(false));  // in memory: who restarts says that it is no founder any more
    CHECK(with(pp::mistake::first_of_some, [] { return some_founders_are_primary(true); }));
  }

  TEST_CASE("a disk that makes no sense is refused, and told why") {
    machine m;
    m.live(milliseconds(50));
    REQUIRE(m.submit() == submit_status::taken);
    m.live(milliseconds(50));
    const auto batch = std::ranges::find_if(
        m.journal, [](const auto& op) { return std::holds_alternative<protocol::persist_batch>(op.what); });
    REQUIRE(batch != m.journal.end());
    pp::recovery headless;
    CHECK(headless.record(*batch));
    CHECK_FALSE(headless.finish());
    CHECK(headless.why() != "");
    pp::recovery empty;
    CHECK_FALSE(empty.finish());
    CHECK(empty.why() == "");
    pp::recovery foreign;
    CHECK_FALSE(foreign.record({1, protocol::persist_entry{}}));
    CHECK(foreign.why() != "");
    pp::recovery bent;
    auto bytes = std::make_shared<const std::vector<std::byte>>(12, std::byte{0xff});
    CHECK_FALSE(bent.record({1, protocol::persist_component{bytes}}));
    CHECK(bent.why() != "");
    pp::recovery nowhere;
    nowhere.checkpoint(protocol::mark{}, 1);
    CHECK(nowhere.why() != "");
    pp::recovery other_kind;
    other_kind.state({});
    CHECK_FALSE(other_kind.finish());
    protocol::recovery one_history;
    CHECK_FALSE(one_history.record(m.journal.front()));
    CHECK(one_history.why() != "");
  }

  TEST_CASE("the checker of durability") {
    scribe s;
    s.h.durable = true;
    s.enter({A, B}, id(2)).submit(A, 1, order::total).get(A, 1, 1).submit(A, 2, order::fifo).get(A, 2);
    auto& a = s.of(A);
    a.resumed = ++s.at;
    a.lost.push_back(a.steps);
    a.steps.clear();
    auto forgotten = s;
    forgotten.enter({A, B}, id(2));
    CHECK(sim::partition::durability(forgotten.h) != "");
    CHECK(sim::partition::durability(forgotten.crash(A).h) == "");  // it may still come
    auto again = s;
    again.enter({A, B}, id(2)).get(A, 1, 1);
    CHECK(sim::partition::durability(again.h) == "");  // the fifo one may be gone
    auto moved = s;
    moved.enter({A, B}, id(2)).get(A, 1, 2);
    CHECK(sim::partition::durability(moved.h) != "");
    auto elsewhere = s;
    elsewhere.enter({A, B}, id(3)).get(A, 1, 1);
    CHECK(sim::partition::durability(elsewhere.h) != "");
    auto in_memory = forgotten;
    in_memory.of(A).ended = false;
    in_memory.h.durable = false;
    CHECK(sim::partition::durability(in_memory.h) == "");
  }
}
