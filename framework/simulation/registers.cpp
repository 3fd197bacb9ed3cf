#include "framework/simulation/workload.hpp"

#include <cohort/log_timers.hpp>

#include <map>

namespace cohort::sim {

namespace {

enum class kind : std::uint8_t { write = 1, swap = 2, other = 3 };

std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8 && at + i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  return value;
}

void put(std::vector<std::byte>& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
}

class registers final : public state_machine {
public:
  explicit registers(bool timers) : with_timers_(timers) {}

  void apply(const delivery& d, reply& answer) override {
    if (with_timers_) {
      expire(d);
      // What expired since the last message counts from here on: up to then states at one position differ.
      digest_ = mix(digest_, expired_);
      if (d.position % 3 == 0) timers_.set(d.position, d.time + std::chrono::microseconds(d.position * 7919 % 700'000));
      if (d.position % 5 == 0) timers_.cancel(d.position - 2);
    }
    digest_ = mix(digest_, d.position);
    digest_ = mix(digest_, d.index);
    digest_ = mix(digest_, static_cast<std::uint64_t>(d.time.count()));
    digest_ = mix(digest_, d.view);
    digest_ = mix(digest_, to_index(d.sender));
    digest_ = mix(digest_, d.sender_incarnation);
    for (std::size_t i = 0; i < d.payload.size(); i += 8) digest_ = mix(digest_, number_at(d.payload, i));
    const auto what = d.payload.empty() ? kind::other : static_cast<kind>(d.payload[0]);
    if (what == kind::other) return;
    auto& value = values_[number_at(d.payload, 1)];
    if (what == kind::swap) {
      std::vector<std::byte> old;
      put(old, value);
      answer.write(old);
    }
    value = number_at(d.payload, 9);
  }

  void time_passed(const delivery& at, reply&) override {
    if (with_timers_) expire(at);
  }
  std::optional<wall_time> next_due() const override { return timers_.next(); }

  void query(std::span<const std::byte> question, reply& answer) const override {
    const auto found = values_.find(number_at(question, 0));
    std::vector<std::byte> value;
    put(value, found == values_.end() ? 0 : found->second);
    answer.write(value);
  }

  void checkpoint(sink& out) const override {
    out.write_u64(digest_);
    out.write_u64(expired_);
    timers_.checkpoint(out);
    out.write_u64(values_.size());
    for (const auto& [key, value] : values_) {
      out.write_u64(key);
      out.write_u64(value);
    }
  }

  void restore(source& in) override {
    values_.clear();
    digest_ = in.read_u64();
    expired_ = in.read_u64();
    timers_.restore(in);
    for (auto n = in.read_u64(); n > 0; --n) {
      const auto key = in.read_u64();
      values_[key] = in.read_u64();
    }
  }

  std::uint64_t digest() const { return digest_; }

private:
  void expire(const delivery& at) {
    timers_.advance(at.time, [&](std::uint64_t id, wall_time when) {
      for (const auto part : {id, static_cast<std::uint64_t>(when.count()), static_cast<std::uint64_t>(at.time.count()), at.index, at.position})
        expired_ = mix(expired_, part);
    });
  }

  const bool with_timers_;
  std::map<std::uint64_t, std::uint64_t> values_;
  std::uint64_t digest_ = 0;
  std::uint64_t expired_ = 0;  ///< which timers, when and where
  log_timers timers_;
};

class register_workload final : public workload {
public:
  explicit register_workload(bool timers) : timers_(timers) {}
  std::unique_ptr<state_machine> make() const override { return std::make_unique<registers>(timers_); }
  std::vector<std::byte> write(unsigned key, std::uint64_t value) const override { return message(kind::write, key, value); }
  std::vector<std::byte> swap(unsigned key, std::uint64_t value) const override { return message(kind::swap, key, value); }
  std::vector<std::byte> question(unsigned key) const override {
    std::vector<std::byte> bytes;
    put(bytes, key);
    return bytes;
  }
  std::vector<std::byte> other(random& chance) const override {
    std::vector<std::byte> bytes{static_cast<std::byte>(kind::other)};
    bytes.resize(1 + chance.below(chance.chance(30) ? 6000 : 200), std::byte{7});
    return bytes;
  }
  std::optional<std::uint64_t> swapped(std::span<const std::byte> reply) const override { return value_in(reply); }
  std::optional<std::uint64_t> answered(std::span<const std::byte> reply) const override { return value_in(reply); }
  std::uint64_t digest(const state_machine& machine) const override { return static_cast<const registers&>(machine).digest(); }

private:
  const bool timers_;

  static std::optional<std::uint64_t> value_in(std::span<const std::byte> reply) {
    if (reply.size() != 8) return std::nullopt;
    return number_at(reply, 0);
  }
  static std::vector<std::byte> message(kind what, unsigned key, std::uint64_t value) {
    std::vector<std::byte> bytes{static_cast<std::byte>(what)};
    put(bytes, key);
    put(bytes, value);
    return bytes;
  }
};

}  // namespace

std::unique_ptr<workload> make_register_workload(bool timers) { return std::make_unique<register_workload>(timers); }

}  // namespace cohort::sim
