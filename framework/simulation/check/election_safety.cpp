// I1: at most one leader a term.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class election_safety final : public checker {
public:
  const char* property() const override { return "I1 election safety"; }

  void happened(const life& l, const event& e) override {
    if (e.kind != event_kind::elected) return;
    const auto [known, fresh] = leaders_.try_emplace(e.number, l.number);
    if (!fresh)
      fail("term " + std::to_string(e.number) + " has two leaders, the second is member " + std::to_string(to_index(l.member())));
  }

private:
  std::map<term_number, std::uint64_t> leaders_;
};

}  // namespace

std::unique_ptr<checker> check_election_safety() { return std::make_unique<election_safety>(); }

}  // namespace cohort::sim
