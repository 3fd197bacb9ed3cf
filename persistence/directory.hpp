#pragma once

#include "persistence/store.hpp"

#include <map>

namespace cohort::persistence {

/// The exclusive lock on a data directory; given up when destroyed, or with the process however that ends.
class directory_lock {
public:
  directory_lock() = default;
  ~directory_lock();
  directory_lock(directory_lock&& other) noexcept;
  directory_lock& operator=(directory_lock&& other) noexcept;

  /// Empty, or why not.
  std::string take(const std::filesystem::path& directory, const std::string& node);

private:
  int fd_ = -1;
};

/// Makes the directory with those above it, each entry flushed. Empty, or why not.
std::string make_directory(const std::filesystem::path& directory);
/// Flushes the entries of a directory. 0, or why not (errno).
int flush_directory(const std::filesystem::path& directory);

/// Makes the directory (if absent) and, if it holds no data file, a complete one. Empty, or why not.
std::string prepare(const options& wanted, directory_lock& lock);

/// Whether the data file may be written to. Empty, or why not.
std::string check_writable(const std::filesystem::path& directory);

/// Checks length and structure of the data file before anybody maps it. Empty, or the damage.
std::string inspect_file(const std::filesystem::path& file, inspection& found);

/// Who owns the file and which groups live in it.
struct tenants {
  persistence::identity owner;
  std::map<std::uint32_t, layout::group_record> groups;
  bool other_format = false;  ///< nothing is broken, but this program cannot read on
};
/// Empty, or the damage.
std::string read_tenants(store& from, const std::filesystem::path& file, tenants& out);

/// Compares with what the caller wants to run. Empty, or which node, group or epoch the directory belongs to instead.
std::string admit(const options& wanted, const tenants& found);
/// The same for one group, by its number alone.
std::string admit(const std::filesystem::path& directory, const group_options& wanted, const tenants& found);
/// Whether what is there of the group is to be forgotten.
bool renews(const group_options& wanted, const group_options& known);

/// One checkpoint of the file. Incomplete ones have no head.
struct stored_checkpoint {
  std::uint32_t group = 0;
  log_index index = 0;
  bool complete = false;
  checkpoint_info info;
  std::string damage;  ///< of the head, or chunks missing
};
std::vector<stored_checkpoint> list_checkpoints(store& from);
/// Empty if the group's newest checkpoint, which `e` knows of, is whole; or the damage. Older ones are only spares.
std::string check_newest(const std::vector<stored_checkpoint>& found, std::uint32_t group, const layout::extent& e);

/// Reads one verified chunk with its header; empty and `damage` set (if the chunk should be there) otherwise.
std::vector<std::byte> read_chunk(store& from, const layout::chunk_key& key, std::string& damage);

/// Verifies and decodes a group's state and records in order. Empty, or the damage. `seen` counts.
struct scan_counts {
  std::uint64_t records = 0;
  protocol::journal_position last = 0;
};
std::string scan_state(store& from, std::uint32_t group, std::optional<protocol::hard_state>& out);
std::string scan_records(store& from, std::uint32_t group, scan_counts& seen,
                         const std::function<std::string(const protocol::persist_op&)>& visit);

/// Text of a damage: what, where, and what to do about it.
std::string damage_text(const std::filesystem::path& file, const std::string& what);

}  // namespace cohort::persistence
