// Seats sold by chance, over the world of primary_backup_world.hpp.
#include "primary_backup_world.hpp"

using namespace cohort;
using namespace cohort::primary_backup;
using namespace cohort::primary_backup::test;

namespace {

class sales final : public world {
public:
  explicit sales(std::uint64_t seed) : world(seed), seats_(seed + 1) {}
  std::size_t acknowledged() const { return acknowledged_.size(); }

private:
  std::unique_ptr<member> make(std::size_t m, backup_kind kind) override {
    return make_member(member_id(static_cast<std::uint16_t>(m)), kind, seats_);
  }
  std::vector<std::byte> next_request(process&) override {
    const auto buyer = "b" + std::to_string(++buyers_);
    const auto bytes = bytes_of(buyer);
    return {bytes.begin(), bytes.end()};
  }
  void ordered(std::span<const std::byte> request) override { requested_.insert(text_of(request)); }
  void answered(const std::string& request, const std::string& answer) override {
    REQUIRE_MESSAGE(acknowledged_.emplace(request, answer).second, "a caller is answered twice");
  }
  void judge(std::span<const std::byte> checkpoint, member&) override {
    const auto sold = sold_at(checkpoint);
    REQUIRE_MESSAGE(sold.size() == requested_.size(), "each request has one effect");
    for (const auto& buyer : requested_) REQUIRE(sold.contains(buyer));
    for (const auto& [buyer, seat] : acknowledged_) {
      REQUIRE_MESSAGE(sold.contains(buyer), "an acknowledged request is lost");
      REQUIRE_MESSAGE(std::to_string(sold.at(buyer)) == seat, "the answer is not the effect");
    }
  }

  /// What the service wrote: the last part of a member's checkpoint.
  static std::map<std::string, std::uint64_t> sold_at(std::span<const std::byte> checkpoint) {
    memory_source in(checkpoint);
    for (int i = 0; i < 8; ++i) in.read_u64();  // the member's own; nothing is pending
    std::map<std::string, std::uint64_t> sold;
    for (auto count = in.read_u64(); count > 0; --count) {
      const auto seat = in.read_u64();
      sold.emplace(in.read_bytes(), seat);
    }
    return sold;
  }

  sim::random seats_;
  std::set<std::string> requested_;
  std::map<std::string, std::string> acknowledged_;
  std::uint64_t buyers_ = 0;
};

}  // namespace

TEST_SUITE_BEGIN("primary backup: random");

TEST_CASE("no effect twice, nothing acknowledged lost, answers are the effects, and all are equal in the end") {
  std::uint64_t acknowledged = 0, dropped = 0;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    CAPTURE(seed);
    sales w(seed);
    try {
      w.run(static_cast<int>(200 + seed % 5 * 150));
    } catch (const std::logic_error& e) {
      FAIL(e.what());
    }
    acknowledged += w.acknowledged();
    dropped += w.dropped();
  }
  MESSAGE(acknowledged << " requests were acknowledged, " << dropped << " times an update was dropped");
  CHECK(acknowledged > 20000);  // else the schedules are too hard to show anything
  CHECK(dropped > 1000);
}

TEST_SUITE_END();
