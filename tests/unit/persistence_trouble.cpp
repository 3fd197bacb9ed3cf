#include "tests/unit/persistence_disk.hpp"
#include "tests/unit/persistence_harness.hpp"

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

namespace {

/// A small file system of its own; `ok` false where this user may not mount.
class small_disk {
public:
  explicit small_disk(const char* size) {
    ok = ::mount("cohort-test", where_.path().c_str(), "tmpfs", 0, (std::string("size=") + size).c_str()) == 0;
    if (!ok) MESSAGE("SKIPPED: mounting a tmpfs: " << std::strerror(errno));
  }
  ~small_disk() {
    if (ok) ::umount2(where_.path().c_str(), MNT_DETACH);
  }
  bool remount_read_only(bool on) {
    return ::mount("cohort-test", where_.path().c_str(), "tmpfs", MS_REMOUNT | (on ? MS_RDONLY : 0), nullptr) == 0;
  }
  const std::filesystem::path& path() const { return where_.path(); }
  bool ok = false;

private:
  temporary_directory where_;
};

/// Takes up the free space but for `left` bytes.
void occupy(const std::filesystem::path& directory, std::uint64_t left) {
  struct statvfs s {};
  REQUIRE(::statvfs(directory.c_str(), &s) == 0);
  const auto free = static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize;
  std::ofstream out(directory / "ballast", std::ios::binary);
  const std::string block(4096, 'b');
  for (std::uint64_t n = 0; n + 4096 + left <= free; n += 4096) out.write(block.data(), 4096);
}

struct no_fault {
  ~no_fault() { disk::inject(disk::fault::none); }
};

}  // namespace

TEST_SUITE("trouble") {
  TEST_CASE("a full disk: promises stop, what was promised stays, and it goes on when there is room") {
    small_disk disk("12m");
    if (!disk.ok) return;
    auto o = small_options(disk.path() / "data");
    witness w;
    auto j = reopen(o, w.calls());
    journal_position p = 0;
    for (; p < 100; ++p) REQUIRE(put(*j, batch_op(p + 1, 5000)));
    REQUIRE(w.wait_durable(p));
    occupy(disk.path(), 256 << 10);
    // More than there is room for.
    for (; p < 400; ++p) REQUIRE(put(*j, batch_op(p + 1, 5000)));
    REQUIRE(w.wait_trouble(trouble::kind::full));
    const auto t = w.troubles().back();
    CHECK(contains(t.text, "journal.mdb"));
    CHECK(contains(t.text, "make room"));
    CHECK(j->stats().trouble == t.text);
    CHECK(j->stats().queued_bytes > 0);
    const auto promised = w.durable();
    CHECK(promised >= 100);
    CHECK(promised < 400);
    std::string why;
    CHECK(checkpoint(*j, 50, std::string(100'000, 'c'), &why) == 0);
    CHECK(why != "");
    // Reading goes on.
    contents back;
    CHECK(j->read_group(0, back).damage == "");
    CHECK(back.records.size() >= promised);
    std::filesystem::remove(disk.path() / "ballast");
    REQUIRE(w.wait_trouble(trouble::kind::resumed));
    REQUIRE(w.wait_durable(400));
    CHECK(j->stats().trouble == "");
    CHECK(checkpoint(*j, 60, std::string(100'000, 'c')) == 1);
    j.reset();
    CHECK(verify(o.directory).damage == "");
    CHECK(verify(o.directory).records == 400);
  }

  TEST_CASE("a full disk resumes by trimming alone") {
    small_disk disk("12m");
    if (!disk.ok) return;
    auto o = small_options(disk.path() / "data");
    witness w;
    auto j = reopen(o, w.calls());
    journal_position p = 0;
    for (; p < 800; ++p) REQUIRE(put(*j, batch_op(p + 1, 5000)));
    REQUIRE(w.wait_durable(p));
    occupy(disk.path(), 128 << 10);
    // The trim is taken while there is room; the rows go in slices, also while the disk is full.
    REQUIRE(put(*j, {++p, persist_trim{790}}));
    for (int i = 0; i < 300; ++i) REQUIRE(put(*j, batch_op(++p, 5000)));
    REQUIRE(w.wait_durable(p));
    j.reset();
    CHECK(verify(o.directory).damage == "");
  }

  TEST_CASE("closing and restarting with a full disk keeps what was promised") {
    small_disk disk("12m");
    if (!disk.ok) return;
    auto o = small_options(disk.path() / "data");
    journal_position promised = 0;
    {
      witness w;
      auto j = reopen(o, w.calls());
      REQUIRE(put(*j, batch_op(1, 5000)));
      REQUIRE(w.wait_durable(1));
      occupy(disk.path(), 0);
      for (journal_position p = 2; p < 200; ++p) REQUIRE(put(*j, batch_op(p, 5000)));
      REQUIRE(w.wait_trouble(trouble::kind::full));
      promised = w.durable();
    }
    auto j = reopen(o);
    contents back;
    const auto found = j->read_group(0, back);
    CHECK(found.damage == "");
    CHECK(found.last >= promised);
  }

  TEST_CASE("no room for a new directory, and none left of it") {
    small_disk disk("1m");
    if (!disk.ok) return;
    auto o = small_options(disk.path() / "data");
    o.recycled_bytes = 8u << 20;
    const auto error = open_error(o);
    CHECK(contains(error, "cannot create the journal"));
    CHECK(contains(error, "make room"));
    CHECK(!std::filesystem::exists(o.directory / "journal.mdb.new"));
    CHECK(!std::filesystem::exists(o.directory / "journal.mdb"));
    o.recycled_bytes = 0;
    CHECK(open_error(o) == "(opened)");
    occupy(disk.path(), 0);
    CHECK(open_error(o) == "(opened)");
    o.directory = disk.path() / "second";
    CHECK(contains(open_error(o), "make room"));
  }

  TEST_CASE("a read-only file system is named") {
    small_disk disk("8m");
    if (!disk.ok) return;
    auto o = small_options(disk.path() / "data");
    CHECK(open_error(o) == "(opened)");
    REQUIRE(disk.remount_read_only(true));
    CHECK(contains(open_error(o), "read-only"));
    o.directory = disk.path() / "other";
    CHECK(contains(open_error(o), "read-only"));
    REQUIRE(disk.remount_read_only(false));
    o.directory = disk.path() / "data";
    CHECK(open_error(o) == "(opened)");
  }

  TEST_CASE("the quota stops promises, and trimming brings them back") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.quota_bytes = 2u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    journal_position p = 0;
    do {
      for (int i = 0; i < 20; ++i) REQUIRE(put(*j, batch_op(++p, 5000)));
    } while (!w.trouble_before(p) && p < 2000);
    REQUIRE(w.wait_trouble(trouble::kind::full));
    CHECK(p > 200);
    CHECK(p < 600);
    CHECK(contains(w.troubles().back().text, "quota of 2 MiB"));
    REQUIRE(put(*j, {++p, persist_trim{p - 10}}));
    REQUIRE(w.wait_trouble(trouble::kind::resumed));
    REQUIRE(w.wait_durable(p));
    const auto size = j->stats().file_bytes;
    for (int i = 0; i < 20; ++i) REQUIRE(put(*j, batch_op(++p, 5000)));
    REQUIRE(w.wait_durable(p));
    // Trimming goes on in slices, so a few pages more may be taken before it has freed what it will.
    CHECK(j->stats().file_bytes <= size + (128u << 10));
  }

  TEST_CASE("a queue that nobody empties is refused, for good") {
    no_fault restore;
    temporary_directory where;
    auto o = small_options(where.path());
    o.queue_bytes_max = 1u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    disk::inject(disk::fault::no_space);
    journal_position p = 0;
    bool taken = true;
    while (taken && p < 1000) taken = put(*j, batch_op(++p, 10'000));
    CHECK(p < 150);
    CHECK(!taken);
    REQUIRE(w.wait_trouble(trouble::kind::fatal));
    CHECK(contains(w.troubles().back().text, "wait for the disk"));
    CHECK(!put(*j, batch_op(p, 10)));
    CHECK(w.durable() == 0);
    disk::inject(disk::fault::none);
    std::string why;
    CHECK(checkpoint(*j, 5, "x", &why) == 0);
    CHECK(why != "");
  }

  TEST_CASE("a queue that refused something takes nothing behind it, not even what would fit") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.queue_bytes_max = 1u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    bool large = true, small = true;
    disk::record();
    disk::during_next_flush([&] {  // the journal's thread is here, so it cannot have noticed
      large = put(*j, batch_op(2, 2u << 20));
      small = put(*j, batch_op(2, 10));
    });
    REQUIRE(put(*j, batch_op(1, 10)));
    REQUIRE(w.wait_trouble(trouble::kind::fatal));
    disk::stop();
    CHECK(!large);
    CHECK(!small);
    CHECK(w.durable() <= 1);
  }

  TEST_CASE("a late flush that fails promises nothing of the commit before it") {
    no_fault restore;
    temporary_directory where;
    auto o = small_options(where.path());
    o.mode = durability::one_flush;
    witness w;
    auto j = reopen(o, w.calls());
    disk::record();
    disk::during_next_flush([] { disk::inject(disk::fault::flush_fails); });  // from the one after it
    REQUIRE(put(*j, batch_op(1, 100)));
    REQUIRE(w.wait_trouble(trouble::kind::fatal));
    disk::stop();
    CHECK(contains(w.troubles().back().text, "flush"));
    CHECK(w.durable() == 0);
    CHECK(!put(*j, batch_op(2, 100)));
  }

  TEST_CASE("a failed flush ends the journal at once; a restart reads what the disk has") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      no_fault restore;
      temporary_directory where;
      auto o = small_options(where.path());
      o.mode = mode;
      journal_position promised = 0;
      {
        witness w;
        auto j = reopen(o, w.calls());
        for (journal_position p = 1; p <= 10; ++p) REQUIRE(put(*j, batch_op(p, 100)));
        REQUIRE(w.wait_durable(10));
        disk::inject(disk::fault::flush_fails);
        REQUIRE(put(*j, batch_op(11, 100)));
        REQUIRE(w.wait_trouble(trouble::kind::fatal));
        CHECK(contains(w.troubles().back().text, "restart the node"));
        disk::inject(disk::fault::none);
        CHECK(!put(*j, batch_op(12, 100)));  // well again or not: what was written is unknown
        promised = w.durable();
        CHECK(promised == 10);
        CHECK(j->stats().trouble != "");
      }
      auto j = reopen(o);
      contents back;
      const auto found = j->read_group(0, back);
      CHECK(found.damage == "");
      CHECK(found.last >= promised);
    }
  }

  TEST_CASE("an error of the disk that is not for want of room is fatal") {
    no_fault restore;
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    disk::inject(disk::fault::write_fails);
    REQUIRE(put(*j, batch_op(1, 100)));
    REQUIRE(w.wait_trouble(trouble::kind::fatal));
    CHECK(w.durable() == 0);
  }
}
