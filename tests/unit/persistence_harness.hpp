#pragma once

#include "persistence/journal.hpp"
#include "tests/unit/persistence_samples.hpp"

#include <doctest/doctest.h>

#include <stdlib.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

namespace cohort::persistence::samples {

using namespace std::chrono_literals;

/// A directory of its own, removed at the end.
class temporary_directory {
public:
  explicit temporary_directory(std::filesystem::path below = std::filesystem::temp_directory_path()) {
    std::string name = (below / "cohort-journal-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

inline options small_options(const std::filesystem::path& directory) {
  options o;
  o.directory = directory;
  o.node = "n1";
  o.groups = {{0, "kv", 1, false}};
  o.recycled_bytes = 0;
  return o;
}

/// Remembers what the journal reported, and waits for it.
class witness {
public:
  callbacks calls() {
    return {[this](std::uint32_t group, protocol::journal_position up_to) {
              const std::lock_guard lock(mutex_);
              durable_[group] = up_to;
              changed_.notify_all();
            },
            [this](const trouble& t) {
              const std::lock_guard lock(mutex_);
              troubles_.push_back(t);
              changed_.notify_all();
            }};
  }
  bool wait_durable(protocol::journal_position up_to, std::uint32_t group = 0) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return durable_[group] >= up_to; });
  }
  bool wait_trouble(trouble::kind what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return !troubles_.empty() && troubles_.back().what == what; });
  }
  /// True if there was trouble before that position was durable.
  bool trouble_before(protocol::journal_position up_to) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 20s, [&] { return durable_[0] >= up_to || !troubles_.empty(); }));
    return durable_[0] < up_to;
  }
  protocol::journal_position durable(std::uint32_t group = 0) {
    const std::lock_guard lock(mutex_);
    return durable_[group];
  }
  std::vector<trouble> troubles() {
    const std::lock_guard lock(mutex_);
    return troubles_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint32_t, protocol::journal_position> durable_;
  std::vector<trouble> troubles_;
};

/// A group as read back: records as they are encoded, which is what must be the same.
struct contents final : recovery_reader {
  std::optional<protocol::mark> mark;
  std::uint32_t chunks = 0;
  std::optional<protocol::hard_state> hard_state;
  std::map<protocol::journal_position, std::vector<std::byte>> records;

  void checkpoint(const protocol::mark& at, std::uint32_t n) override {
    mark = at;
    chunks = n;
  }
  void state(const protocol::hard_state& what) override { hard_state = what; }
  bool record(const protocol::persist_op& op) override {
    std::vector<std::byte> bytes(protocol::record_bytes(op));
    protocol::encode_record(0, op, checksum, bytes);
    records[op.position] = std::move(bytes);
    return true;
  }
  std::string why() const override { return {}; }
};

inline std::vector<std::byte> encoded(const protocol::persist_op& op) {
  std::vector<std::byte> bytes(protocol::record_bytes(op));
  protocol::encode_record(0, op, checksum, bytes);
  return bytes;
}

/// A batch of one message of `size` bytes that depend on the position.
inline protocol::persist_op batch_op(protocol::journal_position position, std::size_t size) {
  std::string text(size, '\0');
  std::uint64_t random = position;
  for (auto& c : text) c = static_cast<char>((random = random * 6364136223846793005u + 1442695040888963407u) >> 56);
  return {position, protocol::persist_batch{sample_batch(position, {text}, member_id{1}, 5)}};
}

inline bool put(journal& j, protocol::persist_op op, std::uint32_t group = 0) {
  return j.append(group, std::span(&op, 1));
}

inline std::string bytes_text(const protocol::payload& p) {
  return {reinterpret_cast<const char*>(p.blob.data()), p.blob.size()};
}

inline std::unique_ptr<journal> reopen(const options& o, callbacks calls = {}) {
  auto result = open(o, std::move(calls));
  REQUIRE_MESSAGE(result.opened, result.error);
  return std::move(result.opened);
}

inline std::string open_error(const options& o) {
  auto result = open(o, {});
  return result.opened ? std::string("(opened)") : result.error;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Stores a checkpoint of `text` and returns the number of chunks, 0 on failure.
inline std::uint32_t checkpoint(journal& j, log_index index, const std::string& text, std::string* why = nullptr,
                                std::uint32_t group = 0, bool on_disk = true) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::uint32_t> result;
  auto writer = j.store_checkpoint(group, sample_mark(index), on_disk);
  writer->write(std::as_bytes(std::span(text)));
  writer->finish([&](std::uint32_t chunks, const std::string& error) {
    const std::lock_guard lock(mutex);
    result = chunks;
    if (why) *why = error;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  REQUIRE(changed.wait_for(lock, 60s, [&] { return result.has_value(); }));
  return *result;
}

inline std::string state_of(journal& j, log_index index, std::uint32_t chunks, std::uint32_t group = 0) {
  std::string text, damage;
  for (std::uint32_t n = 1; n <= chunks; ++n) text += bytes_text(j.load_chunk(group, index, n, &damage));
  CHECK(damage == "");
  return text;
}

}  // namespace cohort::persistence::samples
