#include "persistence/directory.hpp"
#include "tests/unit/persistence_harness.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <utility>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

namespace {

/// A directory with a bit of everything, in at most 64 KiB.
void fill(const options& o) {
  witness w;
  auto j = reopen(o, w.calls());
  journal_position p = 0;
  REQUIRE(put(*j, {++p, persist_state{sample_state(3)}}));
  REQUIRE(put(*j, {++p, persist_entry{sample_view_entry(1, 1)}}));
  for (int i = 0; i < 10; ++i) {
    REQUIRE(put(*j, batch_op(++p, 60)));
    REQUIRE(put(*j, {p + 1, persist_entry{sample_entry(p, 2)}}));
    ++p;
  }
  REQUIRE(put(*j, batch_op(++p, 5000)));
  REQUIRE(w.wait_durable(p));
  REQUIRE(checkpoint(*j, 5, std::string(3000, 'c')) == 1);
  REQUIRE(put(*j, {++p, persist_truncate{15}}));
  REQUIRE(put(*j, {++p, persist_trim{4}}));
  REQUIRE(w.wait_durable(p));
}

/// Everything the directory promises to hold, or why it says that it does not. Through the same functions as `open`.
std::string everything(const std::filesystem::path& directory, bool& damaged) {
  const auto file = directory / "journal.mdb";
  std::ostringstream out;
  inspection found;
  damaged = true;
  if (auto error = inspect_file(file, found); !error.empty()) return error;
  try {
    store s(file, durability::sync, 1u << 20, 1u << 20, false);
    tenants who;
    if (auto error = read_tenants(s, file, who); !error.empty()) return error;
    out << who.owner.directory_id << who.owner.node;
    const auto listed = list_checkpoints(s);
    for (const auto& [index, g] : who.groups) {
      if (auto error = check_newest(listed, index, *s.extent(index)); !error.empty()) return error;
      out << index << g.group.name << g.group.epoch << g.group.is_volatile << g.founded;
      std::optional<hard_state> state;
      if (auto error = scan_state(s, index, state); !error.empty()) return error;
      std::vector<std::byte> bytes;
      if (state) bytes = encoded({1, persist_state{*state}});
      scan_counts seen;
      auto error = scan_records(s, index, seen, [&](const persist_op& op) {
        const auto e = encoded(op);
        bytes.insert(bytes.end(), e.begin(), e.end());
        return std::string();
      });
      if (!error.empty()) return error;
      out << checksum(bytes, bytes.size());
    }
    for (const auto& c : listed) {
      if (!c.complete) continue;
      if (!c.damage.empty()) return c.damage;
      out << c.index << c.info.chunks;
      for (std::uint32_t n = 1; n <= c.info.chunks; ++n) {
        std::string error;
        const auto bytes = read_chunk(s, {c.group, c.index, n, 0}, error);
        if (!error.empty()) return error;
        out << checksum(bytes, n);
      }
    }
  } catch (const store_failure& f) {
    return f.text();
  }
  damaged = false;
  return out.str();
}

struct tally {
  std::uint32_t damaged = 0, harmless = 0, bad_at = 0;
  bool bad = false;
};

/// Flips bytes [from, to) of the file one by one, each with the mask for its place. In a process of its own, so that an
/// abort or SIGBUS is a result and not the end of the test.
tally flip_range(const std::filesystem::path& directory, const char* name, std::size_t from, std::size_t to,
                 const std::string& sound, unsigned mask, bool& crashed, std::size_t step = 1) {
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    tally t;
    const int fd = ::open((directory / name).c_str(), O_RDWR);
    for (std::size_t at = from; fd >= 0 && at < to && !t.bad; at += step) {
      unsigned char byte = 0;
      if (::pread(fd, &byte, 1, static_cast<off_t>(at)) != 1) _exit(2);
      const unsigned char wrong = static_cast<unsigned char>(byte ^ (mask != 0 ? mask : 1u << (at * 5 + at / 8) % 8));
      if (::pwrite(fd, &wrong, 1, static_cast<off_t>(at)) != 1) _exit(2);
      bool damaged = false;
      const auto found = everything(directory, damaged);
      ++(damaged ? t.damaged : t.harmless);
      if (!damaged && found != sound) {
        t.bad = true;
        t.bad_at = static_cast<std::uint32_t>(at);
      }
      if (::pwrite(fd, &byte, 1, static_cast<off_t>(at)) != 1) _exit(2);
    }
    _exit(fd >= 0 && ::write(pipe_ends[1], &t, sizeof t) == sizeof t ? 0 : 2);
  }
  ::close(pipe_ends[1]);
  tally t;
  const bool told = ::read(pipe_ends[0], &t, sizeof t) == sizeof t;
  ::close(pipe_ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  crashed = !told || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  return t;
}

/// A database of a closed journal, to be changed behind its back as a bug or a stale block would: for LMDB all is well.
/// With `sign` the commit record is that of the new transaction, as if the journal had done it.
class tampering {
public:
  tampering(const std::filesystem::path& file, const char* database, bool integer) {
    REQUIRE(mdb_env_create(&env_) == 0);
    mdb_env_set_maxdbs(env_, layout::groups_max + 8);
    mdb_env_set_mapsize(env_, 1u << 24);
    REQUIRE(mdb_env_open(env_, file.c_str(), MDB_NOSUBDIR, 0640) == 0);
    REQUIRE(mdb_txn_begin(env_, nullptr, 0, &txn_) == 0);
    REQUIRE(mdb_dbi_open(txn_, nullptr, 0, &main_) == 0);
    REQUIRE(mdb_dbi_open(txn_, database, integer ? MDB_INTEGERKEY : 0, &dbi_) == 0);
  }
  ~tampering() {
    if (env_) mdb_env_close(env_);
  }
  void commit(bool sign) {
    MDB_val key{layout::commit_key.size(), const_cast<char*>(layout::commit_key.data())}, value{};
    REQUIRE(mdb_get(txn_, main_, &key, &value) == 0);
    layout::commit_record r;
    REQUIRE(layout::decode({static_cast<const std::byte*>(value.mv_data), value.mv_size}, r));
    r.transaction = mdb_txn_id(txn_);
    std::vector<std::byte> bytes;
    layout::encode(r, bytes);
    value = {bytes.size(), bytes.data()};
    if (sign) REQUIRE(mdb_put(txn_, main_, &key, &value, 0) == 0);
    REQUIRE(mdb_txn_commit(txn_) == 0);
    mdb_env_close(std::exchange(env_, nullptr));  // a process may have a file open once
  }
  void erase(std::span<const std::byte> key) {
    MDB_val k{key.size(), const_cast<std::byte*>(key.data())};
    REQUIRE(mdb_del(txn_, dbi_, &k, nullptr) == 0);
  }
  std::vector<std::byte> get(std::span<const std::byte> key) {
    MDB_val k{key.size(), const_cast<std::byte*>(key.data())}, v{};
    REQUIRE(mdb_get(txn_, dbi_, &k, &v) == 0);
    const auto* from = static_cast<const std::byte*>(v.mv_data);
    return {from, from + v.mv_size};
  }
  void put(std::span<const std::byte> key, std::span<const std::byte> value) {
    MDB_val k{key.size(), const_cast<std::byte*>(key.data())}, v{value.size(), const_cast<std::byte*>(value.data())};
    REQUIRE(mdb_put(txn_, dbi_, &k, &v, 0) == 0);
  }

private:
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  MDB_dbi main_ = 0, dbi_ = 0;
};

std::filesystem::path memory_directory() {
  return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
}

}  // namespace

TEST_SUITE("damage") {
  TEST_CASE("every byte of a small directory flipped: told, or proven harmless") {
    temporary_directory where(memory_directory());
    const auto o = small_options(where.path());
    fill(o);
    const auto size = std::filesystem::file_size(o.directory / "journal.mdb");
    REQUIRE(size <= 96 * 1024);  // it takes half a second for each KiB
    bool damaged = true;
    const auto sound = everything(o.directory, damaged);
    REQUIRE_MESSAGE(!damaged, sound);
    CHECK(verify(o.directory).damage == "");
    tally sum;
    std::size_t flips = 0;
    // One changing bit of every byte, then all bits of every eighth.
    for (const unsigned mask : {0u, 0xffu}) {
      const std::size_t step = mask == 0 ? 1 : 8;
      flips += size / step;
      for (std::size_t from = 0; from < size; from += 4096) {
        bool crashed = false;
        const auto t = flip_range(o.directory, "journal.mdb", from, std::min<std::size_t>(from + 4096, size), sound, mask,
                                  crashed, step);
        CAPTURE(from);
        CAPTURE(mask);
        CHECK(!crashed);
        CHECK_MESSAGE(!t.bad, "unnoticed: the contents changed with the byte at " << t.bad_at);
        sum.damaged += t.damaged;
        sum.harmless += t.harmless;
      }
    }
    MESSAGE(size << " bytes: " << sum.damaged << " told, " << sum.harmless << " proven harmless");
    CHECK(sum.damaged + sum.harmless == flips);
    CHECK(sum.damaged > size / 8);
    CHECK(everything(o.directory, damaged) == sound);
  }

  TEST_CASE("a journal goes on soundly after a flip that was proven harmless") {
    temporary_directory where(memory_directory());
    const auto o = small_options(where.path() / "first");
    fill(o);
    const auto file = o.directory / "journal.mdb";
    std::string image;
    {
      std::ifstream in(file, std::ios::binary);
      image.assign(std::istreambuf_iterator<char>(in), {});
    }
    int tried = 0;
    for (std::size_t at = 5; at < image.size(); at += 487) {
      auto flipped = image;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
      std::ofstream(file, std::ios::binary | std::ios::trunc).write(flipped.data(), static_cast<std::streamsize>(flipped.size()));
      bool damaged = false;
      (void)everything(o.directory, damaged);
      if (damaged) continue;
      ++tried;
      CAPTURE(at);
      {
        witness w;
        auto j = reopen(o, w.calls());
        contents back;
        auto p = j->read_group(0, back).last;
        for (int i = 0; i < 3; ++i) {
          for (int n = 0; n < 20; ++n) REQUIRE(put(*j, batch_op(++p, n % 5 == 0 ? 9000 : 200)));
          REQUIRE(w.wait_durable(p));
        }
        REQUIRE(put(*j, {p + 1, persist_trim{p - 20}}));
        REQUIRE(put(*j, batch_op(p + 2, 1)));
        REQUIRE(w.wait_durable(p + 2));
        REQUIRE(checkpoint(*j, 60, std::string(20'000, 'z')) == 1);
      }
      CHECK(verify(o.directory).damage == "");
    }
    CHECK(tried > 20);
  }

  TEST_CASE("the lock files hold nothing that matters") {
    temporary_directory where(memory_directory());
    const auto o = small_options(where.path());
    fill(o);
    bool damaged = true;
    const auto sound = everything(o.directory, damaged);
    REQUIRE(!damaged);
    for (const char* name : {"journal.mdb-lock", "lock"}) {
      const auto size = std::filesystem::file_size(o.directory / name);
      const auto head = std::min<std::size_t>(size, 512);
      for (const auto& [from, to, step] : {std::array{std::size_t{0}, head, std::size_t{1}}, {head, size, std::size_t{61}}}) {
        bool crashed = false;
        const auto t = flip_range(o.directory, name, from, to, sound, 0xff, crashed, step);
        CAPTURE(name);
        CHECK(!crashed);
        CHECK(!t.bad);
        CHECK(t.damaged == 0);
      }
    }
  }

  TEST_CASE("damage keeps a node from opening or from reading, with a text that says where") {
    temporary_directory where(memory_directory());
    const auto o = small_options(where.path());
    fill(o);
    const auto file = o.directory / "journal.mdb";
    std::string image;
    {
      std::ifstream in(file, std::ios::binary);
      image.assign(std::istreambuf_iterator<char>(in), {});
    }
    const auto write = [&](const std::string& bytes) {
      std::ofstream(file, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    };
    SUBCASE("a page of zeros, for which LMDB would abort the process") {
      int refused = 0;
      for (std::size_t page = 0; page < image.size() / 4096; ++page) {
        auto broken = image;
        std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(page * 4096), 4096, '\0');
        write(broken);
        auto result = open(o, {});
        contents back;
        if (!result.opened) {
          CHECK(contains(result.error, "is damaged: page "));
          ++refused;
        }
      }
      CHECK(refused >= 6);
    }
    SUBCASE("a bit in a payload, which LMDB returns as if it were sound") {
      // The message of 5000 bytes: find its pattern well inside a page.
      const auto op = batch_op(23, 5000);
      const auto& blob = std::get<persist_batch>(op.what).what.what.blob;
      const std::string needle(reinterpret_cast<const char*>(blob.data()) + 2000, 512);
      int copies = 0;  // free pages may hold stale ones
      for (auto at = image.find(needle); at != std::string::npos; at = image.find(needle, at + 1), ++copies)
        image[at + 100] = static_cast<char>(image[at + 100] ^ 4);
      REQUIRE(copies > 0);
      write(image);
      auto j = reopen(o);
      contents back;
      const auto found = j->read_group(0, back);
      CAPTURE(found.damage);
      CHECK(contains(found.damage, "record at position 23 of group 0: bad checksum"));
      CHECK(contains(found.damage, "move the data directory away"));
      j.reset();
      CHECK(contains(verify(o.directory).damage, "position 23"));
    }
    SUBCASE("a bit in a checkpoint's chunk") {
      int copies = 0;
      for (auto at = image.find(std::string(1000, 'c')); at != std::string::npos;
           at = image.find(std::string(1000, 'c'), at), ++copies)
        image[at + 500] = 'd';
      REQUIRE(copies > 0);
      write(image);
      auto j = reopen(o);
      std::string damage;
      CHECK(j->load_chunk(0, 5, 1, &damage).blob.empty());
      CHECK(contains(damage, "chunk 1 of the checkpoint at log index 5 has a bad checksum"));
      j.reset();
      CHECK(contains(verify(o.directory).damage, "chunk 1"));
    }
    SUBCASE("the newest meta page gone back to an older transaction number") {
      std::uint64_t numbers[2];
      for (int i = 0; i < 2; ++i) std::memcpy(&numbers[i], image.data() + i * 4096 + 16 + 24 + 96 + 8, 8);
      const int newest = numbers[1] > numbers[0];
      numbers[newest] -= 2;
      std::memcpy(image.data() + newest * 4096 + 16 + 24 + 96 + 8, &numbers[newest], 8);
      write(image);
      CHECK(contains(open_error(o), "commit record"));
    }
    SUBCASE("a later format") {
      layout::owner_record owner{layout::format_version + 1, {7, "n1"}};
      {
        store s(file, durability::sync, 1u << 20, 1u << 20, false);
        s.begin();
        s.put_owner(owner);
        s.commit();
      }
      CHECK(contains(open_error(o), "has format version 2, this program knows version 1"));
    }
  }

  TEST_CASE("what is sound in itself, but missing or in another's place, is told") {
    temporary_directory where(memory_directory());
    const auto o = small_options(where.path());
    constexpr journal_position last = 8;
    {
      witness w;
      auto j = reopen(o, w.calls());
      for (journal_position p = 1; p <= last; ++p) REQUIRE(put(*j, batch_op(p, 60)));
      REQUIRE(w.wait_durable(last));
      REQUIRE(checkpoint(*j, 5, std::string(chunk_bytes + 10, 'a')) == 2);
      REQUIRE(checkpoint(*j, 6, std::string(chunk_bytes + 10, 'b')) == 2);
    }
    const auto file = o.directory / "journal.mdb";
    const auto key_of = [](journal_position p) {
      const auto row = layout::row_key(p, 0);
      const auto bytes = std::as_bytes(std::span(&row, 1));
      return std::vector<std::byte>(bytes.begin(), bytes.end());
    };
    const auto damage_of_records = [&] {
      auto j = reopen(o);
      contents back;
      return j->read_group(0, back).damage;
    };
    const auto journal_name = layout::journal_database(0);
    SUBCASE("the first record") {
      tampering t(file, journal_name.c_str(), true);
      t.erase(key_of(1));
      t.commit(true);
      CHECK(contains(damage_of_records(), "records are missing"));
    }
    SUBCASE("the last record") {
      tampering t(file, journal_name.c_str(), true);
      t.erase(key_of(last));
      t.commit(true);
      CHECK(contains(damage_of_records(), "7 rows up to position 7 instead of 8 up to 8"));
    }
    SUBCASE("another group's record") {
      auto op = batch_op(4, 60);
      std::vector<std::byte> foreign(record_bytes(op));
      encode_record(1, op, checksum, foreign);
      tampering t(file, journal_name.c_str(), true);
      t.put(key_of(4), foreign);
      t.commit(true);
      CHECK(contains(damage_of_records(), "belongs to group 1"));
    }
    SUBCASE("the record of another position") {
      tampering t(file, journal_name.c_str(), true);
      t.put(key_of(4), t.get(key_of(3)));
      t.commit(true);
      CHECK(contains(damage_of_records(), "wrong position"));
    }
    SUBCASE("another checkpoint's chunk") {
      {
        tampering t(file, layout::checkpoint_database, false);
        t.put(layout::encode(layout::chunk_key{0, 6, 2, 0}), t.get(layout::encode(layout::chunk_key{0, 5, 2, 0})));
        t.commit(true);
      }
      auto j = reopen(o);
      std::string damage;
      CHECK(j->load_chunk(0, 6, 2, &damage).blob.empty());
      CHECK(contains(damage, "chunk 2 of the checkpoint at log index 6 has a bad checksum"));
    }
    SUBCASE("a chunk of the newest checkpoint") {
      tampering t(file, layout::checkpoint_database, false);
      t.erase(layout::encode(layout::chunk_key{0, 6, 2, 0}));
      t.commit(true);
      CHECK(contains(damage_of_records(), "has 1 of its 2 chunks"));
    }
    SUBCASE("all checkpoints") {
      {
        store s(file, durability::sync, 1u << 24, 1u << 24, false);
        s.begin();
        for (const log_index index : {5, 6}) s.drop_checkpoint(0, index, 1000);
        s.commit();
      }
      CHECK(contains(damage_of_records(), "the checkpoint at log index 6 of group 0 is missing"));
    }
    SUBCASE("the commit record of another transaction") {
      tampering t(file, journal_name.c_str(), true);
      t.put(key_of(4), t.get(key_of(4)));
      t.commit(false);
      CHECK(contains(open_error(o), "the newest transaction has no sound commit record"));
    }
  }
}
