// Integrity: what is delivered was submitted before, by its sender, in that order; it is the same everywhere.
// Chockler, Keidar, Vitenberg 2001, "delivery integrity".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class integrity final : public checker {
public:
  explicit integrity(book& b) : book_(b) {}
  const char* property() const override { return "integrity"; }

  void delivered(const life& l, const deliver_batch& d) override {
    const auto& now = book_.now();
    const auto told = [&](const char* what) { fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + ", " + what); };
    if (!now.same) told("which is another one elsewhere");
    if (d.what.sizes.empty()) told("which is empty");
    for (const auto m : now.what->messages)
      if (m == book::none && !now.repeated) told("with a message that its sender did not submit in this order");
  }

private:
  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_integrity(book& b) { return std::make_unique<integrity>(b); }

}  // namespace cohort::sim
