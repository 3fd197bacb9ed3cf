#include "persistence/directory.hpp"
#include "tests/unit/persistence_disk.hpp"
#include "tests/unit/persistence_harness.hpp"

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

/// The data file at some moment: pages by number, so that thousands of moments are cheap.
struct image {
  std::string bytes;
  void apply(const disk::event& e, std::size_t size_max = std::string::npos) {
    const auto n = std::min(e.bytes.size(), size_max);
    if (bytes.size() < e.offset + n) bytes.resize(e.offset + n);
    bytes.replace(e.offset, n, e.bytes, 0, n);
  }
};

/// Empty if what the file holds is a state that the workload went through, not older than what was acknowledged.
std::string judge(const options& o, const image& i, const workload& w, journal_position acknowledged,
                  log_index checkpointed, bool founded) {
  const auto file = o.directory / "journal.mdb";
  {
    // In place: a truncated and rewritten file costs more than everything else here.
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.write(i.bytes.data(), static_cast<std::streamsize>(i.bytes.size()));
  }
  std::filesystem::resize_file(file, i.bytes.size());
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

std::filesystem::path memory_directory() {
  return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
}

}  // namespace

TEST_SUITE("crash points") {
  TEST_CASE("every prefix of the write sequence, and what a power cut may leave of it, recovers to a legal state") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where(memory_directory());
      auto o = small_options(where.path());
      o.mode = mode;
      reopen(o);  // creation is a rename of a complete file: no crash point inside
      image disk_image, cache_image;
      {
        std::ifstream in(o.directory / "journal.mdb", std::ios::binary);
        disk_image.bytes.assign(std::istreambuf_iterator<char>(in), {});
      }
      cache_image = disk_image;
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
      std::vector<const disk::event*> unflushed;
      int images = 0, writes = 0, bad = 0;
      const auto check = [&](const image& i, const std::string& what, std::size_t at) {
        ++images;
        const auto error = judge(o, i, work, acknowledged, checkpointed, founded);
        if (error.empty() || ++bad > 5) return;
        CAPTURE(what);
        CAPTURE(at);
        CAPTURE(static_cast<int>(mode));
        CHECK_MESSAGE(error.empty(), error);
      };
      check(disk_image, "nothing written", 0);
      for (std::size_t k = 0; k < events.size(); ++k) {
        const auto& e = events[k];
        if (e.what == disk::event::kind::note) {
          if (e.offset == founded_note)
            founded = true;
          else if (e.offset >= 1'000'000)
            checkpointed = e.offset - 1'000'000;
          else
            acknowledged = e.offset;
        } else if (e.what == disk::event::kind::barrier) {
          disk_image = cache_image;
          unflushed.clear();
        } else {
          ++writes;
          // The process dies here: the kernel still has all that was written. Also in the middle of this write.
          if (e.bytes.size() > 512) {
            auto torn = cache_image;
            torn.apply(e, e.bytes.size() / 2 / 512 * 512);
            check(torn, "killed in the middle of a write", k);
          }
          cache_image.apply(e);
          unflushed.push_back(&e);
          check(cache_image, "killed after a write", k);
        }
        // The power fails here: of what was not flushed, anything may be there.
        if (unflushed.empty()) {
          if (e.what == disk::event::kind::note) check(disk_image, "power cut when all was flushed", k);
          continue;
        }
        check(disk_image, "power cut, nothing unflushed survives", k);
        for (const auto* one : unflushed) {
          auto only = disk_image;
          only.apply(*one);
          check(only, "power cut, one unflushed write survives", k);
          auto all_but = disk_image;
          for (const auto* other : unflushed)
            if (other != one) all_but.apply(*other);
          check(all_but, "power cut, one unflushed write is lost", k);
        }
      }
      MESSAGE(std::string(mode == durability::sync ? "sync" : "one_flush")
              << ": " << writes << " writes, " << images << " crash images, " << bad << " bad");
      CHECK(writes > 40);
      CHECK(bad == 0);
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
