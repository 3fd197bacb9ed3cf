#include "box_office.hpp"

#include <chrono>
#include <cstring>
#include <random>

namespace {

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A change that `execute` wrote, read in its order.
class change_source final : public cohort::source {
public:
  explicit change_source(std::span<const std::byte> bytes) : left_(bytes) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > left_.size()) throw cohort::truncated_checkpoint("a sale ends too early");
    if (!out.empty()) std::memcpy(out.data(), left_.data(), out.size());
    left_ = left_.subspan(out.size());
  }
  std::uint64_t left() const override { return left_.size(); }

private:
  std::span<const std::byte> left_;
};

std::uint64_t now_ms() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

std::uint64_t draw(std::uint64_t below) {
  static thread_local std::mt19937_64 chance{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(chance);
}

std::string describe(std::uint32_t seat, std::uint64_t number, std::uint64_t sold_at) {
  return "SEAT " + std::to_string(seat) + " " + std::to_string(number) + " " + std::to_string(sold_at);
}

}  // namespace

std::uint32_t box_office::some_free_seat() const {
  auto n = draw(seats_ - sold_.size());
  for (std::uint32_t seat = 1;; ++seat)
    if (!sold_.contains(seat) && n-- == 0) return seat;
}

void box_office::execute(const cohort::delivery& request, cohort::state_update& change, cohort::reply& answer) {
  const auto order = text_of(request.payload);
  if (const auto known = seat_.find(order); known != seat_.end()) {
    const auto& t = sold_.at(known->second);
    return answer.write(describe(known->second, t.number, t.sold_at));
  }
  if (sold_.size() == seats_) return answer.write("SOLD-OUT");
  const auto seat = some_free_seat();
  const auto number = draw(1'000'000'000'000);
  const auto sold_at = now_ms();
  change.write_u64(seat);
  change.write_u64(number);
  change.write_u64(sold_at);
  change.write_bytes(order);
  answer.write(describe(seat, number, sold_at));
}

void box_office::apply(std::span<const std::byte> change) {
  change_source in(change);
  take_sale(in);
}

void box_office::take_sale(cohort::source& in) {
  const auto seat = static_cast<std::uint32_t>(in.read_u64());
  ticket t;
  t.number = in.read_u64();
  t.sold_at = in.read_u64();
  t.order = in.read_bytes();
  seat_[t.order] = seat;
  sold_[seat] = std::move(t);
}

void box_office::query(std::span<const std::byte>, cohort::reply& answer) const {
  answer.write("SOLD " + std::to_string(sold_.size()));
  for (const auto& [seat, t] : sold_) answer.write(" " + std::to_string(seat) + ":" + t.order);
}

void box_office::checkpoint(cohort::sink& out) const {
  out.write_u64(sold_.size());
  for (const auto& [seat, t] : sold_) {
    out.write_u64(seat);
    out.write_u64(t.number);
    out.write_u64(t.sold_at);
    out.write_bytes(t.order);
  }
}

void box_office::restore(cohort::source& in) {
  sold_.clear();
  seat_.clear();
  for (auto count = in.read_u64(); count > 0; --count) take_sale(in);
}
