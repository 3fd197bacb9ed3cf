#include "persistence/directory.hpp"
#include "tests/unit/persistence_harness.hpp"
#include "tests/unit/persistence_images.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

namespace {

view_ptr founders() {
  view v;
  v.roster = {{{member_id{0}, 11}, 1, true, true}, {{member_id{1}, 12}, 1, true, true}};
  v.burnt = {{member_id{0}, 1}, {member_id{1}, 1}};
  return std::make_shared<const view>(std::move(v));
}

mark base_at(log_index index, term_number term, sequence seq) { return {index, term, wall_time{1}, {seq, 0}, founders(), seq}; }

constexpr std::uint64_t founded_note = 2'000'000;

/// What a member of a group of two writes: batches and the entries that cover them, a truncation, a checkpoint of its
/// own, a new base and the trimming it allows, a large batch, and a checkpoint received.
struct workload {
  std::map<journal_position, persist_op> ops;
  journal_position at = 0;
  std::map<sequence, journal_position> batches;

  void add(journal& j, persist_op op) {
    op.position = ++at;
    ops[at] = op;
    REQUIRE(put(j, std::move(op)));
  }
  void batch(journal& j, sequence seq, std::size_t size) {
    auto op = batch_op(seq, size);
    std::get<persist_batch>(op.what).what.owner = member_id{0};
    std::get<persist_batch>(op.what).what.inc = 1;
    batches[seq] = at + 1;
    add(j, op);
  }
  void entry(journal& j, log_index index, term_number term, sequence seq) {
    add(j, {0, persist_entry{{index, term, entry_kind::cut, wall_time{2}, {seq, 0}, nullptr}}});
  }
  void state(journal& j, term_number term, mark base) { add(j, {0, persist_state{{term, {}, 1, 0, std::move(base)}}}); }

  void run(journal& j, witness& w) {
    const auto wait = [&] { REQUIRE(w.wait_durable(at)); };
    state(j, 1, base_at(0, 0, 0));
    wait();
    for (sequence s = 1; s <= 12; ++s) {
      batch(j, s, 200);
      entry(j, s, 1, s);
      if (s % 3 == 0) wait();
    }
    state(j, 2, base_at(0, 0, 0));
    add(j, {0, persist_truncate{11}});
    entry(j, 11, 2, 11);
    entry(j, 12, 2, 12);
    wait();
    REQUIRE(checkpoint(j, 8, std::string(9000, '8')) == 1);
    disk::note(1'000'008);
    batch(j, 13, 30'000);
    entry(j, 13, 2, 13);
    wait();
    state(j, 2, base_at(8, 1, 8));
    add(j, {0, persist_trim{batches.at(9)}});
    wait();
    for (sequence s = 14; s <= 20; ++s) {
      // Commit follows commit without a pause: what one_flush is about.
      disk::during_next_flush([&, s] {
        disk::during_next_flush([&, s] { state(j, s, base_at(8, 1, 8)); });
        entry(j, s, 2, s);
      });
      const auto last = at + 3;
      batch(j, s, 500);
      REQUIRE(w.wait_durable(last));
    }
    REQUIRE(checkpoint(j, 16, std::string(5000, 'x')) == 1);
    disk::note(1'000'016);
    state(j, 21, base_at(16, 2, 16));
    add(j, {0, persist_trim{batches.at(17)}});
    wait();
    entry(j, 21, 2, 20);
    wait();
    std::promise<void> founded;
    j.mark_founded(0, [&] {
      disk::note(founded_note);
      founded.set_value();
    });
    REQUIRE(founded.get_future().wait_for(20s) == std::future_status::ready);
  }
};

/// Empty if what the file holds is a state that the workload went through, not older than what was acknowledged.
std::string judge(const options& o, const image& i, const workload& w, journal_position acknowledged,
                  log_index checkpointed, bool founded) {
  const auto file = o.directory / "journal.mdb";
  i.put(file);
  inspection found;
  if (auto error = inspect_file(file, found); !error.empty()) return error;
  try {
    store s(file, o.mode, 1u << 24, 1u << 24, false);
    tenants who;
    if (auto error = read_tenants(s, file, who); !error.empty()) return error;
    if (founded && !who.groups.at(0).founded) return "the founding is forgotten";
    const auto listed = list_checkpoints(s);
    if (auto error = check_newest(listed, 0, *s.extent(0)); !error.empty()) return error;
    recovery rules;
    log_index newest = 0;
    for (const auto& c : listed) {
      if (!c.complete) continue;
      newest = c.index;
      std::string damage;
      if (read_chunk(s, {0, c.index, 1, 0}, damage).empty()) return damage;
    }
    if (newest < checkpointed) return "the checkpoint at " + std::to_string(checkpointed) + " is lost";
    for (const auto& c : listed)
      if (c.complete && c.index == newest) {
        // The samples' mark belongs to no view of this history: what is fed is the one the core would have given.
        auto at = base_at(newest, newest <= 10 ? 1 : 2, newest);
        rules.checkpoint(at, c.info.chunks);
      }
    std::optional<hard_state> state;
    if (auto error = scan_state(s, 0, state); !error.empty()) return error;
    if (state) rules.state(*state);
    scan_counts seen;
    std::string why;
    journal_position before = 0;
    auto error = scan_records(s, 0, seen, [&](const persist_op& op) -> std::string {
      const auto it = w.ops.find(op.position);
      if (it == w.ops.end() || encoded(it->second) != encoded(op)) return "is not what was written";
      for (auto p = before + 1; before != 0 && p < op.position; ++p)
        if (record_bytes(w.ops.at(p)) != 0 && !std::holds_alternative<persist_state>(w.ops.at(p).what))
          return "follows a gap";
      before = op.position;
      return rules.record(op) ? std::string() : rules.why();
    });
    if (!error.empty()) return error;
    // Which operations are in: all up to the newest record, and the state before the next one.
    journal_position newest_record = 0, state_wanted = 0, state_allowed = 0;
    for (const auto& [p, op] : w.ops) {
      const bool is_state = std::holds_alternative<persist_state>(op.what);
      if (p <= acknowledged && !is_state && record_bytes(op) != 0) newest_record = p;
      if (is_state && (p <= acknowledged || p < seen.last)) state_wanted = p;
    }
    if (seen.last < newest_record) return "acknowledged record " + std::to_string(newest_record) + " is lost";
    for (const auto& [p, op] : w.ops)
      if (std::holds_alternative<persist_state>(op.what) && state &&
          encoded({1, op.what}) == encoded({1, persist_state{*state}}))
        state_allowed = std::max(state_allowed, p);
    if (state_wanted != 0 && state_allowed < state_wanted) return "the state at " + std::to_string(state_wanted) + " is lost";
    if (!rules.finish()) return "the protocol's recovery refuses: " + rules.why();
  } catch (const store_failure& f) {
    return f.text();
  }
  return {};
}

}  // namespace

TEST_SUITE("crash points") {
  TEST_CASE("every prefix of the write sequence, and what a power cut may leave of it, recovers to a legal state") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where(memory_directory());
      auto o = small_options(where.path());
      o.mode = mode;
      reopen(o);  // creation is a rename of a complete file: no crash point inside
      const auto begin = image::of(o.directory / "journal.mdb");
      workload work;
      {
        witness w;
        auto calls = w.calls();
        calls.on_durable = [inner = calls.on_durable](std::uint32_t g, journal_position p) {
          disk::note(p);
          inner(g, p);
        };
        auto j = reopen(o, std::move(calls));
        disk::record();
        work.run(*j, w);
        j.reset();
      }
      const auto events = disk::stop();
      journal_position acknowledged = 0;
      log_index checkpointed = 0;
      bool founded = false;
      CAPTURE(static_cast<int>(mode));
      const auto noted = [&](std::uint64_t value) {
        if (value == founded_note) founded = true;
        else if (value >= 1'000'000) checkpointed = value - 1'000'000;
        else acknowledged = value;
      };
      const auto counts = for_each_crash(begin, events, noted,
                                         [&](const image& i) { return judge(o, i, work, acknowledged, checkpointed, founded); });
      CHECK(counts.writes > 40);
    }
  }

  TEST_CASE("kill -9 in the middle of commits loses nothing acknowledged") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where;
      auto o = small_options(where.path());
      o.mode = mode;
      o.recycled_bytes = 1u << 20;
      journal_position survived = 0;
      for (int round = 0; round < 12; ++round) {
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
          callbacks calls;
          calls.on_durable = [&](std::uint32_t, journal_position p) {
            if (::write(pipe_ends[1], &p, sizeof p) != sizeof p) _exit(3);
          };
          auto result = open(o, std::move(calls));
          if (!result.opened) _exit(2);
          contents back;
          auto p = result.opened->read_group(0, back).last;
          while (true) {
            for (int i = 0; i < 7; ++i) {
              ++p;
              put(*result.opened, batch_op(p, p % 13 == 0 ? 20'000 : 150));
            }
            if (p % 5 == 0) {
              ++p;
              put(*result.opened, {p, persist_trim{p > 300 ? p - 300 : 1}});
            }
            ::usleep(100);
          }
        }
        ::close(pipe_ends[1]);
        journal_position acknowledged = 0, p = 0;
        for (int reports = 0; reports < 10 + round * 3; ++reports) {
          pollfd ready{pipe_ends[0], POLLIN, 0};
          REQUIRE(::poll(&ready, 1, 20'000) == 1);
          if (::read(pipe_ends[0], &p, sizeof p) == sizeof p) acknowledged = p;
        }
        ::usleep(static_cast<useconds_t>(round * 137));  // somewhere in the middle of the next commits
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        while (::read(pipe_ends[0], &p, sizeof p) == sizeof p) acknowledged = p;
        ::close(pipe_ends[0]);
        const auto v = verify(o.directory);
        CHECK(v.damage == "");
        auto j = reopen(o);
        contents back;
        const auto found = j->read_group(0, back);
        CHECK(found.damage == "");
        CHECK(found.last + 2 >= acknowledged);  // a trim, or the state, may be what was acknowledged last
        CHECK(found.last >= survived);
        for (const auto& [at, bytes] : back.records) CHECK(bytes == encoded(batch_op(at, at % 13 == 0 ? 20'000 : 150)));
        // The child runs on after the report that was read last, and may have trimmed what that one told of.
        const auto first = back.records.empty() ? 0 : back.records.begin()->first;
        if (acknowledged >= first + 2) {
          auto last = acknowledged;
          while (last > 0 && !back.records.contains(last) && acknowledged - last < 2) --last;
          CHECK(back.records.contains(last));
        }
        survived = found.last;
      }
      CHECK(survived > 50);
    }
  }
}
