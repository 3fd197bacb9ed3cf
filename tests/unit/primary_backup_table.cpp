#include "primary_backup_stage.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::primary_backup;
using namespace cohort::primary_backup::test;

namespace {

office of(std::uint16_t who, incarnation inc, view_number since) { return {member_id(who), inc, since}; }

struct delivered {
  std::vector<std::byte> bytes;
  delivery what;
  delivered(frame kind, std::string_view text, std::uint64_t position, std::uint16_t sender = 0)
      : delivered(framed(kind, bytes_of(text)), position, sender) {}
  delivered(std::span<const std::byte> message, std::uint64_t position, std::uint16_t sender)
      : bytes(message.begin(), message.end()) {
    what.payload = bytes;
    what.position = position;
    what.sender = member_id(sender);
    what.sender_incarnation = sender + 1u;
    what.own = sender == 0;
  }
};

}  // namespace

TEST_SUITE_BEGIN("primary backup: table");

TEST_CASE("the office stays with who holds it, then goes to the first active voter") {
  const auto all = view_of(1, 3, {{0, 1}, {1, 2}, {2, 3}});
  CHECK(in_view({}, all) == of(0, 1, 1));
  CHECK(in_view(of(2, 3, 1), all) == of(2, 3, 1));
  CHECK(in_view(of(0, 1, 1), view_of(2, 3, {{1, 2}, {2, 3}})) == of(1, 2, 2));
  CHECK_MESSAGE(in_view(of(0, 1, 1), view_of(3, 3, {{0, 9}, {1, 2}})) == of(0, 9, 3), "another life is another holder");
  CHECK(in_view(of(0, 1, 1), view_of(4, 3, {})).who == no_member);
  auto with_learner = view_of(5, 3, {{0, 1}, {1, 2}});
  with_learner.roster[0].voter = false;
  CHECK(in_view({}, with_learner) == of(1, 2, 5));
  auto with_witness = view_of(6, 3, {{0, 1}, {1, 2}});
  with_witness.roster[0].witness = true;
  CHECK(in_view({}, with_witness) == of(1, 2, 6));
}

TEST_CASE("what an office died of counts once, is told by who held it, and charges those of which nothing is known") {
  ended_offices e;
  e.ended(of(0, 1, 5), 20);
  CHECK(e.lives(12) == 0);  // nobody has said anything
  e.told(member_id(1), 5, 12);
  CHECK(e.lives(12) == 0);  // another one's (E2)
  e.told(member_id(0), 4, 12);
  e.told(member_id(0), 5, 21);  // was not pending then
  CHECK(e.lives(12) == 0);
  e.told(member_id(0), 5, 12);
  e.told(member_id(0), 5, 12);
  e.told(member_id(0), 5, 13);  // it died of one (E1)
  CHECK(e.lives(12) == 1);
  CHECK(e.lives(13) == 0);
  e.ended(of(1, 1, 6), 30);
  e.ended(of(2, 1, 7), 30);
  CHECK(e.lives(12) == 3);  // E3
  e.told(member_id(2), 7, 25);
  CHECK(e.lives(12) == 2);
  CHECK(e.lives(25) == 2);  // the one that says so, and the one of which nothing is known
  CHECK(e.lives(31) == 0);
  memory_sink out;
  e.checkpoint(out);
  ended_offices again;
  memory_source in(out.bytes());
  again.restore(in);
  CHECK(again.lives(12) == 2);
  CHECK(again.lives(25) == 2);
  again.settled(20);
  CHECK(again.lives(12) == 0);
  CHECK(again.lives(25) == 2);
  again.settled(30);
  CHECK(again.lives(25) == 0);
  for (view_number v = 1; v <= 1000; ++v) again.ended(of(0, v, v), v);
  memory_sink bounded;
  again.checkpoint(bounded);
  CHECK(bounded.bytes().size() == 8 + ended_offices::offices_max * 32);
  memory_sink hostile;
  hostile.write_u64(1u << 30);
  memory_source bad(hostile.bytes());
  CHECK_THROWS_AS(again.restore(bad), truncated_checkpoint);
}

TEST_CASE("a checkpoint of format 1, which knows of no offices that ended, is read") {
  sim::random chance(1);
  auto m = make_member(member_id(0), backup_kind::hot, chance);
  memory_sink now;
  m->checkpoint(now);
  std::vector<std::byte> before(now.bytes().begin(), now.bytes().end());
  before[0] = std::byte{1};
  before.erase(before.begin() + 7 * 8, before.begin() + 8 * 8);
  auto other = make_member(member_id(0), backup_kind::hot, chance);
  memory_source in(before);
  other->restore(in);
  CHECK(in.left() == 0);
  memory_sink again;
  other->checkpoint(again);
  CHECK(std::ranges::equal(again.bytes(), now.bytes()));
}

TEST_CASE("a tale is read back, and nothing else is one") {
  const auto bytes = encode(death_tale{7, 12});
  REQUIRE(read_tale(bytes));
  CHECK(*read_tale(bytes) == death_tale{7, 12});
  for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(read_tale(std::span(bytes).first(n)));
  auto longer = bytes;
  longer.push_back({});
  CHECK_FALSE(read_tale(longer));
  longer = bytes;
  longer[0] = std::byte{1};
  CHECK_FALSE(read_tale(longer));
}

TEST_CASE("who has something to tell executes nothing before it is told") {
  sim::random chance(1);
  auto m = make_member(member_id(0), backup_kind::hot, chance);
  m->died_of({1, 1});
  CHECK(m->tale().empty());  // not a member yet
  m->view_installed(view_of(3, 2, {{0, 1}, {1, 2}}), true);
  reply answer;
  delivered request(frame::request, "buyer", 1);
  m->apply(request.what, answer);
  CHECK(m->execute(1000).empty());
  const auto told = m->tale();
  REQUIRE_FALSE(told.empty());
  CHECK(m->tale().empty());  // under way
  m->tale_lost();
  CHECK(m->tale() == told);
  CHECK(m->execute(1000).empty());
  delivered tale(told, 2, 0);
  m->apply(tale.what, answer);
  CHECK(m->untold().empty());
  CHECK_FALSE(m->execute(1000).empty());
}

TEST_CASE("an update is read back, and no prefix or changed length of it") {
  update_writer w;
  w.begin({7, 3, 4, 5, 0});
  w.add({11, bytes_of("change"), bytes_of("answer")});
  w.add({12, {}, bytes_of("only read")});
  const auto message = w.finish();
  std::vector<settled_request> settled;
  const auto head = update_reader::read(message, settled);
  REQUIRE(head);
  CHECK(head->office == 7);
  CHECK(head->attempt == 3);
  CHECK(head->start == 4);
  CHECK(head->base == 5);
  REQUIRE(settled.size() == 2);
  CHECK(settled[0].position == 11);
  CHECK(text_of(settled[0].change) == "change");
  CHECK(text_of(settled[1].answer) == "only read");
  for (std::size_t n = 0; n < message.size(); ++n) CHECK_FALSE(update_reader::read(message.first(n), settled));
  sim::random chance(1);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> other(message.begin(), message.end());
    for (auto n = 1 + chance.below(4); n > 0; --n) other[chance.below(other.size())] = static_cast<std::byte>(chance.below(256));
    (void)update_reader::read(other, settled);  // whatever it is, nothing is read beyond it (sanitizers) or allocated for it
    CHECK(settled.size() <= message.size() / 16);
  }
}

TEST_CASE("a request is answered by the accepted update, and not before") {
  for (const auto kind : {backup_kind::hot, backup_kind::warm, backup_kind::cold}) {
    sim::random chance(2);
    auto primary = make_member(member_id(0), kind, chance);
    auto backup = make_member(member_id(1), kind, chance);
    const auto v = view_of(1, 2, {{0, 1}, {1, 2}});
    primary->view_installed(v, true);
    backup->view_installed(v, true);
    CHECK(primary->executes());
    CHECK_FALSE(backup->executes());
    reply answer;
    delivered request(frame::request, "anna", 1);
    primary->apply(request.what, answer);
    CHECK(answer.deferred());
    answer.clear();
    backup->apply(request.what, answer);
    answer.clear();
    CHECK(backup->execute(1000).empty());
    delivered update(primary->execute(1000), 2, 0);
    REQUIRE_FALSE(update.bytes.empty());
    CHECK(primary->execute(1000).empty());
    primary->query({}, answer);
    CHECK_MESSAGE(text_of(answer.bytes()) == "0", "queries see what is agreed, not what is executed");
    answer.clear();
    for (auto* m : {primary.get(), backup.get()}) {
      m->apply(update.what, answer);
      int settled = 0;
      answer.each_settled([&](std::uint64_t position, auto) { settled += position == 1; });
      CHECK(settled == 1);
      answer.clear();
      m->query({}, answer);
      CHECK(text_of(answer.bytes()) == "1");
      answer.clear();
      CHECK(m->status().pending == 0);
      m->apply(update.what, answer);
      CHECK_MESSAGE(!answer.settles(), "once accepted, it is not accepted again");
      answer.clear();
      CHECK(m->status().accepted == 1);
    }
  }
}

TEST_CASE("an update built upon one that was not accepted is dropped, although all its numbers fit") {
  sim::random chance(3);
  auto m = make_member(member_id(0), backup_kind::hot, chance);
  m->view_installed(view_of(1, 2, {{0, 1}, {1, 2}}), true);
  reply answer;
  for (std::uint64_t i = 1; i <= 2; ++i) m->apply(delivered(frame::request, "b" + std::to_string(i), i).what, answer);
  delivered first(m->execute(1), 3, 0);
  m->begin_anew();  // believed lost
  delivered other(m->execute(1), 4, 0);
  delivered behind_other(m->execute(1), 5, 0);
  for (auto* update : {&first, &other, &behind_other}) m->apply(update->what, answer);
  CHECK(m->status().accepted == 1);
  CHECK(m->status().dropped == 2);
  CHECK(m->status().pending == 1);
  m->apply(delivered(m->execute(1), 6, 0).what, answer);
  CHECK(m->status().pending == 0);
}

TEST_CASE("a checkpoint holds state and pending requests; another member goes on from it, and of another format none does") {
  sim::random chance(4);
  auto m = make_member(member_id(0), backup_kind::warm, chance);
  m->view_installed(view_of(1, 2, {{0, 1}, {1, 2}}), true);
  reply answer;
  m->apply(delivered(frame::request, "anna", 1).what, answer);
  m->apply(delivered(m->execute(1000), 2, 0).what, answer);
  m->apply(delivered(frame::request, "ben", 3).what, answer);
  memory_sink out;
  m->checkpoint(out);
  auto other = make_member(member_id(1), backup_kind::cold, chance);
  memory_source in(out.bytes());
  other->restore(in);
  CHECK(other->status().pending == 1);
  other->view_installed(view_of(2, 2, {{1, 2}}), true);
  CHECK(other->executes());
  delivered update(other->execute(1000), 4, 1);
  other->apply(update.what, answer);
  CHECK(other->status().pending == 0);
  answer.clear();
  other->query({}, answer);
  CHECK(text_of(answer.bytes()) == "2");
  std::vector<std::byte> newer(out.bytes().begin(), out.bytes().end());
  newer[0] = std::byte{9};
  memory_source wrong(newer);
  CHECK_THROWS_AS(other->restore(wrong), truncated_checkpoint);
}

TEST_SUITE_END();
