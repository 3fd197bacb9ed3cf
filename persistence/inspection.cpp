#include "persistence/inspection.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace cohort::persistence {
namespace {

// The file format of LMDB 0.9 (data version 1) on a 64-bit little-endian machine.
constexpr std::size_t page_header_bytes = 16, node_header_bytes = 8, tree_bytes = 48;
constexpr std::uint16_t page_branch = 0x01, page_leaf = 0x02, page_overflow = 0x04, page_meta = 0x08;
constexpr std::uint16_t node_big = 0x01, node_subtree = 0x02;
constexpr std::uint16_t tree_integer_key = 0x08, env_no_subdir = 0x4000;
constexpr std::uint32_t meta_magic = 0xBEEFC0DE, meta_version = 1;
constexpr std::uint64_t no_page = ~std::uint64_t{0};
constexpr int depth_max = 32;

/// What a tree's leaves hold.
enum class content : std::uint8_t { databases, values, free_lists };

struct damaged {
  std::string text;
};

[[noreturn]] void fail(std::uint64_t page, const std::string& what) {
  throw damaged{"page " + std::to_string(page) + ": " + what};
}

template <class T>
T load(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct tree {
  std::uint32_t pad = 0;
  std::uint16_t flags = 0, depth = 0;
  std::uint64_t branches = 0, leaves = 0, overflows = 0, entries = 0, root = no_page;
};

tree load_tree(std::span<const std::byte> bytes) {
  return {load<std::uint32_t>(bytes, 0),  load<std::uint16_t>(bytes, 4),  load<std::uint16_t>(bytes, 6),
          load<std::uint64_t>(bytes, 8),  load<std::uint64_t>(bytes, 16), load<std::uint64_t>(bytes, 24),
          load<std::uint64_t>(bytes, 32), load<std::uint64_t>(bytes, 40)};
}

struct meta {
  tree free, main;
  std::uint64_t last_page = 0, transaction = 0;
};

using key_bytes = std::vector<std::byte>;

struct node {
  std::uint16_t flags = 0;
  std::span<const std::byte> key;
  std::span<const std::byte> value;  ///< leaf: inline value or, with `node_big`, the 8 bytes of a page number
  std::uint32_t value_bytes = 0;
  std::uint64_t child = 0;           ///< branch
};

class inspector {
public:
  inspector(int fd, std::string_view commit_key, const commit_parser& parse)
    : fd_(fd), commit_key_(commit_key), parse_(parse) {}

  inspection run() {
    inspection result;
    try {
      check(result);
    } catch (const damaged& d) {
      result.damage = d.text;
    }
    return result;
  }

private:
  void read(std::uint64_t offset, std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw damaged{"offset " + std::to_string(offset + done) + " cannot be read: " + std::strerror(errno)};
      if (n == 0) throw damaged{"the file ends at offset " + std::to_string(offset + done)};
      done += static_cast<std::size_t>(n);
    }
  }

  void check(inspection& result) {
    struct stat s {};
    if (::fstat(fd_, &s) != 0) throw damaged{std::string("its length cannot be read: ") + std::strerror(errno)};
    file_bytes_ = result.file_bytes = static_cast<std::uint64_t>(s.st_size);
    if (file_bytes_ < 512) throw damaged{"the file is too short to hold a journal"};
    std::vector<std::byte> start(page_header_bytes + 24 + 2 * tree_bytes + 16);
    read(0, start);
    page_bytes_ = load<std::uint32_t>(start, page_header_bytes + 24);
    if (page_bytes_ < 512 || page_bytes_ > 65536 || (page_bytes_ & (page_bytes_ - 1)) != 0)
      fail(0, "impossible page size " + std::to_string(page_bytes_));
    const meta first = load_meta(0), second = load_meta(1);
    const bool second_newer = first.transaction < second.transaction;  // as LMDB decides it
    const meta& newest = second_newer ? second : first;
    const meta& older = second_newer ? first : second;
    if ((newest.transaction & 1) != (second_newer ? 1 : 0) || newest.transaction != older.transaction + 1)
      fail(second_newer ? 1 : 0, "transaction numbers of the meta pages do not follow each other");

    result.page_bytes = page_bytes_;
    result.transaction = newest.transaction;
    result.last_page = last_page_ = newest.last_page;
    file_pages_ = file_bytes_ / page_bytes_;
    used_.assign(file_pages_, false);
    used_[0] = used_[1] = true;
    const auto facts = commit_of(newest);
    if (!facts.sound || facts.transaction != newest.transaction)
      fail(second_newer ? 1 : 0, "the newest transaction has no sound commit record");
    if (facts.judge_older) {
      const auto before = commit_of(older);
      if (!before.sound || before.transaction != older.transaction)
        fail(second_newer ? 0 : 1, "the transaction before the newest has no sound commit record");
    }
    check_tree(newest.main, content::databases);
    check_tree(newest.free, content::free_lists);
    check_free(newest.transaction);
    result.free_pages = free_.size();
  }

  meta load_meta(std::uint64_t number) {
    std::vector<std::byte> page(page_bytes_);
    read(number * page_bytes_, page);
    const std::span<const std::byte> body = std::span<const std::byte>(page).subspan(page_header_bytes);
    if (load<std::uint64_t>(page, 0) != number || load<std::uint16_t>(page, 10) != page_meta)
      fail(number, "not a meta page");
    if (load<std::uint32_t>(body, 0) != meta_magic) fail(number, "not a journal file");
    if (load<std::uint32_t>(body, 4) != meta_version) fail(number, "unknown version of the LMDB file format");
    meta m;
    m.free = load_tree(body.subspan(24));
    m.main = load_tree(body.subspan(24 + tree_bytes));
    m.last_page = load<std::uint64_t>(body, 24 + 2 * tree_bytes);
    m.transaction = load<std::uint64_t>(body, 32 + 2 * tree_bytes);
    if (m.free.pad != page_bytes_) fail(number, "the meta pages disagree about the page size");
    if (m.free.flags != (tree_integer_key | env_no_subdir) || m.main.flags != 0) fail(number, "impossible flags");
    if (m.last_page < 1) fail(number, "impossible number of pages");
    return m;
  }

  std::vector<std::byte> load_page(std::uint64_t number, std::uint64_t last) {
    if (number < 2 || number > last || number >= file_pages_) fail(number, "lies outside of the file");
    std::vector<std::byte> page(page_bytes_);
    read(number * page_bytes_, page);
    if (load<std::uint64_t>(page, 0) != number) fail(number, "holds the number of another page");
    const auto flags = load<std::uint16_t>(page, 10), lower = load<std::uint16_t>(page, 12);
    const std::size_t upper = load<std::uint16_t>(page, 14);
    if (flags != page_branch && flags != page_leaf) fail(number, "is neither branch nor leaf");
    if (lower < page_header_bytes || lower % 2 != 0 || lower > upper || upper > page_bytes_)
      fail(number, "impossible fill marks");
    return page;
  }

  static bool is_leaf(std::span<const std::byte> page) { return load<std::uint16_t>(page, 10) == page_leaf; }
  static std::size_t node_count(std::span<const std::byte> page) {
    return (load<std::uint16_t>(page, 12) - page_header_bytes) / 2;
  }

  node load_node(std::uint64_t number, std::span<const std::byte> page, std::size_t i) {
    const std::size_t at = load<std::uint16_t>(page, page_header_bytes + 2 * i);
    if (at < load<std::uint16_t>(page, 14) || at + node_header_bytes > page.size()) fail(number, "node out of place");
    const auto lo = load<std::uint16_t>(page, at), hi = load<std::uint16_t>(page, at + 2);
    const auto flags = load<std::uint16_t>(page, at + 4), key = load<std::uint16_t>(page, at + 6);
    const auto body = page.subspan(at + node_header_bytes);
    if (key > body.size()) fail(number, "node reaches beyond its page");
    node n;
    n.key = body.first(key);
    if (!is_leaf(page)) {
      n.child = lo | std::uint64_t{hi} << 16 | std::uint64_t{flags} << 32;
      return n;
    }
    n.flags = flags;
    n.value_bytes = lo | std::uint32_t{hi} << 16;
    const std::size_t room = flags == node_big ? 8 : n.value_bytes;
    if (flags != 0 && flags != node_big && flags != node_subtree) fail(number, "unknown kind of node");
    if (room > body.size() - key) fail(number, "node reaches beyond its page");
    n.value = body.subspan(key, room);
    return n;
  }

  std::uint64_t overflow_pages(std::uint32_t bytes) const {
    return (page_header_bytes - 1 + std::uint64_t{bytes}) / page_bytes_ + 1;
  }

  std::uint64_t check_overflow(const node& n, std::uint64_t last) {
    const auto number = load<std::uint64_t>(n.value, 0);
    const auto pages = overflow_pages(n.value_bytes);
    if (number < 2 || number > last || pages > last - number + 1 || number >= file_pages_ || pages > file_pages_ - number)
      fail(number, "lies outside of the file");
    std::byte header[page_header_bytes];
    read(number * page_bytes_, header);
    if (load<std::uint64_t>(header, 0) != number || load<std::uint16_t>(header, 10) != page_overflow ||
        load<std::uint32_t>(header, 12) != pages)
      fail(number, "is not the large value it should be");
    return number;
  }

  std::vector<std::byte> value_of(const node& n, std::uint64_t last) {
    if (n.flags != node_big) return {n.value.begin(), n.value.end()};
    std::vector<std::byte> value(n.value_bytes);
    read(check_overflow(n, last) * page_bytes_ + page_header_bytes, value);
    return value;
  }

  static int compare(bool integer, std::span<const std::byte> a, std::span<const std::byte> b) {
    if (integer) {
      const auto x = load<std::uint64_t>(a, 0), y = load<std::uint64_t>(b, 0);
      return x < y ? -1 : x > y ? 1 : 0;
    }
    const int c = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
    return c != 0 ? c : a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
  }

  /// The commit record below `m`, by the same descent that LMDB makes. Not sound if the way there is broken.
  commit_facts commit_of(const meta& m) {
    try {
      const auto wanted = std::as_bytes(std::span(commit_key_.data(), commit_key_.size()));
      std::uint64_t number = m.main.root;
      for (int depth = 0; depth < depth_max; ++depth) {
        const auto page = load_page(number, m.last_page);
        const std::size_t count = node_count(page);
        std::size_t next = 0;
        for (std::size_t i = 0; i < count; ++i) {
          const node n = load_node(number, page, i);
          if (is_leaf(page) && compare(false, n.key, wanted) == 0) return parse_(value_of(n, m.last_page));
          if (!is_leaf(page) && (i == 0 || compare(false, n.key, wanted) <= 0)) next = n.child;
        }
        if (is_leaf(page) || count == 0) break;
        number = next;
      }
    } catch (const damaged&) {
    }
    return {};
  }

  void use(std::uint64_t page) {
    if (page >= file_pages_) fail(page, "lies behind the end of the file");
    if (used_[page]) fail(page, "is used twice");
    used_[page] = true;
  }

  struct counted {
    std::uint64_t branches = 0, leaves = 0, overflows = 0, entries = 0;
  };

  void check_tree(const tree& t, content what) {
    counted c;
    if (t.root != no_page) {
      if (t.depth == 0 || t.depth > depth_max) fail(t.root, "impossible depth of a tree");
      descend(t.root, t.depth, (t.flags & tree_integer_key) != 0, what, nullptr, nullptr, c);
    } else if (t.depth != 0) {
      fail(0, "an empty tree has a depth");
    }
    if (c.branches != t.branches || c.leaves != t.leaves || c.overflows != t.overflows || c.entries != t.entries)
      fail(t.root == no_page ? 0 : t.root, "the tree below does not have the pages and entries it should have");
  }

  void descend(std::uint64_t number, int depth, bool integer, content what, const key_bytes* low, const key_bytes* high,
               counted& c) {
    const auto page = load_page(number, last_page_);
    use(number);
    const bool leaf = is_leaf(page);
    if (leaf != (depth == 1)) fail(number, "is at the wrong depth of its tree");
    const std::size_t count = node_count(page);
    if (count == 0 || (!leaf && count < 2)) fail(number, "holds too few nodes");
    ++(leaf ? c.leaves : c.branches);
    check_layout(number, page);
    std::vector<key_bytes> keys(count);
    for (std::size_t i = 0; i < count; ++i) {
      const node n = load_node(number, page, i);
      keys[i].assign(n.key.begin(), n.key.end());
      if (!leaf && i == 0) continue;  // the first key of a branch is never looked at
      if (integer && keys[i].size() != 8) fail(number, "key of the wrong length");
      if (i > (leaf ? 0u : 1u) && compare(integer, keys[i - 1], keys[i]) >= 0) fail(number, "keys out of order");
      if (low && compare(integer, keys[i], *low) < 0) fail(number, "key below its page's range");
      if (high && compare(integer, keys[i], *high) >= 0) fail(number, "key above its page's range");
    }
    for (std::size_t i = 0; i < count; ++i) {
      const node n = load_node(number, page, i);
      if (!leaf) {
        descend(n.child, depth - 1, integer, what, i == 0 ? low : &keys[i], i + 1 < count ? &keys[i + 1] : high, c);
        continue;
      }
      ++c.entries;
      check_value(number, n, what, c);
    }
  }

  /// Nodes must not overlap: one that reads into its neighbour would hide behind that one's checksum.
  void check_layout(std::uint64_t number, std::span<const std::byte> page) {
    std::vector<std::pair<std::size_t, std::size_t>> ranges(node_count(page));
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const node n = load_node(number, page, i);
      const std::size_t at = load<std::uint16_t>(page, page_header_bytes + 2 * i);
      ranges[i] = {at, at + node_header_bytes + n.key.size() + n.value.size()};
    }
    std::ranges::sort(ranges);
    for (std::size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second) fail(number, "nodes overlap");
  }

  void check_value(std::uint64_t number, const node& n, content what, counted& c) {
    if (n.flags == node_big) {
      const auto first = check_overflow(n, last_page_);
      const auto pages = overflow_pages(n.value_bytes);
      for (std::uint64_t p = first; p < first + pages; ++p) use(p);
      c.overflows += pages;
    }
    if (n.flags == node_subtree) {
      if (what != content::databases || n.value_bytes != tree_bytes) fail(number, "misplaced database");
      const tree t = load_tree(n.value);
      if ((t.flags & ~tree_integer_key) != 0) fail(number, "unknown kind of database");
      check_tree(t, content::values);
    }
    if (what == content::free_lists) collect_free(number, n);
  }

  void collect_free(std::uint64_t number, const node& n) {
    const auto value = value_of(n, last_page_);
    if (value.size() < 8) fail(number, "free list too short");
    const auto count = load<std::uint64_t>(value, 0);
    if (count > value.size() / 8 - 1) fail(number, "free list longer than its value");
    newest_free_ = std::max(newest_free_, load<std::uint64_t>(n.key, 0));
    std::uint64_t before = no_page;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto page = load<std::uint64_t>(value, 8 * i);
      if (page < 2 || page > last_page_ || page >= before) fail(number, "free list out of order");
      free_.push_back(before = page);
    }
  }

  void check_free(std::uint64_t transaction) {
    if (newest_free_ > transaction) fail(0, "free list of a transaction that never was");
    // The file may end before its last page, but only by pages that a transaction took and gave back unwritten.
    std::ranges::sort(free_);
    std::uint64_t beyond = 0;
    for (std::size_t i = 0; i < free_.size(); ++i) {
      const auto page = free_[i];
      if (i > 0 && free_[i - 1] == page) fail(page, "is free twice");
      if (page < file_pages_ && used_[page]) fail(page, "is both used and free");
      beyond += page >= file_pages_;
    }
    if (last_page_ >= file_pages_ && last_page_ + 1 - file_pages_ != beyond)
      fail(last_page_, "is the last one, but the file is shorter");
  }

  int fd_;
  std::string_view commit_key_;
  const commit_parser& parse_;
  std::uint64_t file_bytes_ = 0, file_pages_ = 0, last_page_ = 0, newest_free_ = 0;
  std::size_t page_bytes_ = 0;
  std::vector<bool> used_;
  std::vector<std::uint64_t> free_;
};

}  // namespace

inspection inspect(int fd, std::string_view commit_key, const commit_parser& parse) {
  return inspector(fd, commit_key, parse).run();
}

}  // namespace cohort::persistence
