#include "samples/kv/value.hpp"

#include "samples/kv/hash.hpp"

namespace kv {

namespace {

constexpr std::size_t block = 4096;
constexpr std::uint64_t string_seed = 0x73, field_seed = 0x66;

std::uint64_t field_digest(std::string_view name, std::string_view value) {
  return hash_bytes(value, hash_bytes(name, field_seed));
}

}  // namespace

std::uint64_t string_digest_tail(std::string_view text, std::size_t from) {
  std::uint64_t sum = 0;
  for (auto number = from / block; number * block < text.size(); ++number)
    sum += hash_bytes(text.substr(number * block, block), string_seed + number);
  return sum;
}

std::uint64_t string_digest(std::string_view text) { return string_digest_tail(text, 0); }

std::uint64_t hash_value::place(std::string_view name) const {
  return table<field>::place_of(hash_bytes(name, seed_));
}

const field* hash_value::find(std::string_view name) const { return fields_.find(name, place(name)); }

bool hash_value::set(std::string_view name, std::string_view value) {
  const auto where = place(name);
  digest_ += field_digest(name, value);
  if (auto* old = fields_.find(name, where)) {
    digest_ -= field_digest(name, old->value);
    old->value.assign(value);
    return false;
  }
  auto added = std::make_unique<field>();
  added->place = where;
  added->name.assign(name);
  added->value.assign(value);
  added->previous = last_;
  (last_ != nullptr ? last_->following : first_) = added.get();
  last_ = added.get();
  fields_.insert(std::move(added));
  return true;
}

bool hash_value::erase(std::string_view name) {
  auto* found = fields_.find(name, place(name));
  if (found == nullptr) return false;
  const auto gone = fields_.extract(*found);
  digest_ -= field_digest(gone->name, gone->value);
  (gone->previous != nullptr ? gone->previous->following : first_) = gone->following;
  (gone->following != nullptr ? gone->following->previous : last_) = gone->previous;
  return true;
}

}  // namespace kv
