// When all is quiet everybody who lives is a member of one view, which is the newest, and nobody else is.
// Chockler, Keidar, Vitenberg 2001, "membership precision".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

namespace {

class liveness final : public checker {
public:
  explicit liveness(book& b) : book_(b) {}
  const char* property() const override { return "liveness of views"; }

  void installed(const life&, const deliver_view& d) override {
    if (!newest_ || d.what->number > newest_->number) newest_ = d.what;
  }
  void finished(const std::vector<operation>&) override {
    if (!newest_) return;
    const auto in = " view " + std::to_string(newest_->number);
    std::size_t members = 0;
    for (const auto& [number, r] : book_.readers()) {
      if (!r.up) continue;
      ++members;
      if (!r.in || r.in->number != newest_->number) fail(name_of(r.who) + " lives and is not in" + in);
      else if (r.inc == 0 && !r.witness) fail(name_of(r.who) + " lives and is no member of" + in);
    }
    const auto active = static_cast<std::size_t>(std::ranges::count_if(newest_->roster, [](const roster_entry& r) {
      return r.active || r.witness;
    }));
    if (active != members) fail(std::to_string(active) + " are in" + in + ", and " + std::to_string(members) + " live");
  }

private:
  view_ptr newest_;

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_liveness(book& b) { return std::make_unique<liveness>(b); }

}  // namespace cohort::sim
