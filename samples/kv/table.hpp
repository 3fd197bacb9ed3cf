#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace kv {

/// What an element of `table` has. It stays where it was allocated until it is erased.
struct table_node {
  table_node* next = nullptr;
  std::uint64_t place = 0;  ///< hash of the key, bits reversed: the element's rank in the order of `scan`
};

/// A hash table that grows and shrinks by one bucket at a time (Litwin, "Linear Hashing", 1980), so that no single
/// command pays for a million elements. `scan` goes through it in the order of the reversed hashes, which growing and
/// shrinking do not change: whatever is in the table all the time is found once, and the place reached is one number
/// that means the same at every replica.
///
/// `Node` derives from `table_node` and has `key()`. The table owns its nodes.
template <class Node>
class table {
public:
  table() : buckets_(minimum, nullptr) {}
  ~table() { clear(); }
  table(const table&) = delete;
  table& operator=(const table&) = delete;

  std::size_t size() const { return size_; }

  static std::uint64_t place_of(std::uint64_t hash) {
    hash = (hash >> 1 & 0x5555555555555555u) | (hash & 0x5555555555555555u) << 1;
    hash = (hash >> 2 & 0x3333333333333333u) | (hash & 0x3333333333333333u) << 2;
    hash = (hash >> 4 & 0x0f0f0f0f0f0f0f0fu) | (hash & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(hash);
  }

  Node* find(std::string_view key, std::uint64_t place) const {
    for (auto* at = buckets_[bucket_of(place)]; at != nullptr; at = at->next)
      if (at->place == place && static_cast<Node*>(at)->key() == key) return static_cast<Node*>(at);
    return nullptr;
  }

  /// The key must not be in the table.
  Node& insert(std::unique_ptr<Node> node) {
    auto& head = buckets_[bucket_of(node->place)];
    node->next = head;
    head = node.get();
    ++size_;
    Node& result = *node.release();
    if (size_ > buckets_.size()) grow();
    return result;
  }

  /// Takes `node` out.
  std::unique_ptr<Node> extract(Node& node) {
    auto** link = &buckets_[bucket_of(node.place)];
    while (*link != &node) link = &(*link)->next;
    *link = node.next;
    node.next = nullptr;
    --size_;
    std::unique_ptr<Node> result(&node);
    if (buckets_.size() > minimum && size_ < buckets_.size() / 4) shrink();
    return result;
  }

  void clear() {
    for (auto* head : buckets_)
      while (head != nullptr) {
        std::unique_ptr<Node> node(static_cast<Node*>(head));
        head = head->next;
      }
    buckets_.assign(minimum, nullptr);
    buckets_.shrink_to_fit();
    level_ = minimum;
    size_ = 0;
  }

  /// Calls `visit` with every element in the order of (place, key). `visit` must not change the table.
  template <class Visit>
  void for_each(Visit visit) const {
    std::uint64_t from = 0;
    std::vector<const Node*> group;
    do from = next_bucket(from, group), std::for_each(group.begin(), group.end(), visit);
    while (from != 0);
  }

  /// Elements with place >= `from` in order, in groups of equal places, until `enough(count so far)`. Returns the place
  /// to go on from, 0 at the end.
  template <class Visit, class Enough>
  std::uint64_t scan(std::uint64_t from, Visit visit, Enough enough) const {
    std::vector<const Node*> group;
    do {
      const auto next = next_bucket(from, group);
      for (std::size_t i = 0; i < group.size(); ++i) {
        if (enough() && (i == 0 || group[i]->place != group[i - 1]->place)) return group[i]->place;
        visit(group[i]);
      }
      from = next;
    } while (from != 0 && !enough());
    return from;
  }

private:
  static constexpr std::size_t minimum = 4;

  // Bucket numbers are the low bits of the hash, that is, the high bits of the place, reversed: `level_` buckets are
  // addressed by log2(level_) bits, those that were split already by one more.
  std::size_t bucket_of(std::uint64_t place) const {
    const auto hash = place_of(place);  // reversing is its own inverse
    const auto bucket = hash & (2 * level_ - 1);
    return static_cast<std::size_t>(bucket < buckets_.size() ? bucket : hash & (level_ - 1));
  }

  /// The elements of the bucket which holds `from`, those from there on, in order; returns where the next one begins.
  std::uint64_t next_bucket(std::uint64_t from, std::vector<const Node*>& group) const {
    const auto bucket = bucket_of(from);
    const bool split = bucket >= level_ || bucket + level_ < buckets_.size();
    const auto bits = static_cast<unsigned>(__builtin_ctzll(split ? 2 * level_ : level_));
    group.clear();
    for (auto* at = buckets_[bucket]; at != nullptr; at = at->next)
      if (at->place >= from) group.push_back(static_cast<const Node*>(at));
    std::sort(group.begin(), group.end(), [](const Node* a, const Node* b) {
      return a->place != b->place ? a->place < b->place : a->key() < b->key();
    });
    const auto width = std::uint64_t{1} << (64 - bits);
    return (from & ~(width - 1)) + width;  // wraps to 0 behind the last
  }

  void grow() {
    const auto from = buckets_.size() - level_;
    buckets_.push_back(nullptr);
    auto* at = buckets_[from];
    buckets_[from] = nullptr;
    while (at != nullptr) {
      auto* node = at;
      at = at->next;
      auto& head = buckets_[place_of(node->place) & (2 * level_ - 1)];
      node->next = head;
      head = node;
    }
    if (buckets_.size() == 2 * level_) level_ *= 2;
  }

  void shrink() {
    if (buckets_.size() == level_) level_ /= 2;
    auto* tail = buckets_.back();
    buckets_.pop_back();
    auto** link = &buckets_[buckets_.size() - level_];
    while (*link != nullptr) link = &(*link)->next;
    *link = tail;
  }

  std::vector<table_node*> buckets_;
  std::size_t level_ = minimum;  ///< power of two, level_ <= buckets_.size() < 2 * level_
  std::size_t size_ = 0;
};

}  // namespace kv
