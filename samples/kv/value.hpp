#pragma once

#include "samples/kv/table.hpp"

#include <memory>
#include <string>
#include <variant>

namespace kv {

/// A field of a hash. Fields keep the order in which they came, as small hashes in Redis do.
struct field : table_node {
  field* previous = nullptr;
  field* following = nullptr;
  std::string name;
  std::string value;
  std::string_view key() const { return name; }
};

/// A hash value.
class hash_value {
public:
  explicit hash_value(std::uint64_t seed) : seed_(seed) {}

  std::size_t size() const { return fields_.size(); }
  const field* find(std::string_view name) const;
  /// True if the field is new.
  bool set(std::string_view name, std::string_view value);
  bool erase(std::string_view name);
  const field* first() const { return first_; }
  std::uint64_t digest() const { return digest_; }

private:
  std::uint64_t place(std::string_view name) const;

  table<field> fields_;
  field* first_ = nullptr;
  field* last_ = nullptr;
  std::uint64_t seed_;
  std::uint64_t digest_ = 0;  ///< sum over the fields: setting one costs that one
};

using value = std::variant<std::string, std::unique_ptr<hash_value>>;

/// Digest of a string, as the sum of those of its blocks: appending to a long one costs the last block.
std::uint64_t string_digest(std::string_view text);
/// The part of it from the block of byte `from` on.
std::uint64_t string_digest_tail(std::string_view text, std::size_t from);

}  // namespace kv
