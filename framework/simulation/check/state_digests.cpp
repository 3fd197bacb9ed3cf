// Replicas that applied the same messages are equal.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class state_digests final : public checker {
public:
  const char* property() const override { return "state digests"; }

  void state_reached(const life& l, std::uint64_t position, std::uint64_t digest) override {
    const auto [known, fresh] = digests_.try_emplace(position, digest);
    if (!fresh && known->second != digest)
      fail("the replica of member " + std::to_string(to_index(l.member())) + " differs after message " + std::to_string(position));
  }

private:
  std::map<std::uint64_t, std::uint64_t> digests_;
};

}  // namespace

std::unique_ptr<checker> check_state_digests() { return std::make_unique<state_digests>(); }

}  // namespace cohort::sim
