// Groups that enter a directory and leave it while its journal runs.
#include "persistence/directory.hpp"
#include "tests/unit/persistence_harness.hpp"
#include "tests/unit/persistence_images.hpp"

#include <atomic>
#include <future>
#include <thread>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

namespace {

const group_options late{1023, "late", 1, false};

/// What `ask` was told; "(not told)" if it was not within 20 s.
template <class Ask>
std::string told_by(Ask ask) {
  auto told = std::make_shared<std::promise<std::string>>();
  auto future = told->get_future();
  ask([told](const std::string& error) { told->set_value(error); });
  return future.wait_for(20s) == std::future_status::ready ? future.get() : "(not told)";
}
std::string enter(journal& j, const group_options& g = late) {
  return told_by([&](journal::told done) { j.add(g, std::move(done)); });
}
std::string leave(journal& j, const group_options& g = late) {
  return told_by([&](journal::told done) { j.forget(g.index, g.name, std::move(done)); });
}

/// Rows, pieces and pages that the file holds of a group.
std::size_t left_of(const options& o, std::uint32_t group) {
  store s(o.directory / layout::data_file, o.mode, 1u << 26, 1u << 26, false);
  std::size_t left = 0;
  for (const auto& c : list_checkpoints(s)) left += c.group == group;
  store::reader r(s);
  left += r.journal_rows(group);
  left += !r.state(group).empty();
  left += r.commit().extents[group].has_value();
  return left;
}

}  // namespace

TEST_SUITE("tenancy") {
  TEST_CASE("a group enters a running journal, and is found again") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where;
      auto o = small_options(where.path());
      o.mode = mode;
      for (int life = 0; life < 3; ++life) {
        witness w;
        auto j = reopen(o, w.calls());
        CHECK(enter(*j) == "");
        CHECK(enter(*j) == "");
        contents back;
        const auto found = j->read_group(late.index, back);
        CHECK(found.damage == "");
        CHECK(found.records == static_cast<std::uint64_t>(life));
        CHECK(found.blank == (life == 0));
        REQUIRE(put(*j, batch_op(found.last + 1, 9000), late.index));
        REQUIRE(put(*j, batch_op(static_cast<journal_position>(life) + 1, 100)));
        REQUIRE(w.wait_durable(found.last + 1, late.index));
        CHECK(checkpoint(*j, static_cast<log_index>(life) + 1, "state", nullptr, late.index) == 1);
        REQUIRE(w.wait_durable(static_cast<journal_position>(life) + 1));
      }
      const auto v = verify(o.directory);
      CHECK(v.damage == "");
      CHECK(v.groups.size() == 2);
      o.groups.push_back(late);  // one that was added is opened like any other
      auto j = reopen(o);
      contents back;
      CHECK(j->read_group(late.index, back).records == 3);
      CHECK(back.mark);
    }
  }

  TEST_CASE("what does not fit is refused with a reason") {
    temporary_directory where;
    const auto o = small_options(where.path());
    auto j = reopen(o);
    CHECK(enter(*j) == "");
    CHECK(enter(*j, {7, "other", 2, true}) == "");
    CHECK(contains(enter(*j, {1023, "another", 1, false}), "belongs to group \"late\""));
    CHECK(contains(enter(*j, {1023, "late", 1, true}), "created for a journaled group"));
    CHECK(contains(enter(*j, {1023, "late", 2, false}), "holds epoch 1"));
    CHECK(contains(enter(*j, {7, "other", 1, true}), "holds epoch 2"));
    CHECK(enter(*j, {7, "other", 3, true}) == "");
    CHECK(contains(enter(*j, {1024, "high", 1, false}), "above 1023"));
    CHECK(contains(enter(*j, {8, "", 1, false}), "name"));
    j.reset();
    CHECK(verify(o.directory).damage == "");
  }

  TEST_CASE("a group comes in the place of another one, and has nothing of it") {
    temporary_directory where;
    const auto o = small_options(where.path());
    const group_options next{late.index, "next", 1, false};
    witness w;
    auto j = reopen(o, w.calls());
    const auto holder = [&] {
      for (const auto& [there, leaves] : j->held())
        if (there.index == late.index) return there.name + (leaves ? ", leaves" : "");
      return std::string();
    };
    CHECK(holder() == "");
    REQUIRE(enter(*j) == "");
    CHECK(holder() == "late");
    for (journal_position p = 1; p <= 2500; ++p) REQUIRE(put(*j, batch_op(p, 10), late.index));
    REQUIRE(w.wait_durable(2500, late.index));
    CHECK(checkpoint(*j, 1, "its state", nullptr, late.index) == 1);
    CHECK(contains(enter(*j, next), "belongs to group \"late\""));
    CHECK(leave(*j, next) == "");  // it is not there, and whoever is stays
    CHECK(holder() == "late");
    CHECK(j->newest_checkpoint(late.index));
    std::promise<void> gone;
    j->forget(late.index, late.name, [&](const std::string&) { gone.set_value(); });
    if (const auto now = holder(); now != "") CHECK(now == "late, leaves");
    REQUIRE(gone.get_future().wait_for(20s) == std::future_status::ready);
    CHECK(holder() == "");
    REQUIRE(enter(*j, next) == "");
    CHECK(leave(*j) == "");  // late
    CHECK(holder() == "next");
    contents back;
    const auto found = j->read_group(late.index, back);
    CHECK(found.damage == "");
    CHECK(found.blank);
    CHECK_FALSE(back.mark);
    CHECK_FALSE(j->newest_checkpoint(late.index));
    REQUIRE(put(*j, batch_op(1, 20), late.index));
    REQUIRE(w.wait_durable(1, late.index));
    j.reset();
    CHECK(verify(o.directory).damage == "");
    CHECK(reopen(o)->read_group(late.index, back).records == 1);
  }

  TEST_CASE("nothing is left of a group that was forgotten, and its number is free") {
    for (const std::size_t rows : {std::size_t{0}, std::size_t{5}, std::size_t{4500}}) {
      CAPTURE(rows);
      temporary_directory where;
      const auto o = small_options(where.path());
      witness w;
      auto j = reopen(o, w.calls());
      for (int round = 0; round < 2; ++round) {
        REQUIRE(enter(*j) == "");
        contents nothing;
        CHECK(j->read_group(late.index, nothing).blank);
        for (std::size_t i = 1; i <= rows; ++i) REQUIRE(put(*j, batch_op(i, 300), late.index));
        if (rows > 0) {
          REQUIRE(put(*j, {rows + 1, persist_state{sample_state(7)}}, late.index));
          REQUIRE(w.wait_durable(rows + 1, late.index));
          CHECK(checkpoint(*j, 3, std::string(rows * 200, 'c'), nullptr, late.index) >= 1);
          CHECK(checkpoint(*j, 4, "a second one", nullptr, late.index) == 1);
        }
        const auto base = static_cast<journal_position>(round) * 2;
        REQUIRE(put(*j, batch_op(base + 1, 100)));
        // What waits for the disk goes, too, and so does a checkpoint on its way.
        auto half = j->store_checkpoint(late.index, sample_mark(9));
        half->write(std::vector<std::byte>(300'000));
        for (std::size_t i = rows + 2; i < rows + 40; ++i) REQUIRE(put(*j, batch_op(i, 20'000), late.index));
        CHECK(leave(*j) == "");
        REQUIRE(put(*j, batch_op(base + 2, 100)));
        REQUIRE(w.wait_durable(base + 2));
        CHECK_FALSE(put(*j, batch_op(rows + 40, 10), late.index));
        CHECK(leave(*j) == "");  // there is nothing any more
        CHECK(checkpoint(*j, 10, "late", nullptr, late.index) == 0);
        CHECK(j->load_chunk(late.index, 4, 1).blob.empty());
        CHECK_FALSE(j->newest_checkpoint(late.index));
        half->finish({});
      }
      j.reset();
      const auto v = verify(o.directory);
      CHECK(v.damage == "");
      REQUIRE(v.groups.size() == 1);
      CHECK(v.records == 4);
      CHECK(left_of(o, late.index) == 0);
      contents kept;
      CHECK(reopen(o)->read_group(0, kept).records == 4);
    }
  }

  TEST_CASE("the space comes back") {
    temporary_directory where;
    auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    std::uint64_t grown = 0;
    for (int round = 0; round < 6; ++round) {
      REQUIRE(enter(*j) == "");
      for (journal_position p = 1; p <= 1500; ++p) REQUIRE(put(*j, batch_op(p, 3000), late.index));
      REQUIRE(w.wait_durable(1500, late.index));
      CHECK(checkpoint(*j, 3, std::string(1u << 20, 'c'), nullptr, late.index) == 4);
      REQUIRE(leave(*j) == "");
      if (round == 1) grown = j->stats().file_bytes;
    }
    CHECK(j->stats().file_bytes <= grown + (2u << 20));  // each round wrote 6 MiB
  }

  TEST_CASE("a group that is forgotten makes room when the quota is used up") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.quota_bytes = 4u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    REQUIRE(enter(*j) == "");
    for (journal_position p = 1; p <= 700; ++p) REQUIRE(put(*j, batch_op(p, 3000), late.index));
    REQUIRE(w.wait_durable(700, late.index));
    journal_position p = 0;
    do {
      for (int i = 0; i < 20; ++i) REQUIRE(put(*j, batch_op(++p, 3000)));
    } while (!w.trouble_before(p) && p < 2000);
    REQUIRE(w.wait_trouble(trouble::kind::full));
    CHECK(leave(*j) == "");
    REQUIRE(w.wait_trouble(trouble::kind::resumed));
    CHECK(w.wait_durable(p));
    j.reset();
    CHECK(verify(o.directory).damage == "");
  }

  TEST_CASE("a volatile group comes and goes") {
    temporary_directory where;
    const auto o = small_options(where.path());
    auto j = reopen(o);
    const group_options in_memory{9, "memory", 1, true};
    for (int round = 0; round < 2; ++round) {
      REQUIRE(enter(*j, in_memory) == "");
      contents nothing;
      CHECK_FALSE(j->read_group(9, nothing).founded);
      REQUIRE(put(*j, batch_op(1, 50), 9));
      CHECK(checkpoint(*j, 3, "state", nullptr, 9) == 1);
      CHECK(told_by([&](journal::told done) { j->mark_founded(9, [done] { done(""); }); }) == "");
      CHECK(j->read_group(9, nothing).founded);
      CHECK(leave(*j, in_memory) == "");
      CHECK_FALSE(j->newest_checkpoint(9));
    }
    j.reset();
    CHECK(left_of(o, 9) == 0);
  }

  TEST_CASE("groups come and go while others work") {
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    std::atomic<bool> stop{false};
    journal_position at = 0;
    std::thread busy([&] {
      while (!stop) {
        for (int i = 0; i < 20; ++i)
          if (!put(*j, batch_op(++at, 200))) return;
        std::this_thread::sleep_for(200us);
      }
    });
    for (std::uint32_t g = 1023; g > 1003; --g) {
      const group_options mine{g, "late", 1, false};
      CHECK(enter(*j, mine) == "");
      for (journal_position p = 1; p <= 300; ++p) REQUIRE(put(*j, batch_op(p, 100), g));
      if (g % 2 == 0) CHECK(w.wait_durable(300, g));
      CHECK(leave(*j, mine) == "");
    }
    stop = true;
    busy.join();
    CHECK(w.wait_durable(at));
    j.reset();
    const auto v = verify(o.directory);
    CHECK(v.damage == "");
    CHECK(v.records == at);
    CHECK(v.groups.size() == 1);
  }

  TEST_CASE("a crash at any moment of coming and going harms nobody") {
    constexpr std::uint64_t entered = 1'000'000, asked_to_go = 1'000'001, gone = 1'000'002, came = 2'000'000;
    const group_options next{late.index, "next", 1, false};  // takes its place
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where(memory_directory());
      auto o = small_options(where.path());
      o.mode = mode;
      reopen(o);
      const auto file = o.directory / "journal.mdb";
      const auto begin = image::of(file);
      constexpr journal_position own = 2300;
      {
        witness w;
        auto calls = w.calls();
        std::atomic<std::uint64_t> base{0};
        calls.on_durable = [inner = calls.on_durable, &base](std::uint32_t g, journal_position p) {
          if (g == late.index) disk::note(base + p);
          inner(g, p);
        };
        auto j = reopen(o, std::move(calls));
        disk::record();
        REQUIRE(put(*j, batch_op(1, 100)));
        REQUIRE(w.wait_durable(1));
        REQUIRE(enter(*j) == "");
        disk::note(entered);
        std::vector<persist_op> ops;
        for (journal_position p = 1; p <= own; ++p) ops.push_back(batch_op(p, 60));
        REQUIRE(j->append(late.index, ops));
        REQUIRE(w.wait_durable(own, late.index));
        REQUIRE(checkpoint(*j, 3, std::string(5000, 'c'), nullptr, late.index) == 1);
        disk::note(asked_to_go);
        REQUIRE(leave(*j) == "");
        disk::note(gone);
        REQUIRE(put(*j, batch_op(2, 100)));
        REQUIRE(w.wait_durable(2));
        base = came;
        REQUIRE(enter(*j, next) == "");
        for (journal_position p = 1; p <= 3; ++p) {
          REQUIRE(put(*j, batch_op(p, 60), late.index));
          REQUIRE(w.wait_durable(p, late.index));
        }
        j.reset();
      }
      const auto events = disk::stop();
      bool is_in = false, may_go = false, is_gone = false;
      journal_position acknowledged = 0, of_next = 0;
      int images = 0, marked = 0, taken = 0;
      CAPTURE(static_cast<int>(mode));
      const auto judge = [&]() -> std::string {
        inspection found;
        if (auto error = inspect_file(file, found); !error.empty()) return error;
        bool leaves = false, there = false, has_next = false;
        {
          store s(file, o.mode, 1u << 24, 1u << 24, false);
          tenants who;
          if (auto error = read_tenants(s, file, who); !error.empty()) return error;
          has_next = who.groups.contains(late.index) && who.groups.at(late.index).group.name == next.name;
          there = who.groups.contains(late.index) && !has_next;
          leaves = there && who.groups.at(late.index).leaves;
          // Under one_flush its commit is flushed by the next one: what was reported durable of it is.
          if (((is_in && mode == durability::sync) || acknowledged > 0) && !may_go && !there) return "a group that entered is not there";
          if (leaves && !may_go) return "a group leaves that nobody told to";
          if (is_gone && mode == durability::sync && there) return "a group that is gone is there";
          scan_counts seen;
          if (auto error = scan_records(s, 0, seen, [](const auto&) { return std::string(); }); !error.empty()) return error;
          if (of_next > 0 && !has_next) return "a group that came in the place of another one is not there";
          if (has_next) {
            scan_counts own_records;
            if (!is_gone) return "two groups had one place";
            if (auto error = scan_records(s, late.index, own_records, [](const auto&) { return std::string(); }); !error.empty()) return error;
            if (own_records.last < of_next || own_records.records != own_records.last) return "it has records of another one, or lacks its own";
          }
          if (there && !leaves) {
            scan_counts own_records;
            if (auto error = check_newest(list_checkpoints(s), late.index, *s.extent(late.index)); !error.empty()) return error;
            if (auto error = scan_records(s, late.index, own_records, [](const auto&) { return std::string(); }); !error.empty()) return error;
            if (own_records.last < acknowledged || own_records.records < acknowledged) return "acknowledged records are lost";
          }
        }
        marked += leaves;
        taken += has_next;
        if (images % 40 != 0 && (!leaves || marked % 8 != 1)) return {};
        // Opened like after any restart: nobody is told of damage, and what has begun to go goes.
        auto j = open(o, {});
        if (!j.opened) return j.error;
        contents kept;
        if (auto found_here = j.opened->read_group(0, kept); !found_here.damage.empty()) return found_here.damage;
        if (leaves && !contains(enter(*j.opened), "deleted")) {
          // It may be gone already by the time it is asked for; then it is a new one.
          contents fresh;
          if (!j.opened->read_group(late.index, fresh).blank) return "a group that left is back";
        }
        if (has_next) {
          contents whole;
          if (const auto found_here = j.opened->read_group(late.index, whole); found_here.records < of_next) return "it is not given what it had";
        }
        if (auto error = leave(*j.opened, has_next ? next : late); !error.empty()) return error;
        j.opened.reset();
        if (left_of(o, late.index) != 0) return "something is left of the group";
        const auto v = verify(o.directory);
        return v.damage;
      };
      const auto noted = [&](std::uint64_t value) {
        if (value == entered) is_in = true;
        else if (value == asked_to_go) may_go = true;
        else if (value == gone) is_gone = true;
        else if (value > came) of_next = value - came;
        else acknowledged = value;
      };
      const auto counts = for_each_crash(begin, events, noted, [&](const image& i) -> std::string {
        ++images;
        i.put(file);
        try {
          return judge();
        } catch (const store_failure& f) {
          return f.text();
        }
      });
      CHECK(counts.writes > 15);
      CHECK(marked > 5);
      CHECK(taken > 2);
    }
  }
}
