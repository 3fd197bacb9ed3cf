#include "persistence/directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cohort::persistence {
namespace {

std::string quoted(const std::string& text) { return '"' + text + '"'; }

std::string system_error(const std::filesystem::path& where, const std::string& what, int code) {
  std::string hint;
  if (code == EACCES || code == EPERM) hint = "; give this user write permission there or choose another directory";
  if (code == EROFS) hint = "; the file system is read-only: remount it or choose another directory";
  if (code == ENOSPC || code == EDQUOT) hint = "; make room on that file system or choose another directory";
  if (code == ENOTDIR) hint = "; a part of the path is a file: choose another directory";
  return "data directory " + where.string() + ": cannot " + what + ": " + std::strerror(code) + hint;
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0)
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  return id;
}

/// Writes a complete data file under another name and renames it: a crash leaves either no data file or a whole one.
std::string format(const options& wanted) {
  const auto& directory = wanted.directory;
  const auto temporary = directory / layout::new_file;
  const auto temporary_lock = temporary.string() + "-lock";
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  std::filesystem::remove(temporary_lock, ignored);
  try {
    store s(temporary, durability::sync, std::max<std::size_t>(2 * wanted.recycled_bytes, 64u << 20), wanted.map_bytes,
            true);
    if (wanted.recycled_bytes > 0) s.recycle(wanted.recycled_bytes);
    s.begin();
    s.put_owner({layout::format_version, {random_id(), wanted.node}});
    s.commit();
    s.flush();
  } catch (const store_failure& f) {
    std::filesystem::remove(temporary, ignored);
    std::filesystem::remove(temporary_lock, ignored);
    const bool full = f.is_full() || f.code == EIO;
    return "data directory " + directory.string() + ": cannot create the journal: " + f.text() +
           (full ? "; make room on that file system (" + std::to_string((wanted.recycled_bytes >> 20) + 1) +
                     " MiB to begin with) or choose another directory"
                 : "");
  }
  if (::rename(temporary.c_str(), (directory / layout::data_file).c_str()) != 0)
    return system_error(directory, "rename the new journal", errno);
  std::filesystem::remove(temporary_lock, ignored);
  if (const int failed = flush_directory(directory)) return system_error(directory, "flush it", failed);
  return {};
}

}  // namespace

/// A new directory entry is only there for good when the directory itself was flushed.
int flush_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return code;
}

std::string make_directory(const std::filesystem::path& directory) {
  std::error_code code;
  if (std::filesystem::is_directory(directory, code)) return {};
  std::vector<std::filesystem::path> changed;  // each directory above that gets a new entry, not only the nearest one
  for (auto p = std::filesystem::absolute(directory, code); !std::filesystem::is_directory(p, code) && p.has_relative_path();
       p = p.parent_path())
    changed.push_back(p.parent_path());
  if (!std::filesystem::create_directories(directory, code) && code)
    return system_error(directory, "create it", code.value());
  for (const auto& parent : changed)
    if (const int failed = flush_directory(parent)) return system_error(parent, "flush it", failed);
  return {};
}

directory_lock::~directory_lock() {
  if (fd_ >= 0) ::close(fd_);
}
directory_lock::directory_lock(directory_lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
directory_lock& directory_lock::operator=(directory_lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

std::string directory_lock::take(const std::filesystem::path& directory, const std::string& node) {
  const auto path = directory / layout::lock_file;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return system_error(directory, "open its lock file", errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    char holder[512] = {};
    const auto n = ::pread(fd, holder, sizeof holder - 1, 0);
    ::close(fd);
    if (code != EWOULDBLOCK) return system_error(directory, "lock it", code);
    return "data directory " + directory.string() + " is already open" +
           (n > 0 ? " in " + std::string(holder) : std::string()) +
           "; stop that process, or give this node a directory of its own";
  }
  // Who holds it, for the message above; the lock itself does not depend on it.
  const std::string who = "process " + std::to_string(::getpid()) + " (node " + quoted(node) + ")";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, who.data(), who.size(), 0) != static_cast<ssize_t>(who.size())) {
    const int code = errno;
    if (code != ENOSPC && code != EDQUOT) {
      ::close(fd);
      return system_error(directory, "write its lock file", code);
    }
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  return {};
}

std::string prepare(const options& wanted, directory_lock& lock) {
  if (auto error = make_directory(wanted.directory); !error.empty()) return error;
  if (auto error = lock.take(wanted.directory, wanted.node); !error.empty()) return error;
  const auto file = wanted.directory / layout::data_file;
  std::error_code code;
  if (!std::filesystem::exists(file, code)) {
    if (code) return system_error(wanted.directory, "look into it", code.value());
    return format(wanted);
  }
  return check_writable(wanted.directory);
}

std::string check_writable(const std::filesystem::path& directory) {
  const int fd = ::open((directory / layout::data_file).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return system_error(directory, std::string("open ") + layout::data_file + " for writing", errno);
  ::close(fd);
  return {};
}

std::string damage_text(const std::filesystem::path& file, const std::string& what) {
  return "journal " + file.string() + " is damaged: " + what +
         "; do not serve from it: check the disk, then move the data directory away and start the node with an empty "
         "one, so that it takes the group's state from the other members";
}

std::string inspect_file(const std::filesystem::path& file, inspection& found) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(file.parent_path(), std::string("open ") + layout::data_file, errno);
  found = inspect(fd, layout::commit_key, layout::facts);
  ::close(fd);
  return found.damage.empty() ? std::string() : damage_text(file, found.damage);
}

std::string read_tenants(store& from, const std::filesystem::path& file, tenants& out) {
  store::reader r(from);
  layout::owner_record owner;
  if (!layout::decode(r.owner(), owner)) return damage_text(file, "its owner record is missing or broken");
  out.other_format = owner.version != layout::format_version;
  if (out.other_format)
    return "journal " + file.string() + " has format version " + std::to_string(owner.version) +
           ", this program knows version " + std::to_string(layout::format_version) +
           "; start the program that wrote it, or give this one an empty directory";
  out.owner = owner.who;
  std::string broken;
  r.node_values([&](std::string_view key, std::span<const std::byte> value) {
    if (key == layout::owner_key) return;
    layout::group_record g;
    if (!layout::decode(value, g) || key != layout::group_key(g.group.index))
      broken = "the record of " + std::string(key) + " is broken";
    else
      out.groups[g.group.index] = g;
  });
  if (broken.empty()) {
    const auto commit = r.commit();
    for (std::uint32_t g = 0; g < layout::groups_max; ++g) {
      const auto& e = commit.extents[g];
      if (out.groups.contains(g) != e.has_value() || (e && !e->journaled && !out.groups[g].group.is_volatile))
        broken = "group " + std::to_string(g) + " is not what its journal says";
    }
  }
  return broken.empty() ? std::string() : damage_text(file, broken);
}

std::string admit(const options& wanted, const tenants& found) {
  const std::string where = "data directory " + wanted.directory.string();
  if (found.owner.node != wanted.node)
    return where + " belongs to node " + quoted(found.owner.node) + ", not to " + quoted(wanted.node) +
           "; correct the node's name or give it a directory of its own";
  for (const auto& g : wanted.groups) {
    if (auto error = admit(wanted.directory, g, found); !error.empty()) return error;
    if (found.groups.contains(g.index)) continue;
    for (const auto& [index, other] : found.groups)
      if (other.group.name == g.name && !other.leaves)
        return where + " holds group " + quoted(g.name) + " under number " + std::to_string(index) + ", not " +
               std::to_string(g.index) + "; keep the order of the groups";
  }
  return {};
}

std::string admit(const std::filesystem::path& directory, const group_options& wanted, const tenants& found) {
  const std::string where = "data directory " + directory.string();
  const auto it = found.groups.find(wanted.index);
  if (it == found.groups.end()) return {};
  const auto& known = it->second.group;
  if (it->second.leaves)
    return where + " still holds parts of group " + quoted(known.name) + " under number " + std::to_string(known.index) +
           ", which was deleted; give the other group another number";
  if (known.name != wanted.name)
    return where + " belongs to group " + quoted(known.name) + ", not to " + quoted(wanted.name) +
           "; correct the group's name or choose another directory";
  const bool older = wanted.is_volatile && wanted.epoch < known.epoch;
  const bool another = !wanted.is_volatile && !known.is_volatile && wanted.epoch != known.epoch;
  if (older || another)
    return where + " holds epoch " + std::to_string(known.epoch) + " of group " + quoted(wanted.name) + ", not epoch " +
           std::to_string(wanted.epoch) + "; start with that epoch, or choose another directory";
  return {};
}

bool renews(const group_options& wanted, const group_options& known) {
  return wanted.name == known.name && wanted.is_volatile && wanted.epoch > known.epoch;
}

std::vector<stored_checkpoint> list_checkpoints(store& from) {
  std::vector<stored_checkpoint> found;
  std::uint64_t chunks = 0;
  const auto close_last = [&] {
    if (found.empty() || !found.back().complete || !found.back().damage.empty()) return;
    if (chunks < found.back().info.chunks)
      found.back().damage = "the checkpoint at log index " + std::to_string(found.back().index) + " has " +
                            std::to_string(chunks) + " of its " + std::to_string(found.back().info.chunks) + " chunks";
  };
  store::reader r(from);
  r.chunks([&](const layout::chunk_key& k) {
    if (found.empty() || found.back().group != k.group || found.back().index != k.index) {
      close_last();
      found.push_back({k.group, k.index, false, {}, {}});
      chunks = 0;
    }
    auto& c = found.back();
    if (k.number != 0) {
      chunks += k.number == chunks + 1;
      return true;
    }
    c.complete = true;
    const auto head = r.chunk(k);
    if (head.empty() || !layout::chunk_sound(k, head) ||
        protocol::decode_mark(std::span(head).subspan(layout::chunk_header_bytes), checksum, c.info.at, c.info.chunks) !=
          protocol::record_error::none ||
        c.info.at.index != k.index)
      c.damage = "the head of the checkpoint at log index " + std::to_string(k.index) + " is broken";
    return true;
  });
  close_last();
  return found;
}

std::string check_newest(const std::vector<stored_checkpoint>& found, std::uint32_t group, const layout::extent& e) {
  if (!e.has_checkpoint) return {};
  const stored_checkpoint* newest = nullptr;
  for (const auto& c : found)
    if (c.group == group && c.complete) newest = &c;
  if (newest && newest->index == e.checkpoint) return newest->damage;
  return "the checkpoint at log index " + std::to_string(e.checkpoint) + " of group " + std::to_string(group) +
         " is missing";
}

std::vector<std::byte> read_chunk(store& from, const layout::chunk_key& key, std::string& damage) {
  store::reader r(from);
  auto bytes = r.chunk(key);
  if (!bytes.empty() && layout::chunk_sound(key, bytes)) return bytes;
  damage = "chunk " + std::to_string(key.number) + " of the checkpoint at log index " + std::to_string(key.index) +
           (bytes.empty() ? " is missing" : " has a bad checksum");
  return {};
}

std::string scan_state(store& from, std::uint32_t group, std::optional<protocol::hard_state>& out) {
  store::reader r(from);
  const auto bytes = r.state(group);
  const auto extent = r.commit().extents[group];
  if (bytes.empty() && extent && extent->has_state) return "the state of group " + std::to_string(group) + " is missing";
  if (bytes.empty()) return {};
  protocol::decoded_record record;
  protocol::journal_position position = 0;
  if (bytes.size() >= protocol::record_header_bytes) std::memcpy(&position, bytes.data() + 8, sizeof position);
  const auto error = protocol::decode_record(bytes, position, checksum, record);
  const auto* state = std::get_if<protocol::persist_state>(&record.op.what);
  if (error != protocol::record_error::none || !state || record.group != group)
    return "the state of group " + std::to_string(group) + ": " + protocol::to_string(error);
  out = state->what;
  return {};
}

std::string scan_records(store& from, std::uint32_t group, scan_counts& seen,
                         const std::function<std::string(const protocol::persist_op&)>& visit) {
  // In slices, each its own read transaction: a long one would keep every page from being used again.
  constexpr std::uint64_t slice = 4096;
  layout::extent extent;
  std::vector<std::byte> joined;
  std::uint64_t next = 0, rows = 0;
  std::string damage;
  const auto at = [&](protocol::journal_position p) {
    return "record at position " + std::to_string(p) + " of group " + std::to_string(group) + ": ";
  };
  const auto finish_record = [&](protocol::journal_position position, std::span<const std::byte> bytes) {
    protocol::decoded_record record;
    const auto error = protocol::decode_record(bytes, position, checksum, record);
    if (error != protocol::record_error::none) return at(position) + protocol::to_string(error);
    if (record.group != group) return at(position) + "belongs to group " + std::to_string(record.group);
    if (seen.records++ == 0 && position != extent.first) return at(position) + "is not the first, records are missing";
    seen.last = position;
    auto refused = visit(record.op);
    return refused.empty() ? refused : at(position) + refused;
  };
  for (bool more = true; more && damage.empty();) {
    more = false;
    store::reader r(from);
    const auto commit = r.commit();
    if (!commit.extents[group] || !commit.extents[group]->journaled) return {};
    extent = *commit.extents[group];
    const auto stop_at = seen.records + slice;
    r.rows(group, next, [&](std::uint64_t key, std::span<const std::byte> value) {
      const auto position = layout::position_of(key);
      if (joined.empty() && seen.records >= stop_at) {
        next = key;
        more = true;
        return false;
      }
      if (layout::piece_of(key) != 0 ? joined.empty() || key != next : !joined.empty()) {
        damage = at(position) + "pieces are missing";
        return false;
      }
      ++rows;
      next = key + 1;
      const std::size_t total = protocol::record_length(joined.empty() ? value : std::span<const std::byte>(joined));
      if (joined.empty() && value.size() == total) {
        damage = finish_record(position, value);
      } else {
        joined.insert(joined.end(), value.begin(), value.end());
        if (joined.size() >= total) {
          damage = finish_record(position, joined);
          joined.clear();
        }
      }
      return damage.empty();
    });
  }
  if (!damage.empty()) return damage;
  if (!joined.empty()) return at(layout::position_of(next)) + "pieces are missing";
  if (rows != extent.rows || seen.last != extent.last)
    return "group " + std::to_string(group) + " has " + std::to_string(rows) + " rows up to position " +
           std::to_string(seen.last) + " instead of " + std::to_string(extent.rows) + " up to " +
           std::to_string(extent.last);
  return {};
}

}  // namespace cohort::persistence
