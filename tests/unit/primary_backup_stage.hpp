#pragma once

// A service that is not deterministic, for the tests of the pure member: sells seats by chance.
#include "framework/primary_backup/member.hpp"
#include "framework/memory_stream.hpp"
#include "framework/simulation/random.hpp"

#include <map>
#include <set>
#include <stdexcept>
#include <string>

namespace cohort::primary_backup::test {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Each request is a buyer's name; it gets a seat which nobody has, drawn from a generator that all members share, so that no
/// two executions of one request agree but by chance. Throws where an effect would be there twice.
class box_office final : public primary_service {
public:
  explicit box_office(sim::random& chance) : chance_(chance) {}

  void execute(const delivery& request, state_update& change, reply& answer) override {
    auto seat = chance_.below(1u << 10);
    while (sold_.contains(seat)) seat = chance_.below(1u << 10);
    change.write_u64(seat);
    change.write_bytes(text_of(request.payload));
    answer.write(std::to_string(seat));
  }
  void apply(std::span<const std::byte> change) override {
    memory_source in(change);
    const auto seat = in.read_u64();
    auto buyer = in.read_bytes();
    if (!sold_.emplace(seat, buyer).second) throw std::logic_error("seat " + std::to_string(seat) + " is sold twice");
    if (!seats_.emplace(buyer, seat).second) throw std::logic_error(buyer + " is served twice");
  }
  void query(std::span<const std::byte>, reply& answer) const override { answer.write(std::to_string(sold_.size())); }
  void checkpoint(sink& out) const override {
    out.write_u64(sold_.size());
    for (const auto& [seat, buyer] : sold_) {
      out.write_u64(seat);
      out.write_bytes(buyer);
    }
  }
  void restore(source& in) override {
    sold_.clear();
    seats_.clear();
    for (auto count = in.read_u64(); count > 0; --count) {
      const auto seat = in.read_u64();
      const auto buyer = in.read_bytes();
      sold_.emplace(seat, buyer);
      seats_.emplace(buyer, seat);
    }
  }

private:
  sim::random& chance_;
  std::map<std::uint64_t, std::string> sold_;
  std::map<std::string, std::uint64_t> seats_;
};

/// What a cold backup's disk would hold.
class store_in_memory final : public cold_store {
public:
  void keep_image(const std::function<void(sink&)>& write) override {
    memory_sink out;
    write(out);
    image_.assign(out.bytes().begin(), out.bytes().end());
    has_image_ = true;
    changes_.clear();
  }
  void append(std::span<const std::byte> change) override { changes_.emplace_back(change.begin(), change.end()); }
  void read(const std::function<void(source&)>& image, const std::function<void(std::span<const std::byte>)>& change) override {
    memory_source in(image_);
    if (has_image_) image(in);
    for (const auto& c : changes_) change(c);
  }

private:
  bool has_image_ = false;
  std::vector<std::byte> image_;
  std::vector<std::vector<std::byte>> changes_;
};

inline std::unique_ptr<member> make_member(member_id self, backup_kind kind, sim::random& chance) {
  return std::make_unique<member>(self, [&chance] { return std::make_unique<box_office>(chance); }, kind,
                                  kind == backup_kind::cold ? std::make_unique<store_in_memory>() : nullptr);
}

inline std::vector<std::byte> framed(frame kind, std::span<const std::byte> body) {
  std::vector<std::byte> all{static_cast<std::byte>(kind)};
  all.insert(all.end(), body.begin(), body.end());
  return all;
}

/// A view of voters; those in `active` are so, under these incarnations.
inline protocol::view view_of(view_number number, std::size_t members, const std::map<std::size_t, incarnation>& active) {
  protocol::view v;
  v.number = number;
  for (std::size_t m = 0; m < members; ++m) {
    protocol::roster_entry e;
    e.id = {member_id(static_cast<std::uint16_t>(m)), m + 1};
    e.voter = true;
    const auto at = active.find(m);
    e.active = at != active.end();
    e.inc = e.active ? at->second : 0;
    v.roster.push_back(e);
  }
  return v;
}

}  // namespace cohort::primary_backup::test
