#include "actors/divergence_guard.hpp"

#include "transport/checksum.hpp"

#include <algorithm>
#include <array>

namespace cohort::detail {

/// A checksum over all that is written, in blocks, so that it does not depend on the pieces.
class divergence_guard::checksum_sink final : public sink {
public:
  void begin() { filled_ = value_ = bytes_ = 0; }
  void write(std::span<const std::byte> bytes) override {
    bytes_ += bytes.size();
    while (!bytes.empty()) {
      const auto part = std::min(bytes.size(), block_.size() - filled_);
      std::copy_n(bytes.begin(), part, block_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += part;
      bytes = bytes.subspan(part);
      if (filled_ == block_.size()) add();
    }
  }
  std::uint64_t end() {
    add();
    return value_;
  }
  std::uint64_t bytes() const { return bytes_; }

private:
  void add() {
    value_ = transport::checksum(std::span(block_).first(filled_), value_ + filled_);
    filled_ = 0;
  }
  std::array<std::byte, 64u << 10> block_;
  std::size_t filled_ = 0;
  std::uint64_t value_ = 0, bytes_ = 0;
};

divergence_guard::divergence_guard(member_id self, std::uint64_t every, bool odd, outlets out)
    : self_(self), out_(std::move(out)), points_(every), watch_(self, odd), checksum_(std::make_unique<checksum_sink>()) {
  if (odd) tell();
}

divergence_guard::~divergence_guard() = default;

void divergence_guard::view_installed(const protocol::view& v, bool active_here) {
  std::vector<divergence::replica_id> active;
  inc_ = 0;
  view_ = v.number;
  for (const auto& e : v.roster) {
    if (!e.active || e.witness) continue;
    active.push_back({e.id.member, e.inc});
    if (active_here && e.id.member == self_) inc_ = e.inc;
  }
  watch_.view_installed(std::move(active));
  tell();
}

void divergence_guard::restored(std::uint64_t position) {
  watch_.restored();
  points_.begin(position);
}

void divergence_guard::compare(const state_machine& state, std::uint64_t position, bool comparable) {
  if (!comparable || inc_ == 0) return points_.begin(position);
  auto digest = state.state_digest();
  checksum_->begin();
  if (!digest) {
    state.checkpoint(*checksum_);
    digest = checksum_->end();
  }
  points_.taken(position, checksum_->bytes());
  watch_.own({position, *digest});
  out_.send({inc_, position, *digest});
  tell();
}

void divergence_guard::take(const std::vector<std::pair<member_id, protocol::state_digest>>& others) {
  if (others.empty()) return;
  for (const auto& [from, d] : others) watch_.reported({from, d.inc}, {d.position, d.digest});
  tell();
}

void divergence_guard::tell() {
  out_.report({watch_.last(), watch_.agreed_at(), watch_.comparisons(), watch_.differences()});
  for (const auto& f : watch_.take()) out_.found(f, view_);
}

}  // namespace cohort::detail
