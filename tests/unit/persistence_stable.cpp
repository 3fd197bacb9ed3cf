#include "persistence/directory.hpp"
#include "persistence/stable.hpp"
#include "persistence/stable_copy.hpp"
#include "tests/unit/persistence_disk.hpp"
#include "tests/unit/persistence_harness.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <future>

using namespace cohort;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

namespace {

stable_options small(const std::filesystem::path& directory, const std::filesystem::path& mirror = {}) {
  stable_options o;
  o.directory = directory;
  o.mirror = mirror;
  o.map_bytes = 64u << 20;
  return o;
}

std::unique_ptr<stable_store> opened(const stable_options& o) {
  auto result = open_stable(o);
  REQUIRE_MESSAGE(result.store, result.error);
  return std::move(result.store);
}

std::string file_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

std::string log_text(stable_store& s, std::string_view store, std::string_view log, std::uint64_t from = 0) {
  std::string all;
  s.read_log(store, log, from, [&](std::uint64_t n, std::string_view r) {
    all += std::to_string(n) + ":" + std::string(r) + " ";
    return true;
  });
  return all;
}

/// Everything in a store, for comparing.
std::string contents_of(stable_store& s, std::string_view store) {
  std::string all;
  s.scan(store, "", [&](std::string_view k, std::string_view v) {
    all += std::string(k) + "=" + std::string(v) + " ";
    return true;
  });
  return all + "| " + log_text(s, store, "log");
}

}  // namespace

TEST_SUITE("stable") {
  TEST_CASE("keys, logs and tokens are there again, and a batch is all or nothing") {
    temporary_directory where;
    {
      auto s = opened(small(where.path()));
      CHECK(s->commit(
          stable_batch().put("a", "k", "1").put("b", "k", "2").append("a", "log", "x").append("a", "log", "y")));
      CHECK(s->get("a", "k") == "1");
      CHECK(s->get("b", "k") == "2");
      CHECK_FALSE(s->get("c", "k"));
      CHECK(log_text(*s, "a", "log") == "1:x 2:y ");
      auto refused = s->commit(stable_batch().put("a", "k", "9").expect("b", "k", "3").append("a", "log", "no"));
      CHECK(refused.code == stable_code::conflict);
      CHECK(contains(refused.why, "key \"k\" of store \"b\""));
      CHECK(s->commit(stable_batch().expect("b", "k", "2").expect("b", "none", std::nullopt).erase("b", "k")));
      CHECK(s->commit(stable_batch().trim("a", "log", 2).append("a", "log", "z")));
    }
    auto s = opened(small(where.path()));
    CHECK(contents_of(*s, "a") == "k=1 | 2:y 3:z ");
    CHECK(s->log_range("a", "log").first == 2);
    CHECK_FALSE(s->get("b", "k"));
    CHECK(s->commit(stable_batch().trim("a", "log", 100)));
    CHECK(s->commit(stable_batch().append("a", "log", "after")));
    CHECK(log_text(*s, "a", "log") == "4:after ");  // numbers are never given twice
    struct pair {
      std::uint32_t x, y;
    };
    stable_value<pair> typed(*s, "a", "typed");
    CHECK_FALSE(typed.get());
    stable_batch b;
    typed.put(b, {3, 4});
    CHECK(s->commit(std::move(b)));
    CHECK(typed.get()->y == 4);
    CHECK_THROWS_AS(stable_value<std::uint8_t>(*s, "a", "typed").get(), stable_damage);
    CHECK(s->stats().trouble == "");
  }

  TEST_CASE("an older token is refused, also within one flush") {
    temporary_directory where;
    auto s = opened(small(where.path()));
    CHECK(s->commit(stable_batch().fence("a", 5).put("a", "k", "five")));
    CHECK(s->token("a") == 5);
    const auto old = s->commit(stable_batch().fence("a", 4).put("a", "k", "four"));
    CHECK(old.code == stable_code::fenced);
    CHECK(contains(old.why, "token 5"));
    CHECK(s->get("a", "k") == "five");
    CHECK(s->commit(stable_batch().fence("b", 1).put("b", "k", "other store")));
    std::promise<void> last;
    stable_code first{}, second{};
    s->commit(stable_batch().fence("a", 7).put("a", "k", "seven"), [&](const stable_result& r) { first = r.code; });
    s->commit(stable_batch().fence("a", 6).put("a", "k", "six"), [&](const stable_result& r) {
      second = r.code;
      last.set_value();
    });
    last.get_future().wait();
    CHECK(first == stable_code::done);
    CHECK(second == stable_code::fenced);
    s.reset();
    s = opened(small(where.path()));
    CHECK(s->token("a") == 7);
    CHECK(s->get("a", "k") == "seven");
  }

  TEST_CASE("bounds and quotas refuse, name the bound, and leave nothing behind") {
    temporary_directory where;
    auto o = small(where.path());
    o.store_bytes_max = 1000;
    o.queue_bytes_max = 100'000;
    auto s = opened(o);
    CHECK(s->commit(stable_batch().put("", "k", "v")).code == stable_code::invalid);
    CHECK(s->commit(stable_batch().put(std::string(65, 's'), "k", "v")).code == stable_code::invalid);
    CHECK(s->commit(stable_batch().put("a", std::string(401, 'k'), "v")).code == stable_code::invalid);
    CHECK(s->commit(stable_batch().append("a", "", "v")).code == stable_code::invalid);
    CHECK(s->commit(stable_batch().put("a", std::string(400, 'k'), "v")));
    CHECK(s->get("a", std::string(400, 'k')) == "v");
    CHECK_FALSE(s->get(std::string(257, 'a'), "k"));
    const auto full = s->commit(stable_batch().put("a", "small", "1").put("a", "large", std::string(900, 'x')));
    CHECK(full.code == stable_code::full);
    CHECK(contains(full.why, "quota is 1000"));
    CHECK_FALSE(s->get("a", "small"));
    CHECK(s->commit(stable_batch().put("b", "large", std::string(900, 'x'))));  // a store's fill is its own
    CHECK(s->commit(stable_batch().put("b", "large", std::string(901, 'y'))));
    CHECK(s->commit(stable_batch().put("b", "large", std::string(90'000, 'y'))).code == stable_code::full);
    CHECK(s->commit(stable_batch().put("b", "large", std::string(110'000, 'y'))).code == stable_code::busy);
    for (int i = 0; i < 30; ++i)
      CHECK(s->commit(
          stable_batch().append("c", "log", std::string(400, 'l')).trim("c", "log", static_cast<std::uint64_t>(i))));
    CHECK(s->scrub().damage.empty());
  }

  TEST_CASE("a full disk refuses and is got over, a failed flush ends writing") {
    temporary_directory where;
    auto s = opened(small(where.path()));
    CHECK(s->commit(stable_batch().put("a", "k", "1")));
    disk::inject(disk::fault::no_space);
    const auto full = s->commit(stable_batch().put("a", "k", "2"));
    disk::inject(disk::fault::none);
    CHECK(full.code == stable_code::full);
    CHECK(s->get("a", "k") == "1");
    CHECK(s->commit(stable_batch().put("a", "k", "3")));
    disk::inject(disk::fault::flush_fails);
    CHECK(s->commit(stable_batch().put("a", "k", "4")).code == stable_code::unknown);
    disk::inject(disk::fault::none);
    CHECK(s->commit(stable_batch().put("a", "k", "5")).code == stable_code::stopped);
    CHECK(contains(s->stats().trouble, "nothing is written any more"));
    CHECK(s->stats().copies == 0);
    s.reset();
    s = opened(small(where.path()));
    const auto now = s->get("a", "k");
    CHECK((now == "3" || now == "4"));
  }

  TEST_CASE("when a copy cannot be flushed the other goes on alone, and brings it up after a restart") {
    temporary_directory where;
    const auto o = small(where.path() / "one", where.path() / "two");
    auto s = opened(o);
    CHECK(s->commit(stable_batch().put("a", "k", "1")));
    disk::inject(disk::fault::one_flush_fails);
    CHECK(s->commit(stable_batch().put("a", "k", "2")));
    CHECK(contains(s->stats().trouble, "one/stable.mdb"));
    CHECK(s->stats().copies == 1);
    CHECK(s->commit(stable_batch().put("a", "k", "3").append("a", "log", "x")));
    CHECK(s->get("a", "k") == "3");
    CHECK(s->scrub().damage.empty());
    s.reset();
    s = opened(o);
    CHECK(s->stats().copies == 2);
    CHECK(s->stats().trouble == "");
    CHECK(contents_of(*s, "a") == "k=3 | 1:x ");
    s.reset();
    std::filesystem::remove_all(where.path() / "two");
    CHECK(opened(o)->get("a", "k") == "3");
  }

  TEST_CASE("every byte that rots in a file with one copy is reported, or was not in use") {
    temporary_directory where(std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                                        : std::filesystem::temp_directory_path());
    std::string before;
    {
      auto s = opened(small(where.path()));
      for (int i = 0; i < 5; ++i)
        CHECK(s->commit(stable_batch()
                            .put("a", "key" + std::to_string(i), "value" + std::to_string(i))
                            .append("a", "log", "r" + std::to_string(i))));
      before = contents_of(*s, "a");
    }
    const auto file = where.path() / "stable.mdb";
    const auto whole = file_bytes(file);
    int told_at_open = 0, told_by_reader = 0, unused = 0;
    for (std::size_t at = 0; at < whole.size(); at += 13) {
      auto broken = whole;
      broken[at] = static_cast<char>(broken[at] ^ 0x41);
      write_file(file, broken);
      auto result = open_stable(small(where.path()));
      if (!result.store) {
        ++told_at_open;
        CHECK(contains(result.error, "stable.mdb"));
        continue;
      }
      try {
        const auto now = contents_of(*result.store, "a");
        if (result.store->stats().trouble.empty()) {
          ++unused;
          CAPTURE(at);
          CHECK(now == before);
        }
      } catch (const stable_damage& d) {
        ++told_by_reader;
        CHECK(contains(d.what(), "store \"a\""));
      }
    }
    CHECK(told_at_open > 30);
    CHECK(told_by_reader > 4);
    CHECK(unused > 30);
  }

  TEST_CASE("with a mirror every byte that rots in either copy is mended") {
    temporary_directory where(std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                                        : std::filesystem::temp_directory_path());
    const auto o = small(where.path() / "one", where.path() / "two");
    std::string before;
    {
      auto s = opened(o);
      for (int i = 0; i < 5; ++i)
        CHECK(s->commit(stable_batch()
                            .put("a", "key" + std::to_string(i), "value" + std::to_string(i))
                            .append("a", "log", "r" + std::to_string(i))));
      before = contents_of(*s, "a");
      CHECK(s->stats().copies == 2);
    }
    for (const auto* which : {"one", "two"}) {
      const auto file = where.path() / which / "stable.mdb";
      const auto whole = file_bytes(file);
      for (std::size_t at = 0; at < whole.size(); at += 101) {
        auto broken = whole;
        broken[at] = static_cast<char>(broken[at] ^ 0x41);
        write_file(file, broken);
        auto s = opened(o);
        CAPTURE(at);
        CHECK(contents_of(*s, "a") == before);
        CHECK(s->commit(stable_batch().put("b", "k", std::to_string(at))));
        CHECK(s->scrub().damage.empty());
        s.reset();
        std::filesystem::remove(where.path() / which / "stable.mdb.damaged");
        CHECK(opened(o)->scrub().repaired == 0);
        write_file(file, whole);  // also a copy that is behind by what was committed since
        CHECK(opened(o)->get("b", "k") == std::to_string(at));
      }
    }
  }

  TEST_CASE("rot in open files is mended while it is read, and found by a scrub") {
    temporary_directory where;
    const auto o = small(where.path() / "one", where.path() / "two");
    auto s = opened(o);
    for (int i = 0; i < 20; ++i)
      CHECK(s->commit(stable_batch().put("a", "key" + std::to_string(i), "unmistakable" + std::to_string(i) + ".")));
    const auto rot = [&](const char* which, const std::string& what) {
      std::fstream file(where.path() / which / "stable.mdb", std::ios::binary | std::ios::in | std::ios::out);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      file.clear();
      int n = 0;
      for (auto at = bytes.find(what); at != std::string::npos; at = bytes.find(what, at + 1), ++n) {
        file.seekp(static_cast<std::streamoff>(at));
        file.put('X');
      }
      CHECK(n > 0);
    };
    rot("one", "unmistakable3.");
    CHECK(s->get("a", "key3") == "unmistakable3.");
    CHECK(s->stats().repaired > 0);
    rot("two", "unmistakable4.");
    CHECK(s->get("a", "key4") == "unmistakable4.");
    rot("two", "unmistakable5.");
    rot("one", "unmistakable6.");
    const auto both = s->scrub();  // none is whole, together they are
    CHECK(both.repaired == 2);
    CHECK(both.damage.empty());
    rot("one", "unmistakable7.");
    rot("two", "unmistakable7.");
    rot("two", "unmistakable8.");
    CHECK_THROWS_AS(s->get("a", "key7"), stable_damage);
    CHECK(s->get("a", "key8") == "unmistakable8.");
    CHECK(contains(s->stats().trouble, "key \"key7\" of store \"a\""));
    CHECK(s->commit(stable_batch().put("a", "key7", "new")).code == stable_code::damaged);
    CHECK(s->commit(stable_batch().put("a", "key9", "new")));
    s.reset();
    s = opened(o);  // what is broken is known by name; all else is served
    CHECK(s->get("a", "key9") == "new");
    CHECK_THROWS_AS(s->get("a", "key7"), stable_damage);
  }

  TEST_CASE("a record under another key, and an old record, are seen") {
    temporary_directory where;
    { CHECK(opened(small(where.path()))->commit(stable_batch().put("a", "k1", "1").put("a", "k2", "2"))); }
    std::string old;
    const auto file = where.path() / "stable.mdb";
    {
      stable_copy c(file, 64u << 20);
      const auto commit = stable_copy::reader(c).commit();
      const auto one = stable_layout::value_key("a", "k1"), two = stable_layout::value_key("a", "k2");
      c.begin();
      old = std::string(*c.find(one));
      c.put(two, old);
      c.commit(commit);
    }
    CHECK(contains(open_stable(small(where.path())).error, "key \"k2\" of store \"a\" has a bad checksum"));
    temporary_directory other;
    { CHECK(opened(small(other.path()))->commit(stable_batch().put("a", "k1", "1"))); }
    {
      stable_copy c(other.path() / "stable.mdb", 64u << 20);
      c.begin();
      old = std::string(*c.find(stable_layout::value_key("a", "k1")));
      c.abort();
    }
    { CHECK(opened(small(other.path()))->commit(stable_batch().put("a", "k1", "newer"))); }
    {
      stable_copy c(other.path() / "stable.mdb", 64u << 20);
      const auto commit = stable_copy::reader(c).commit();
      c.begin();
      c.put(stable_layout::value_key("a", "k1"), old);
      c.commit(commit);
    }
    CHECK(contains(open_stable(small(other.path())).error, "some are lost or old"));
  }

  TEST_CASE("copies that do not belong together, a lost one, and one directory twice") {
    temporary_directory where;
    const auto one = where.path() / "one", two = where.path() / "two";
    opened(small(one))->commit(stable_batch().put("a", "k", "1"));
    opened(small(two))->commit(stable_batch().put("a", "k", "2"));
    CHECK(contains(open_stable(small(one, two)).error, "do not belong together"));
    CHECK(contains(open_stable(small(one, one)).error, "one of its own"));
    auto s = opened(small(one, where.path() / "three"));  // a mirror added later
    CHECK(contains(open_stable(small(one)).error, "already open"));
    CHECK(s->get("a", "k") == "1");
    s.reset();
    std::filesystem::remove_all(one);
    CHECK(opened(small(one, where.path() / "three"))->get("a", "k") == "1");
  }

  TEST_CASE("every prefix of the write sequence, and what a power cut may leave of it, is a state that was committed") {
    temporary_directory where(std::filesystem::is_directory("/dev/shm") ? "/dev/shm"
                                                                        : std::filesystem::temp_directory_path());
    const auto o = small(where.path());
    opened(o);
    const auto file = where.path() / "stable.mdb";
    std::string on_disk = file_bytes(file), in_cache = on_disk;
    std::vector<std::string> states;
    {
      auto s = opened(o);
      states.push_back(contents_of(*s, "a"));
      disk::record();
      for (std::uint64_t i = 1; i <= 12; ++i) {
        CHECK(s->commit(
            stable_batch()
                .put("a", "k" + std::to_string(i % 4), std::string(i % 5 == 0 ? 9000 : 20, static_cast<char>('a' + i)))
                .append("a", "log", std::to_string(i))
                .trim("a", "log", i > 5 ? i - 5 : 0)));
        disk::note(i);
        states.push_back(contents_of(*s, "a"));
      }
    }
    const auto events = disk::stop();
    std::uint64_t acknowledged = 0;
    int images = 0, bad = 0;
    std::vector<const disk::event*> unflushed;
    const auto apply = [](std::string& to, const disk::event& e, std::size_t n_max = std::string::npos) {
      const auto n = std::min(e.bytes.size(), n_max);
      if (to.size() < e.offset + n) to.resize(e.offset + n);
      to.replace(e.offset, n, e.bytes, 0, n);
    };
    const auto check = [&](const std::string& image, const char* what) {
      ++images;
      write_file(file, image);
      auto result = open_stable(o);
      std::string error = result.error;
      if (result.store) {
        const auto now = contents_of(*result.store, "a");
        std::size_t i = states.size();
        while (i-- > 0 && states[i] != now) {
        }
        if (i > states.size())
          error = "a state that never was";
        else if (i < acknowledged)
          error = "acknowledged batch " + std::to_string(acknowledged) + " is lost";
        if (!result.store->stats().trouble.empty()) error = result.store->stats().trouble;
      }
      if (error.empty() || ++bad > 5) return;
      CAPTURE(what);
      CHECK_MESSAGE(error.empty(), error);
    };
    for (const auto& e : events) {
      if (e.what == disk::event::kind::note) {
        acknowledged = e.offset;
      } else if (e.what == disk::event::kind::barrier) {
        on_disk = in_cache;
        unflushed.clear();
      } else {
        if (e.bytes.size() > 512) {
          auto torn = in_cache;
          apply(torn, e, e.bytes.size() / 2 / 512 * 512);
          check(torn, "killed in the middle of a write");
        }
        apply(in_cache, e);
        unflushed.push_back(&e);
        check(in_cache, "killed after a write");
      }
      check(on_disk, "power cut, nothing unflushed survives");
      for (const auto* one : unflushed) {
        auto only = on_disk;
        apply(only, *one);
        check(only, "power cut, one unflushed write survives");
      }
    }
    CHECK(images > 60);
    CHECK(bad == 0);
  }

  TEST_CASE("kill -9 in the middle of commits to both copies loses nothing acknowledged") {
    temporary_directory where;
    const auto o = small(where.path() / "one", where.path() / "two");
    std::uint64_t survived = 0;
    for (int round = 0; round < 10; ++round) {
      int ends[2];
      REQUIRE(::pipe(ends) == 0);
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        auto result = open_stable(o);
        if (!result.store) _exit(2);
        auto n = result.store->log_range("a", "log").last;
        while (true) {
          ++n;
          const bool good = static_cast<bool>(result.store->commit(stable_batch()
                                                                       .append("a", "log", std::to_string(n))
                                                                       .put("a", "n", std::to_string(n))
                                                                       .trim("a", "log", n > 50 ? n - 50 : 0)));
          if (!good || ::write(ends[1], &n, sizeof n) != sizeof n) _exit(3);
        }
      }
      ::close(ends[1]);
      std::uint64_t acknowledged = 0, n = 0;
      for (int reports = 0; reports < 5 + round; ++reports) {
        pollfd ready{ends[0], POLLIN, 0};
        REQUIRE(::poll(&ready, 1, 20'000) == 1);
        if (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged = n;
      }
      ::usleep(static_cast<useconds_t>(round * 173));
      ::kill(child, SIGKILL);
      int status = 0;
      ::waitpid(child, &status, 0);
      CHECK(WIFSIGNALED(status));
      while (::read(ends[0], &n, sizeof n) == sizeof n) acknowledged = n;
      ::close(ends[0]);
      auto s = opened(o);
      CHECK(s->stats().trouble == "");
      const auto range = s->log_range("a", "log");
      CHECK(range.last >= acknowledged);
      CHECK(range.last >= survived);
      CHECK(s->get("a", "n") == std::to_string(range.last));
      s->read_log("a", "log", 0, [&](std::uint64_t number, std::string_view r) {
        CHECK(r == std::to_string(number));
        return true;
      });
      survived = range.last;
    }
    CHECK(survived > 50);
  }
}
