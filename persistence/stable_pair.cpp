#include "persistence/stable_pair.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cohort::persistence {
namespace {

constexpr std::size_t damage_max = 100;

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0)
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  return id;
}

/// Calls with each key that is in one of the two or in both, in order.
template <class Visit>
void merge(stable_copy::reader& a, stable_copy::reader& b, Visit visit) {
  stable_walk x(a, {}), y(b, {});
  while (!x.at_end() || !y.at_end()) {
    const int c = x.at_end() ? 1 : y.at_end() ? -1 : x.key().compare(y.key());
    using maybe = std::optional<std::string_view>;
    visit(c <= 0 ? x.key() : y.key(), c <= 0 ? maybe(x.stored()) : maybe(), c >= 0 ? maybe(y.stored()) : maybe());
    if (c <= 0) x.next();
    if (c >= 0) y.next();
  }
}

}  // namespace

std::string stable_pair::open() {
  const bool mirrored = !options_.mirror.empty();
  std::array<bool, 2> exists{}, usable{};
  const std::array<std::filesystem::path, 2> where{options_.directory, options_.mirror};
  const auto file = [&](std::size_t i) { return where[i] / stable_layout::data_file; };
  std::string damage;
  for (std::size_t i = 0; i < 1u + mirrored; ++i) {
    if (auto error = open_directory(where[i], i, exists[i]); !error.empty()) return error;
    if (!exists[i]) continue;
    const auto found = inspect_copy(file(i), usable[i]);
    if (!found.empty() && !usable[i]) damage += (damage.empty() ? "" : "; ") + found;
  }
  const bool none_usable = !usable[0] && !usable[1];
  if (none_usable && !damage.empty())
    return damage + "; put back a sound copy of the file, or move it away to begin with empty storage";
  const bool fresh = none_usable;
  const auto id = fresh ? random_id() : 0;
  for (std::size_t i = 0; i < 1u + mirrored; ++i) {
    if (usable[i]) {
      copies_[i] = std::make_unique<stable_copy>(file(i), options_.map_bytes);
      continue;
    }
    std::uint64_t of = id;
    if (!fresh) {
      stable_copy other(file(1 - i), options_.map_bytes);
      of = stable_copy::reader(other).commit().id;
    }
    if (exists[i]) {  // broken: kept for those who want to know why
      auto aside = file(i);
      aside += ".damaged";
      if (::rename(file(i).c_str(), aside.c_str()) != 0)
        return file(i).string() + " cannot be moved aside: " + std::strerror(errno);
    }
    stable_copy::create(file(i), of, options_.map_bytes);
    copies_[i] = std::make_unique<stable_copy>(file(i), options_.map_bytes);
  }
  if (mirrored) {
    const auto a = stable_copy::reader(copy(0)).commit(), b = stable_copy::reader(copy(1)).commit();
    if (a.id != b.id)
      return "stable storage: " + file(0).string() + " and " + file(1).string() +
             " do not belong together; correct the mirror's path, or move away the one that is not this node's";
  }
  const auto found = scrub();
  if (!damage.empty()) trouble = damage + "; it was made anew from the other copy, check that disk";
  if (found.damage.empty()) return {};
  for (std::size_t i = 0; i < count(); ++i)
    if (examine(copy(i)).complete()) {
      if (trouble.empty())
        trouble = found.damage.front() + "; its readers are told so. Put back a sound copy of the file";
      return {};
    }
  return found.damage.front() + "; put back a sound copy of the file, or move it away to begin with empty storage";
}

std::string stable_pair::open_directory(const std::filesystem::path& directory, std::size_t i, bool& exists) {
  if (auto error = make_directory(directory); !error.empty()) return error;
  if (auto error = locks_[i].take(directory, "stable storage"); !error.empty()) return error;
  std::error_code code;
  exists = std::filesystem::exists(directory / stable_layout::data_file, code);
  return code ? "stable storage: cannot look into " + directory.string() + ": " + code.message() : std::string();
}

std::string stable_pair::inspect_copy(const std::filesystem::path& file, bool& usable) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return "stable storage " + file.string() + " cannot be opened: " + std::strerror(errno);
  std::uint32_t other_format = 0;
  const auto found = inspect(fd, stable_layout::commit_key, [&](std::span<const std::byte> bytes) {
    const auto r = stable_layout::decode_commit({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (r && r->format != stable_layout::format_version) other_format = r->format;
    return stable_layout::facts(bytes);
  });
  ::close(fd);
  usable = found.damage.empty() && other_format == 0;
  if (usable) return {};
  if (other_format != 0)
    return "stable storage " + file.string() + " has format version " + std::to_string(other_format) +
           ", this program knows version " + std::to_string(stable_layout::format_version) +
           "; start the program that wrote it";
  return "stable storage " + file.string() + " is damaged: " + found.damage;
}

bool stable_pair::drop(std::size_t i) {
  if (count() == 1) return false;
  if (i == 0) std::swap(copies_[0], copies_[1]);
  retired_ = std::move(copies_[1]);
  return true;
}

stable_pair::state_of_copy stable_pair::examine(stable_copy& c) {
  stable_copy::reader r(c);
  state_of_copy s;
  s.commit = r.commit();
  for (stable_walk w(r, {}); !w.at_end(); w.next()) {
    ++s.records;
    if (const auto sound = stable_layout::decode(w.key(), w.stored())) {
      s.sum += sound->sum;
      continue;
    }
    s.broken.emplace_back(w.key());
    std::uint64_t stored = 0;  // what it should be, if the rot is not in these bytes
    if (w.stored().size() >= sizeof stored) std::memcpy(&stored, w.stored().data(), sizeof stored);
    s.sum += stored;
  }
  return s;
}

stable_scrub stable_pair::scrub() {
  stable_scrub result;
  std::array<state_of_copy, 2> s;
  std::string bad_file;
  for (std::size_t i = 0; i < count(); ++i) {
    bool usable = false;
    // The structure first: LMDB believes what it reads.
    if (const auto found = inspect_copy(copy(i).file(), usable); !usable) {
      bad_file = found;
      break;
    }
    s[i] = examine(copy(i));
    result.records += s[i].records;
  }
  if (!bad_file.empty()) {
    result.damage.push_back(bad_file +
                            (count() == 2 ? "; restart the node, which makes it anew from the other copy" : ""));
    return result;
  }
  const std::size_t best = count() == 2 && s[1].commit.serial > s[0].commit.serial ? 1 : 0;
  newest_ = s[best].commit;
  bool whole = s[best].whole();
  if (count() == 2 && whole) {
    result.repaired = equalise(copy(best), copy(1 - best));
  } else if (count() == 2 && s[1 - best].whole() && s[1 - best].commit.serial == newest_.serial) {
    result.repaired = equalise(copy(1 - best), copy(best));
    whole = true;
  } else if (count() == 2) {
    result.repaired = unite(newest_, whole);
  }
  if (whole) return result;
  for (std::size_t i = 0; i < count(); ++i) {
    const auto now = examine(copy(i));
    const auto where = "stable storage " + copy(i).file().string() + ": ";
    for (const auto& key : now.broken)
      if (result.damage.size() < damage_max)
        result.damage.push_back(where + stable_layout::describe(key) + " has a bad checksum");
    if (now.broken.empty() && !now.whole())
      result.damage.push_back(where + "its " + std::to_string(now.records) + " records are not the " +
                              std::to_string(now.commit.records) + " that were committed: some are lost or old");
  }
  return result;
}

std::uint64_t stable_pair::equalise(stable_copy& from, stable_copy& to) {
  std::uint64_t different = 0;
  stable_copy::reader a(from), b(to);
  const auto goal = a.commit(), now = b.commit();
  to.begin();
  try {
    merge(a, b,
          [&](std::string_view key, std::optional<std::string_view> wanted, std::optional<std::string_view> found) {
            if (wanted == found) return;
            ++different;
            if (wanted)
              to.put(key, *wanted);
            else
              to.erase(key);
          });
  } catch (...) {
    to.abort();
    throw;
  }
  if (different == 0 && goal.serial == now.serial && goal.sum == now.sum && goal.records == now.records)
    to.abort();
  else
    to.commit(goal);
  return different;
}

std::uint64_t stable_pair::unite(const stable_layout::commit_record& goal, bool& whole) {
  struct fix {
    std::size_t in = 0;
    std::string key, stored;
  };
  std::vector<fix> fixes;
  std::uint64_t records = 0, sum = 0;
  {
    stable_copy::reader a(copy(0)), b(copy(1));
    merge(a, b, [&](std::string_view key, std::optional<std::string_view> x, std::optional<std::string_view> y) {
      const auto dx = x ? stable_layout::decode(key, *x) : std::nullopt,
                 dy = y ? stable_layout::decode(key, *y) : std::nullopt;
      ++records;
      if (!dx && !dy) return;
      const bool first = !dy || (dx && dx->version >= dy->version);
      sum += first ? dx.value_or(stable_layout::record{}).sum : dy->sum;
      if (first ? y != x : x != y) fixes.push_back({first ? 1u : 0u, std::string(key), std::string(first ? *x : *y)});
    });
  }
  whole = records == goal.records && sum == goal.sum;
  // Without the proof that this is all, only what is there and broken is mended.
  if (!whole)
    std::erase_if(fixes, [&](const fix& f) {
      stable_copy::reader r(copy(f.in));
      const auto there = r.find(f.key);
      return !there || stable_layout::decode(f.key, *there).has_value();
    });
  for (std::size_t i = 0; i < 2; ++i) {
    const auto now = stable_copy::reader(copy(i)).commit();
    copy(i).begin();
    try {
      for (const auto& f : fixes)
        if (f.in == i) copy(i).put(f.key, f.stored);
    } catch (...) {
      copy(i).abort();
      throw;
    }
    copy(i).commit(whole ? goal : now);
  }
  return fixes.size();
}

}  // namespace cohort::persistence
