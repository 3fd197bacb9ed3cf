#include "framework/resilience/records.hpp"
#include "tests/unit/resilience_stage.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::resilience;
using namespace std::chrono_literals;

namespace {

/// A sum that also knows how often it was asked to add; version 1 did not. Chance decides what "roll" adds.
template <std::uint32_t Version>
class adder final : public resilient_machine {
public:
  std::optional<std::string> decide(const resilient_input& in, std::string& answer) const override {
    if (in.body == "roll") return std::to_string(++dice);
    if (in.body != "?") return std::string(in.body);
    answer = text();
    return std::nullopt;
  }
  void apply(const resilient_event& e, resilient_output& out) override {
    sum_ += 1000;  // half a change, if what follows throws
    sum_ += std::stoi(std::string(e.body)) - 1000;
    ++count_;
    out.send("printer", std::to_string(sum_));
    out.reply(text());
  }
  void checkpoint(sink& out) const override {
    out.write_u64(static_cast<std::uint64_t>(sum_));
    if (Version > 1) out.write_u64(count_);
  }
  void restore(source& in, std::uint32_t written_by) override {
    sum_ = static_cast<int>(in.read_u64());
    if (Version > 1) count_ = written_by > 1 ? in.read_u64() : 99;
  }
  std::uint32_t version() const override { return Version; }
  std::string text() const { return std::to_string(sum_) + "/" + std::to_string(count_); }

  static inline int dice = 0;

private:
  int sum_ = 0;
  std::uint64_t count_ = 0;
};

/// Remembers words, and writes those that came since the last checkpoint.
class words final : public resilient_machine {
public:
  explicit words(bool answers = true) : answers_(answers) {}
  void apply(const resilient_event& e, resilient_output& out) override {
    fresh_.emplace_back(e.body);
    if (answers_) out.reply(text());
  }
  void checkpoint(sink& out) const override { out.write_bytes(text()); }
  void restore(source& in, std::uint32_t) override { fresh_ = {in.read_bytes()}; }
  bool checkpoint_changes(sink& out) const override {
    for (const auto& w : fresh_) out.write_bytes(w);
    out.write_bytes("");
    return true;
  }
  void restore_changes(source& in, std::uint32_t) override {
    for (auto w = in.read_bytes(); !w.empty(); w = in.read_bytes()) fresh_.push_back(w);
  }
  void checkpoint_taken() override {
    known_ = text();
    fresh_.clear();
  }
  std::string text() const {
    auto all = known_;
    for (const auto& w : fresh_) all += w;
    return all;
  }

private:
  const bool answers_;
  std::string known_;
  std::vector<std::string> fresh_;
};

template <std::uint32_t Version = 1>
resilient_factory adders() {
  return [] { return std::make_unique<adder<Version>>(); };
}

void commit(engine& e, stage::disk& d) {
  while (e.wants_commit({})) {
    const auto r = d.commit(e.next_batch({}));
    REQUIRE(r.why == "");
    e.committed();
  }
}

std::string effects(engine& e) {
  std::string all;
  for (const auto& x : e.take_effects()) all += x.to + std::to_string(x.number) + "=" + x.body + " ";
  return all;
}
std::string answers(engine& e) {
  std::string all;
  for (const auto& x : e.take_answers()) all += std::to_string(x.ticket) + "=" + x.body + " ";
  return all;
}

}  // namespace

TEST_SUITE("resilience: table") {
  TEST_CASE("nothing leaves before it is durable, and what left once leaves the same again") {
    stage::disk d;
    engine e("p", adders(), {});
    e.recover(d);
    CHECK(e.receive({{}, 0, "5"}, {}, 1) == verdict::taken);
    CHECK(e.receive({{}, 0, "?"}, {}, 2) == verdict::answered);
    CHECK(effects(e) == "");
    CHECK(answers(e) == "");
    auto batch = e.next_batch({});
    CHECK(e.receive({{}, 0, "7"}, {}, 3) == verdict::taken);
    CHECK_FALSE(e.wants_commit({}));
    d.commit(std::move(batch));
    CHECK(effects(e) == "");
    e.committed();
    CHECK(effects(e) == "printer1=5 ");
    CHECK(answers(e) == "1=5/1 2=5/1 ");
    CHECK(effects(e) == "");
    engine next("p", adders(), {});  // what was not durable is gone, and nobody has seen it
    CHECK(next.recover(d).redone == 1);
    CHECK(effects(next) == "printer1=5 ");
    next.acknowledged("printer", 1, {});
    next.resend("printer");
    CHECK(effects(next) == "");
  }

  TEST_CASE("what was decided by chance is redone as it was decided") {
    stage::disk d;
    adder<1>::dice = 40;
    engine e("p", adders(), {});
    e.recover(d);
    e.receive({{}, 0, "roll"}, {}, 1);
    commit(e, d);
    CHECK(answers(e) == "1=41/1 ");
    engine next("p", adders(), {});
    next.recover(d);
    next.receive({{}, 0, "?"}, {}, 1);
    CHECK(answers(next) == "1=41/1 ");
  }

  TEST_CASE("a sender's message is applied once, in order, and answered again") {
    stage::disk d;
    engine e("p", adders(), {});
    e.recover(d);
    CHECK(e.receive({"q", 2, "2"}, {}, 1) == verdict::gap);
    CHECK(e.receive({"q", 1, "1"}, {}, 2) == verdict::taken);
    CHECK(e.receive({"q", 1, "1"}, {}, 3) == verdict::duplicate);
    CHECK(answers(e) == "");  // also the answer to the duplicate waits
    commit(e, d);
    CHECK(answers(e) == "2=1/1 3=1/1 ");
    CHECK(e.receive({"q", 2, "?"}, {}, 4) == verdict::answered);  // a numbered question is remembered
    commit(e, d);
    engine next("p", adders(), {});
    next.recover(d);
    CHECK(next.receive({"q", 2, "?"}, {}, 5) == verdict::duplicate);
    CHECK(answers(next) == "5=1/1 ");
    CHECK(next.receive({"q", 1, "1"}, {}, 6) == verdict::outdated);
  }

  TEST_CASE("a number that was refused for good is passed over, and applied once if it is replayed") {
    stage::disk d;
    limits l;
    l.checkpoints = {.events = 3, .changes = 8};
    engine e("p", adders(), l);
    e.recover(d);
    CHECK(e.receive({"q", 1, "1", 1}, {}, 0) == verdict::taken);
    CHECK(e.receive({"q", 4, "4", 2}, {}, 0) == verdict::gap);
    CHECK(e.receive({"q", 4, "4", 4}, {}, 1) == verdict::taken);  // its sender has the answers to 2 and 3: they were refused
    CHECK(e.receive({"q", 2, "2", 2}, {}, 0) == verdict::passed);  // a late copy
    CHECK(e.receive({"q", 1, "1", 1}, {}, 0) == verdict::outdated);
    CHECK(e.receive({"q", 1, "1", 1, true}, {}, 0) == verdict::outdated);  // replayed or not, it was applied
    CHECK(e.receive({"new", 3, "0", 3}, {}, 0) == verdict::taken);         // 1 and 2 were refused
    commit(e, d);
    CHECK(answers(e) == "1=5/2 ");
    engine next("p", adders(), l);  // from a checkpoint
    CHECK(next.recover(d).checkpoint == 3);
    CHECK(next.receive({"q", 3, "3", 2}, {}, 0) == verdict::passed);
    CHECK(next.receive({"q", 3, "3", 2, true}, {}, 2) == verdict::taken);
    CHECK(next.receive({"q", 3, "3", 2, true}, {}, 0) == verdict::outdated);
    CHECK(next.receive({"q", 4, "4", 4}, {}, 3) == verdict::duplicate);  // the newest one stays what it is, with its answer
    CHECK(next.receive({"new", 1, "7", 1, true}, {}, 0) == verdict::taken);
    commit(next, d);
    CHECK(answers(next) == "2=8/1 3=5/2 ");  // the count is not in checkpoints of this version
    engine last("p", adders(), l);  // redone
    CHECK(last.recover(d).redone == 2);
    CHECK(last.receive({"q", 3, "3", 2, true}, {}, 0) == verdict::outdated);
    CHECK(last.receive({"q", 2, "2", 2}, {}, 0) == verdict::passed);
    CHECK(last.receive({"new", 2, "2", 2, true}, {}, 0) == verdict::taken);
    CHECK(last.receive({"new", 1, "7", 1, true}, {}, 0) == verdict::outdated);
    CHECK(last.receive({"q", 5, "5", 5}, {}, 0) == verdict::taken);
    CHECK(last.receive({"gone", 9, "1", 2, true}, {}, 0) == verdict::taken);  // of a sender who is not known any more
    CHECK(last.receive({"gone", 9, "1", 2}, {}, 0) == verdict::gap);
  }

  TEST_CASE("numbers passed over: the newest ones are remembered, in checkpoints of changes, too; older formats know none") {
    stage::disk d;
    limits l;
    l.checkpoints = {.events = 1, .changes = 8};
    const auto make = [] { return std::make_unique<words>(false); };
    engine e("p", make, l);
    e.recover(d);
    const auto take = [&](engine& to, const message& m) {
      const auto v = to.receive(m, {}, 0);
      commit(to, d);
      return v;
    };
    take(e, {{}, 0, std::string(1000, 'a')});
    CHECK(take(e, {"q", 100, "b", 100}) == verdict::taken);
    CHECK(take(e, {"q", 99, "c", 99, true}) == verdict::taken);
    engine next("p", make, l);
    const auto report = next.recover(d);
    CHECK(report.unreadable.empty());
    CHECK(report.checkpoint == 3);
    CHECK(report.changes == 2);
    CHECK(take(next, {"q", 99, "c", 99, true}) == verdict::outdated);
    CHECK(take(next, {"q", 98, "c", 98}) == verdict::passed);
    CHECK(take(next, {"q", 100 - process_state::passed_max, "c", 1}) == verdict::passed);
    CHECK(take(next, {"q", 99 - process_state::passed_max, "c", 1}) == verdict::outdated);

    string_sink before;  // as the program before wrote it
    before.write_u64(1);
    before.write_u64(1);
    before.write_bytes("q");
    for (const auto n : {5u, 1u, 0u}) before.write_u64(n);
    before.write_bytes("answer");
    before.write_u64(0);
    before.write_bytes("state");
    process_state old(make);
    string_source from(before.bytes);
    old.restore(from, 1, 2);
    CHECK(from.left() == 0);
    const process_state::sender* known = nullptr;
    CHECK(old.look({"q", 5, "x", 5}, {}, known) == verdict::duplicate);
    REQUIRE(known);
    CHECK(known->reply == "answer");
  }

  TEST_CASE("who comes back says before what it does, and passes over a checkpoint that ended the process") {
    struct witness final : recovery_witness {
      std::string restores(std::uint64_t position) override {
        said += "restores " + std::to_string(position) + " ";
        return bad.contains(position) ? "it ended the process" : "";
      }
      void redoes(std::uint64_t first, std::uint64_t last) override {
        said += "redoes " + std::to_string(first) + "-" + std::to_string(last) + " ";
      }
      void at(std::uint64_t position) noexcept override { said += "at " + std::to_string(position) + " "; }
      void ends() noexcept override { said += "ends "; }
      std::string said;
      std::set<std::uint64_t> bad;
    };
    stage::disk d;
    limits l;
    l.checkpoints = {.events = 2, .changes = 0};
    engine e("p", adders(), l);
    e.recover(d);
    for (int i = 0; i < 5; ++i) {
      e.receive({{}, 0, "1"}, {}, 0);
      commit(e, d);
    }
    witness w;
    engine next("p", adders(), l);
    next.recover(d, false, &w);
    CHECK(w.said == "restores 4 ends redoes 5-5 at 5 ends ");
    w.said.clear();
    w.bad = {4};
    engine other("p", adders(), l);
    const auto report = other.recover(d, false, &w);
    CHECK(w.said == "restores 4 ends restores 2 ends redoes 3-5 at 3 at 4 at 5 ends ");
    REQUIRE(report.unreadable.size() == 1);
    CHECK(report.unreadable[0] == "process p, checkpoint at position 4: it ended the process");
    CHECK(other.applied() == 5);
    w.said.clear();
    w.bad = {2, 4};
    engine none("p", adders(), l);
    CHECK_THROWS_AS(none.recover(d, false, &w), unrecoverable);
    w.bad.clear();  // the same object tries again
    w.said.clear();
    none.recover(d, false, &w);
    CHECK(w.said == "restores 4 ends redoes 5-5 at 5 ends ");
    for (int i = 0; i < 2; ++i) {
      none.receive({{}, 0, "1"}, {}, 0);
      commit(none, d);
    }
    engine again("p", adders(), l);  // nothing that is good was erased
    CHECK(again.recover(d).unreadable.empty());
    CHECK(again.applied() == 7);
  }

  TEST_CASE("an input that throws leaves what was before it, and no checkpoint of half a change") {
    stage::disk d;
    limits l;
    l.checkpoints.events = 1;
    engine e("p", adders(), l);
    e.recover(d);
    e.receive({{}, 0, "3"}, {}, 1);
    CHECK_THROWS(e.receive({{}, 0, "poison"}, {}, 2));
    commit(e, d);
    CHECK(answers(e) == "1=3/1 ");
    engine next("p", adders(), l);
    CHECK(next.recover(d).checkpoint == 0);
    next.receive({{}, 0, "?"}, {}, 3);
    CHECK(answers(next) == "3=3/1 ");
  }

  TEST_CASE("checkpoints: of older programs, of newer ones, unreadable ones") {
    stage::disk d;
    limits l;
    l.checkpoints.events = 2;
    {
      engine e("p", adders<1>(), l);
      e.recover(d);
      for (int i = 0; i < 8; ++i) {
        e.receive({{}, 0, "1"}, {}, 0);
        commit(e, d);
      }
    }
    CHECK(d.log_range("p", "journal").first == 7);  // the older checkpoint is that of 6
    d.rotten.insert("p " + piece_key(8, 0));
    {
      engine e("p", adders<2>(), l);
      const auto report = e.recover(d);
      CHECK(report.checkpoint == 6);
      CHECK(report.redone == 2);
      REQUIRE(report.unreadable.size() == 1);
      CHECK(report.unreadable[0].find("process p, checkpoint at position 8: ") == 0);
      e.receive({{}, 0, "?"}, {}, 1);
      CHECK(answers(e) == "1=8/101 ");  // upgraded at 6, two redone
      e.receive({{}, 0, "1"}, {}, 0);
      commit(e, d);
    }
    CHECK(d.stores["p"].values.contains(head_key(9)));
    CHECK(d.stores["p"].values.contains(head_key(6)));
    CHECK_FALSE(d.stores["p"].values.contains(head_key(8)));
    engine old("p", adders<1>(), l);
    try {
      old.recover(d);
      FAIL("an older program read what a newer one wrote");
    } catch (const unrecoverable& u) {
      CHECK(std::string(u.what()).find("event 9 was written by version 2 of the application, this is version 1") !=
            std::string::npos);
    }
    d.rotten.insert("p " + piece_key(6, 0));
    d.rotten.insert("p " + piece_key(9, 0));
    engine none("p", adders<2>(), l);
    CHECK_THROWS_AS(none.recover(d), unrecoverable);
  }

  TEST_CASE("checkpoints of changes: a chain of so many, and an unreadable link of it is named") {
    stage::disk d;
    limits l;
    l.checkpoints = {.events = 2, .changes = 2};
    const auto make = [] { return std::make_unique<words>(); };
    engine e("p", make, l);
    e.recover(d);
    const auto say = [&](engine& to, const std::string& word) {
      to.receive({{}, 0, word}, 5s, 0);
      commit(to, d);
    };
    // Whole: 2, changes: 4 and 6, whole: 8, changes: 10 and 12, whole: 14. Behind that: one event.
    const std::string large(1000, 'a');  // more than all changes
    say(e, large);
    for (const char c : std::string("bcdefghijklmno")) say(e, {c});
    const auto heads = [&] {
      std::string all;
      for (const auto& [key, value] : d.stores["p"].values)
        if (key.starts_with(head_prefix)) all += std::to_string(std::stoi(key.substr(key.size() - 4))) + " ";
      return all;
    };
    CHECK(heads() == "8 10 12 14 ");
    CHECK(d.log_range("p", "journal").first == 13);
    CHECK(e.checkpoint() == 14);
    const auto read = [&](std::uint64_t checkpoint, std::uint64_t changes, std::uint64_t redone) {
      engine next("p", make, l);
      const auto report = next.recover(d);
      CHECK(report.checkpoint == checkpoint);
      CHECK(report.changes == changes);
      CHECK(report.redone == redone);
      CHECK(static_cast<const words&>(next.machine()).text() == large + "bcdefghijklmno");
      return report.unreadable;
    };
    CHECK(read(14, 0, 1).empty());
    d.rotten.insert("p " + piece_key(14, 0));
    CHECK(read(12, 2, 3).size() == 1);
    d.stores["p"].values.erase(piece_key(10, 0));
    engine none("p", make, l);
    try {
      none.recover(d);
      FAIL("two of them cannot be read, and the journal begins behind both");
    } catch (const unrecoverable& u) {
      CHECK(std::string(u.what()).find("checkpoint at position 12: it builds upon the one at position 10: piece 0 is missing") !=
            std::string::npos);
    }
  }

  TEST_CASE("a life that is alone claims with its first batch, and nothing leaves before") {
    stage::disk d;
    engine first("p", adders(), {});
    first.recover(d, true);
    CHECK_FALSE(first.wants_commit({}));  // nothing leaves, nothing is written
    first.receive({{}, 0, "1"}, {}, 1);
    commit(first, d);
    CHECK(answers(first) == "1=1/1 ");
    CHECK(effects(first) == "printer1=1 ");
    engine next("p", adders(), {});
    next.recover(d, true);
    CHECK(next.token() == 2);
    CHECK(effects(next) == "");
    CHECK(next.receive({{}, 0, "?"}, {}, 2) == verdict::answered);
    CHECK(answers(next) == "");
    REQUIRE(next.wants_commit({}));
    auto claim = next.next_batch({});
    engine other("p", adders(), {});  // it was not alone after all
    other.recover(d);
    CHECK(d.commit(std::move(claim)).code == stable_code::conflict);
    other.receive({{}, 0, "1"}, {}, 3);
    commit(other, d);
    CHECK(answers(other) == "3=2/2 ");
  }

  TEST_CASE("an older life writes no more once there is a new one") {
    stage::disk d;
    engine old("p", adders(), {});
    old.recover(d);
    old.receive({{}, 0, "1"}, {}, 1);
    engine young("p", adders(), {});
    young.recover(d);
    CHECK(young.token() == old.token() + 1);
    CHECK(d.commit(old.next_batch({})).code == stable_code::fenced);
    CHECK(effects(old) == "");
    young.receive({{}, 0, "2"}, {}, 1);
    commit(young, d);
    CHECK(answers(young) == "1=2/1 ");
  }

  TEST_CASE("a sender of whom nothing came for long is forgotten, wherever its events are redone") {
    stage::disk d;
    limits l;
    l.senders_max = 2;
    l.senders_age = 100s;
    engine e("p", adders(), l);
    e.recover(d);
    CHECK(e.receive({"q", 1, "1"}, 10s, 0) == verdict::taken);
    CHECK(e.receive({"r", 1, "1"}, 20s, 0) == verdict::taken);
    CHECK(e.receive({"s", 1, "1"}, 100s, 0) == verdict::full);
    CHECK(e.receive({"r", 2, "1"}, 115s, 0) == verdict::taken);  // q is forgotten by this one
    CHECK(e.receive({"s", 1, "1"}, 116s, 0) == verdict::taken);
    CHECK(e.receive({"r", 2, "1"}, 117s, 0) == verdict::duplicate);
    CHECK(e.receive({"q", 2, "1"}, 117s, 0) == verdict::gap);
    commit(e, d);
    l.senders_age = 1000s;  // what was decided is redone, whatever the limits are now
    engine next("p", adders(), l);
    next.recover(d);
    CHECK(next.receive({"q", 2, "1", 2}, 117s, 0) == verdict::full);
    l.senders_max = 3;
    engine third("p", adders(), l);
    third.recover(d);
    CHECK(third.receive({"q", 3, "1", 2}, 117s, 0) == verdict::gap);
    CHECK(third.receive({"q", 2, "1", 2}, 117s, 0) == verdict::taken);  // it has the answers to all before
    CHECK(third.receive({"q", 2, "1", 2}, 117s, 0) == verdict::duplicate);
  }

  TEST_CASE("acknowledgements count one by one, and are journaled with the next event or after a while") {
    stage::disk d;
    engine e("p", adders(), {});
    e.recover(d);
    for (int i = 0; i < 4; ++i) e.receive({{}, 0, "1"}, {}, 0);
    commit(e, d);
    CHECK(effects(e) == "printer1=1 printer2=2 printer3=3 printer4=4 ");
    e.acknowledged("printer", 3, 1s);
    e.acknowledged("printer", 9, 1s);  // never sent
    CHECK(e.outbox() == 4);
    e.acknowledged("printer", 1, 1s);
    CHECK(e.outbox() == 3);
    e.resend("printer");
    CHECK(effects(e) == "printer2=2 printer4=4 ");
    CHECK(e.waits_for_time());
    CHECK_FALSE(e.wants_commit(1500ms));
    e.acknowledged("printer", 2, 1500ms);
    CHECK(e.outbox() == 1);
    REQUIRE(e.wants_commit(2s));
    d.commit(e.next_batch(2s));
    e.committed();
    CHECK_FALSE(e.waits_for_time());
    CHECK(e.applied() == 5);
    engine next("p", adders(), {});
    CHECK(next.recover(d).redone == 5);
    CHECK(effects(next) == "printer4=4 ");
    next.acknowledged("printer", 4, 3s);
    CHECK(next.receive({{}, 0, "1"}, 3s, 0) == verdict::taken);
    commit(next, d);
    engine last("p", adders(), {});
    CHECK(last.recover(d).redone == 6);
    CHECK(effects(last) == "printer5=5 ");
    CHECK(last.receive({{}, 0, "1"}, 3s, 0) == verdict::taken);
    d.commit(last.next_batch(3s));
    last.committed();
    CHECK(effects(last) == "printer6=6 ");  // and 5 is not said to be acknowledged by it
    CHECK(last.take_effects([](const std::string&) { return false; }).empty());
  }

  TEST_CASE("bounds: outbox, events that wait, senders") {
    stage::disk d;
    limits l;
    l.outbox_max = 2;
    l.senders_max = 1;
    engine e("p", adders(), l);
    e.recover(d);
    CHECK(e.receive({"q", 1, "1"}, {}, 0) == verdict::taken);
    CHECK(e.receive({"r", 1, "1"}, {}, 0) == verdict::full);
    CHECK(e.receive({{}, 0, "1"}, {}, 0) == verdict::taken);
    CHECK(e.receive({{}, 0, "1"}, {}, 0) == verdict::full);
    e.acknowledged("printer", 2, {});  // nothing has left yet
    CHECK(e.outbox() == 2);
    commit(e, d);
    effects(e);
    e.acknowledged("printer", 1, {});
    CHECK(e.receive({{}, 0, "1"}, {}, 0) == verdict::taken);
  }
}
