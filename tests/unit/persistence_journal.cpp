#include "persistence/directory.hpp"
#include "tests/unit/persistence_disk.hpp"
#include "tests/unit/persistence_harness.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence;
using namespace cohort::persistence::samples;

TEST_SUITE("journal") {
  TEST_CASE("what was appended comes back in order after reopening") {
    for (const auto mode : {durability::sync, durability::one_flush}) {
      temporary_directory where;
      auto o = small_options(where.path() / "new" / "deep");
      o.mode = mode;
      std::map<journal_position, std::vector<std::byte>> expected;
      std::uint64_t directory_id = 0;
      {
        witness w;
        auto j = reopen(o, w.calls());
        directory_id = j->identity().directory_id;
        CHECK(directory_id != 0);
        contents nothing;
        const auto found = j->read_group(0, nothing);
        CHECK(found.blank);
        CHECK(!found.founded);
        CHECK(found.damage == "");
        std::vector<persist_op> ops;
        journal_position at = 0;
        // From inline values to several pages; 4048 and 4080 are the edges of one page.
        for (const std::size_t size : {0, 1, 100, 2000, 2100, 3900, 4000, 4004, 4005, 4048, 4080, 8200, 70'000, 300'000})
          ops.push_back(batch_op(++at, size));
        ops.push_back({++at, persist_entry{sample_entry(1, 1)}});
        ops.push_back({++at, persist_entry{sample_view_entry(2, 1)}});
        ops.push_back({++at, persist_state{sample_state(7)}});
        ops.push_back({++at, persist_truncate{2}});
        for (const auto& op : ops)
          if (!std::holds_alternative<persist_state>(op.what)) expected[op.position] = encoded(op);
        REQUIRE(j->append(0, ops));
        REQUIRE(w.wait_durable(at));
        CHECK(w.durable() == at);
      }
      auto j = reopen(o);
      CHECK(j->identity().directory_id == directory_id);
      CHECK(j->identity().node == "n1");
      contents back;
      const auto found = j->read_group(0, back);
      CHECK(found.damage == "");
      CHECK(!found.blank);
      CHECK(found.records == expected.size());
      CHECK(found.last == expected.rbegin()->first);
      CHECK(back.records == expected);
      REQUIRE(back.hard_state);
      CHECK(back.hard_state->term == 7);
      CHECK(!back.mark);
      j.reset();
      const auto v = verify(o.directory);
      CHECK(v.damage == "");
      CHECK(v.records == expected.size());
    }
  }

  TEST_CASE("a batch and the order that follows it at once share a commit; a batch alone does not wait for one") {
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    constexpr int rounds = 100;
    journal_position p = 0;
    const auto before = j->stats().commits;
    for (log_index i = 1; i <= rounds; ++i) {
      REQUIRE(put(*j, batch_op(++p, 100)));
      REQUIRE(put(*j, {++p, persist_entry{sample_entry(i, 1)}}));
      REQUIRE(w.wait_durable(p));
    }
    CHECK(j->stats().commits - before < rounds * 3 / 2);  // now and then a machine is too busy for it
    REQUIRE(put(*j, batch_op(++p, 100)));
    CHECK(w.wait_durable(p));
  }

  TEST_CASE("recovery goes on behind the newest record although the last operations were none") {
    temporary_directory where;
    const auto o = small_options(where.path());
    for (int round = 0; round < 3; ++round) {
      witness w;
      auto j = reopen(o, w.calls());
      contents back;
      const auto found = j->read_group(0, back);
      CHECK(found.damage == "");
      CHECK(found.last == static_cast<journal_position>(round));
      REQUIRE(put(*j, batch_op(found.last + 1, 10)));
      REQUIRE(put(*j, {found.last + 2, persist_state{sample_state(1)}}));
      REQUIRE(put(*j, {found.last + 3, persist_trim{1}}));
      REQUIRE(w.wait_durable(found.last + 3));
    }
  }

  TEST_CASE("several groups share the file and are trimmed apart") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.groups.push_back({5, "other", 3, false});
    {
      witness w;
      auto j = reopen(o, w.calls());
      for (journal_position p = 1; p <= 3000; ++p) {
        REQUIRE(put(*j, batch_op(p, 50)));
        if (p <= 10) REQUIRE(put(*j, batch_op(p, 50), 5));
      }
      REQUIRE(put(*j, {3001, persist_trim{2990}}));
      REQUIRE(w.wait_durable(3001));
      REQUIRE(w.wait_durable(10, 5));
    }
    for (int i = 0; i < 2; ++i) {
      auto j = reopen(o);
      contents first, second;
      CHECK(j->read_group(0, first).damage == "");
      CHECK(j->read_group(5, second).damage == "");
      CHECK(second.records.size() == 10);
      // Trimming rides in slices of 1000 rows; what is left when the journal closes lingers until the next trim.
      CHECK(first.records.rbegin()->first == 3000);
      CHECK(first.records.size() <= 3000);
    }
  }

  TEST_CASE("trimming leaves exactly what was not trimmed, whatever the size of the records") {
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    for (journal_position p = 1; p <= 5000; ++p) REQUIRE(put(*j, batch_op(p, p % 7 == 0 ? 20'000 : 40)));
    REQUIRE(put(*j, {5001, persist_trim{4900}}));
    journal_position p = 5002;
    // Each wait makes at least one commit, and each commit trims a slice.
    for (int i = 0; i < 40; ++i, ++p) {
      REQUIRE(put(*j, batch_op(p, 10)));
      REQUIRE(w.wait_durable(p));
    }
    contents back;
    CHECK(j->read_group(0, back).damage == "");
    CHECK(back.records.begin()->first == 4900);
    CHECK(back.records.rbegin()->first == p - 1);
    CHECK(back.records.size() == 101 + 40);
  }

  TEST_CASE("trimming in slices never leaves the tail of a record") {
    temporary_directory where;
    const auto o = small_options(where.path());
    {
      witness w;
      auto j = reopen(o, w.calls());
      for (journal_position p = 1; p <= 5; ++p) REQUIRE(put(*j, batch_op(p, 50'000)));  // 13 rows each
      REQUIRE(w.wait_durable(5));
    }
    store s(o.directory / "journal.mdb", durability::sync, 1u << 24, 1u << 24, false);
    for (int slice = 0; slice < 10; ++slice) {
      s.begin();
      s.trim(0, 5, 4);
      s.commit();
      scan_counts seen;
      CHECK(scan_records(s, 0, seen, [](const persist_op&) { return std::string(); }) == "");
      CHECK(seen.last == 5);
    }
    CHECK(s.extent(0)->first == 5);
  }

  TEST_CASE("the file does not grow for ever") {
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    journal_position p = 0;
    std::uint64_t after_two = 0;
    for (int cycle = 0; cycle < 10; ++cycle) {
      const auto from = p + 1;
      for (int i = 0; i < 2500; ++i) {
        ++p;
        // Small records, whole pages and 64 KiB batches mixed: what fragments free space.
        REQUIRE(put(*j, batch_op(p, p % 50 == 0 ? 65'000 : p % 11 == 0 ? 3000 : 120)));
        if (i % 100 == 99) REQUIRE(w.wait_durable(p));
      }
      REQUIRE(checkpoint(*j, static_cast<log_index>(cycle + 1), std::string(3'000'000, 'c')) == 12);
      REQUIRE(put(*j, {++p, persist_trim{from}}));  // keeps this cycle's records, drops those of the one before
      for (int i = 0; i < 8; ++i) {
        REQUIRE(put(*j, batch_op(++p, 10)));
        REQUIRE(w.wait_durable(p));
      }
      if (cycle == 3) after_two = j->stats().file_bytes;
    }
    const auto s = j->stats();
    MESSAGE("file after 4 cycles " << (after_two >> 10) << " KiB, after 10 cycles " << (s.file_bytes >> 10) << " KiB");
    CHECK(s.file_bytes <= after_two + after_two / 10);
    CHECK(s.used_bytes <= s.file_bytes);
    CHECK(s.commits > 0);
    CHECK(s.commit_p50 > 0ns);
    CHECK(s.commit_p99 >= s.commit_p50);
    CHECK(s.trouble == "");
  }

  TEST_CASE("checkpoints: written in chunks, the newest two kept, unfinished ones forgotten") {
    temporary_directory where;
    const auto o = small_options(where.path());
    std::string big(1'500'000, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
    {
      auto j = reopen(o);
      CHECK(!j->newest_checkpoint(0));
      REQUIRE(checkpoint(*j, 10, big) == 6);
      REQUIRE(checkpoint(*j, 20, "") == 1);  // an empty state is one empty chunk
      CHECK(j->newest_checkpoint(0)->at.index == 20);
      CHECK(state_of(*j, 10, 6) == big);
      CHECK(state_of(*j, 20, 1) == "");
      REQUIRE(checkpoint(*j, 30, big + "x") == 6);
      CHECK(j->load_chunk(0, 10, 1).blob.empty());
      CHECK(state_of(*j, 30, 6) == big + "x");
      // The same index again: the one that is there stays.
      REQUIRE(checkpoint(*j, 30, "other") == 6);
      CHECK(state_of(*j, 30, 6) == big + "x");
      auto dropped = j->store_checkpoint(0, sample_mark(40));
      dropped->write(std::as_bytes(std::span(big)));
      dropped.reset();
      {
        // What is left of a large one takes several commits to go; a new one of the same index must not go with it.
        std::string large(12u << 20, 'l');
        auto given_up = j->store_checkpoint(0, sample_mark(25));
        given_up->write(std::as_bytes(std::span(large)));
        given_up.reset();
        large.assign(large.size(), 'm');
        const auto chunks = checkpoint(*j, 25, large);
        CHECK(chunks == 48);
        CHECK(state_of(*j, 25, chunks) == large);
      }
      auto unfinished = j->store_checkpoint(0, sample_mark(50));
      unfinished->write(std::as_bytes(std::span(big)));
      j.reset();
      CHECK(unfinished->failed());
      unfinished->write(std::as_bytes(std::span(big)));  // after the journal's end: taken and forgotten
      std::string why;
      unfinished->finish([&](std::uint32_t chunks, const std::string& error) {
        CHECK(chunks == 0);
        why = error;
      });
      CHECK(contains(why, "closed"));
    }
    CHECK(verify(o.directory).checkpoints == 2);
    auto j = reopen(o);
    contents back;
    CHECK(j->read_group(0, back).damage == "");
    REQUIRE(back.mark);
    CHECK(back.mark->index == 30);
    CHECK(back.chunks == 6);
    CHECK(state_of(*j, 30, 6) == big + "x");
    mark head;
    std::uint32_t chunks = 0;
    const auto first = j->load_chunk(0, 30, 0);
    REQUIRE(decode_mark(first.blob, checksum, head, chunks) == record_error::none);
    CHECK(chunks == 6);
    CHECK(head.index == 30);
    CHECK(first.sizes.size() == 1);
    CHECK(first.sizes[0] == first.blob.size());
  }

  TEST_CASE("received checkpoints: chunks and install in the stream of operations") {
    for (const bool is_volatile : {false, true}) {
      temporary_directory where;
      auto o = small_options(where.path());
      o.groups[0].is_volatile = is_volatile;
      {
        witness w;
        auto j = reopen(o, w.calls());
        journal_position p = 0;
        const auto next = [&] { return is_volatile ? 0 : ++p; };  // no position: kept in memory
        REQUIRE(put(*j, {next(), persist_chunk{70, 1, sample_payload({"of a transfer given up"})}}));
        REQUIRE(put(*j, {next(), persist_chunk{80, 2, sample_payload({"world"})}}));
        REQUIRE(put(*j, {next(), persist_chunk{80, 1, sample_payload({std::string(10'000, 'h')})}}));
        CHECK(!j->newest_checkpoint(0));
        REQUIRE(put(*j, {next(), persist_install{sample_mark(80), 2}}));
        if (!is_volatile) REQUIRE(w.wait_durable(p));
        REQUIRE(j->newest_checkpoint(0));
        CHECK(j->newest_checkpoint(0)->at.index == 80);
        CHECK(state_of(*j, 80, 2) == std::string(10'000, 'h') + "world");
        CHECK(checkpoint(*j, 90, "own", nullptr, 0, !is_volatile) == 1);
        CHECK(state_of(*j, 90, 1) == "own");
        bool founded = false;
        std::mutex m;
        std::condition_variable c;
        j->mark_founded(0, [&] {
          const std::lock_guard lock(m);
          founded = true;
          c.notify_all();
        });
        std::unique_lock lock(m);
        REQUIRE(c.wait_for(lock, 20s, [&] { return founded; }));
      }
      auto j = reopen(o);
      contents back;
      const auto found = j->read_group(0, back);
      CHECK(found.founded);
      CHECK(found.blank == is_volatile);
      CHECK(back.mark.has_value() == !is_volatile);
      CHECK(j->newest_checkpoint(0).has_value() == !is_volatile);
      if (is_volatile) {
        j.reset();
        o.groups[0].epoch = 2;  // --new-epoch: the group may be founded again
        j = reopen(o);
        CHECK(!j->read_group(0, back).founded);
      } else {
        CHECK(back.mark->index == 90);
        CHECK(back.records.size() == 1);  // the install
      }
    }
  }

  TEST_CASE("X3: a group moves to the disk, to memory and back; what was given up does not come again") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.groups[0].is_volatile = true;
    const auto said = [](journal_position valid_from) {
      auto s = sample_state(7);
      s.valid_from = valid_from;
      s.identity = 99;
      return persist_state{s};
    };
    {
      witness w;
      auto j = reopen(o, w.calls());
      CHECK(checkpoint(*j, 40, "in memory", nullptr, 0, false) == 1);
      REQUIRE(put(*j, {1, persist_trim{1}}));
      REQUIRE(put(*j, {2, said(0)}));
      REQUIRE(put(*j, {3, persist_entry{sample_entry(41, 3)}}));
      CHECK(checkpoint(*j, 40, "on disk") == 1);  // the same state, and now it has to last
      CHECK(state_of(*j, 40, 1) == "on disk");
      REQUIRE(put(*j, {4, said(1)}));
      REQUIRE(w.wait_durable(4));
    }
    {
      witness w;
      auto j = reopen(o, w.calls());
      contents back;
      const auto found = j->read_group(0, back);
      CHECK(!found.blank);
      CHECK(found.records == 1);
      REQUIRE(back.hard_state);
      CHECK(back.hard_state->identity == 99);
      CHECK(back.hard_state->valid_from == 1);
      REQUIRE(back.mark);
      CHECK(back.mark->index == 40);
      REQUIRE(put(*j, {found.last + 1, said(0)}));
      REQUIRE(w.wait_durable(found.last + 1));
      for (const log_index at : {50, 60, 70}) CHECK(checkpoint(*j, at, "in memory", nullptr, 0, false) == 1);
    }
    for (int starts = 0; starts < 2; ++starts) {
      auto j = reopen(o);
      contents back;
      CHECK(j->read_group(0, back).damage == "");
      CHECK(!back.mark);
      CHECK(!j->newest_checkpoint(0));
      REQUIRE(back.hard_state);
      CHECK(back.hard_state->valid_from == 0);
    }
    o.groups[0].epoch = 2;
    auto j = reopen(o);
    contents back;
    CHECK(j->read_group(0, back).blank);
  }

  TEST_CASE("what is given up at the opening counts no more, and is not founded again") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.groups.push_back({1, "other", 1, false});
    auto promised = sample_state(7);
    promised.valid_from = 1;
    {
      witness w;
      auto j = reopen(o, w.calls());
      for (const std::uint32_t group : {0u, 1u}) {
        auto state = persist_op{1, persist_state{promised}};
        auto entry = persist_op{2, persist_entry{sample_entry(41, 3)}};
        for (auto* op : {&state, &entry}) REQUIRE(j->append(group, std::span(op, 1)));
        REQUIRE(w.wait_durable(2, group));
      }
      CHECK(checkpoint(*j, 40, "a state") == 1);
    }
    o.give_up = {0, 17};  // the other one is not there
    for (int starts = 0; starts < 2; ++starts) {
      {
        auto j = reopen(o);
        contents back, untouched;
        const auto found = j->read_group(0, back);
        CHECK(found.damage == "");
        CHECK(found.founded);
        CHECK(found.records == 0);
        CHECK(!back.mark);
        CHECK(!j->newest_checkpoint(0));
        REQUIRE(back.hard_state);
        CHECK(back.hard_state->valid_from == 0);
        CHECK(j->read_group(1, untouched).records == 1);
        REQUIRE(untouched.hard_state);
        CHECK(untouched.hard_state->valid_from == 1);
      }
      CHECK(verify(where.path()).damage == "");
      o.give_up.clear();
    }
    // It goes on from there as the directory of another host does.
    witness w;
    auto j = reopen(o, w.calls());
    promised.identity = 99;
    REQUIRE(put(*j, {1, persist_state{promised}}));
    REQUIRE(put(*j, {2, persist_entry{sample_entry(1, 3)}}));
    REQUIRE(w.wait_durable(2));
    j.reset();
    contents back;
    CHECK(reopen(o)->read_group(0, back).records == 1);
    CHECK(back.hard_state->identity == 99);
  }

  TEST_CASE("X3: a configuration follows its group; a larger epoch throws nothing away that counts") {
    temporary_directory where;
    auto o = small_options(where.path());
    const auto state = [](journal_position at, journal_position valid_from) {
      auto s = sample_state(7);
      s.valid_from = valid_from;
      return protocol::persist_op{at, persist_state{s}};
    };
    REQUIRE(sample_state(7).base.in_force);
    {
      witness w;
      auto j = reopen(o, w.calls());
      REQUIRE(put(*j, state(1, 1)));
      REQUIRE(w.wait_durable(1));
    }
    o.groups[0].is_volatile = true;
    o.groups[0].epoch = 2;
    CHECK(contains(open_error(o), "epoch 2 would throw that away; start with epoch 1"));
    o.groups[0].epoch = 1;
    {
      witness w;
      auto j = reopen(o, w.calls());
      contents back;
      CHECK(!j->read_group(0, back).blank);
      REQUIRE(put(*j, state(2, 0)));
      REQUIRE(w.wait_durable(2));
    }
    o.groups[0].epoch = 2;
    for (int starts = 0; starts < 2; ++starts) {
      auto j = reopen(o);
      contents back;
      CHECK(j->read_group(0, back).blank);
    }
  }

  TEST_CASE("a directory of another node, group, epoch or format is refused with a reason") {
    temporary_directory where;
    const auto o = small_options(where.path());
    reopen(o);
    auto other = o;
    other.node = "n2";
    CHECK(contains(open_error(other), "belongs to node \"n1\", not to \"n2\""));
    other = o;
    other.groups[0].name = "orders";
    CHECK(contains(open_error(other), "belongs to group \"kv\", not to \"orders\""));
    {
      temporary_directory in_memory;
      other = small_options(in_memory.path());
      other.groups[0].is_volatile = true;
      other.groups[0].epoch = 2;
      reopen(other);
      other.groups[0].epoch = 1;
      CHECK(contains(open_error(other), "holds epoch 2 of group \"kv\", not epoch 1"));
    }
    other = o;
    other.groups = {{1, "kv", 1, false}};
    CHECK(contains(open_error(other), "under number 0, not 1"));
    other = o;
    other.node = "";
    CHECK(contains(open_error(other), "name must have 1 to 255 bytes"));
    CHECK(open_error(o) == "(opened)");
    const auto nothing = verify(where.path() / "absent");
    CHECK(contains(nothing.damage, "no such directory"));
    CHECK(!nothing.checked);
    std::filesystem::create_directory(where.path() / "empty");
    CHECK(contains(verify(where.path() / "empty").damage, "holds no journal"));
    const auto sound = verify(o.directory);
    CHECK((sound.checked && sound.damage.empty()));
    CHECK(sound.owner.node == o.node);
    REQUIRE(sound.groups.size() == 1);
    CHECK(sound.groups[0].group.name == "kv");
    CHECK(sound.groups[0].records == sound.records);
  }

  TEST_CASE("a new directory is there for good: every entry on the way to it is flushed") {
    temporary_directory where;
    (void)disk::flushed_directories();
    const auto o = small_options(where.path() / "below" / "it" / "data");
    reopen(o);
    const auto flushed = disk::flushed_directories();
    for (auto d = o.directory; d != where.path().parent_path(); d = d.parent_path()) {
      CAPTURE(d.string());
      CHECK(std::ranges::count(flushed, d.string()) > 0);
    }
  }

  TEST_CASE("a directory is open once") {
    temporary_directory where;
    const auto o = small_options(where.path());
    auto j = reopen(o);
    const auto error = open_error(o);
    CHECK(contains(error, "already open in process " + std::to_string(::getpid()) + " (node \"n1\")"));
    CHECK(contains(verify(o.directory).damage, "already open"));
    j.reset();
    CHECK(open_error(o) == "(opened)");
  }

  TEST_CASE("a path that cannot be a directory") {
    temporary_directory where;
    auto o = small_options(where.path() / "file" / "below");
    std::ofstream(where.path() / "file") << "text";
    CHECK(contains(open_error(o), "cannot create it"));
    o.directory = where.path() / "file";
    CHECK(open_error(o) != "(opened)");
  }

  TEST_CASE("a file cut short, or of zeros, is told and not mapped") {
    temporary_directory where;
    const auto o = small_options(where.path());
    {
      witness w;
      auto j = reopen(o, w.calls());
      for (journal_position p = 1; p <= 100; ++p) REQUIRE(put(*j, batch_op(p, 1000)));
      REQUIRE(w.wait_durable(100));
    }
    const auto file = o.directory / "journal.mdb";
    const auto size = std::filesystem::file_size(file);
    for (auto left = size - 4096;; left = left / 2) {
      std::filesystem::resize_file(file, left);
      const auto error = open_error(o);
      CHECK(contains(error, "is damaged"));
      CHECK(contains(error, "move the data directory away"));
      CHECK(verify(o.directory).damage != "");
      if (left == 0) break;
    }
    std::filesystem::resize_file(file, size);
    CHECK(contains(open_error(o), "is damaged"));
  }

  TEST_CASE("a leftover of an interrupted creation is replaced") {
    temporary_directory where;
    const auto o = small_options(where.path());
    std::ofstream(where.path() / "journal.mdb.new") << "half a file";
    CHECK(open_error(o) == "(opened)");
    CHECK(!std::filesystem::exists(where.path() / "journal.mdb.new"));
  }

  TEST_CASE("pre-recycled pages keep the file from growing") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.recycled_bytes = 4u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    const auto before = j->stats().file_bytes;
    CHECK(before >= o.recycled_bytes);
    CHECK(j->stats().used_bytes < before / 4);
    for (journal_position p = 1; p <= 1000; ++p) REQUIRE(put(*j, batch_op(p, 1000)));
    REQUIRE(w.wait_durable(1000));
    CHECK(j->stats().file_bytes == before);
  }

  TEST_CASE("the map grows when a small one is full") {
    temporary_directory where;
    auto o = small_options(where.path());
    o.map_bytes = 1u << 20;
    witness w;
    auto j = reopen(o, w.calls());
    // open() leaves 64 MiB of room above the file; fill beyond that.
    for (journal_position p = 1; p <= 100; ++p) REQUIRE(put(*j, batch_op(p, 1'000'000)));
    REQUIRE(w.wait_durable(100));
    CHECK(w.troubles().empty());
    CHECK(j->stats().map_bytes > (100u << 20));
  }

  TEST_CASE("threads: appending, checkpoints, loading and figures at once") {
    temporary_directory where;
    const auto o = small_options(where.path());
    witness w;
    auto j = reopen(o, w.calls());
    std::atomic<bool> stop = false;
    REQUIRE(checkpoint(*j, 1, std::string(600'000, 'a')) == 3);
    std::thread reader([&] {
      while (!stop) {
        if (const auto c = j->newest_checkpoint(0))
          for (std::uint32_t n = 0; n <= c->chunks; ++n) {
            std::string damage;
            j->load_chunk(0, c->at.index, n, &damage);
            if (!damage.empty()) stop = true;
          }
        (void)j->stats();
      }
    });
    std::thread checkpoints([&] {
      for (log_index i = 2; i < 12; ++i) checkpoint(*j, i, std::string(600'000, static_cast<char>('a' + i)));
    });
    for (journal_position p = 1; p <= 20'000; ++p) {
      REQUIRE(put(*j, batch_op(p, 100)));
      if (p % 2000 == 0) REQUIRE(w.wait_durable(p));
    }
    checkpoints.join();
    CHECK(!stop);
    stop = true;
    reader.join();
    CHECK(j->newest_checkpoint(0)->at.index == 11);
    CHECK(state_of(*j, 11, 3) == std::string(600'000, static_cast<char>('a' + 11)));
  }
}
