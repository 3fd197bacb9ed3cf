// Local monotonicity and initial view event: a life enters views one by one, without gap or return, a checkpoint may skip
// some; what it delivers is delivered in a view. Chockler, Keidar, Vitenberg 2001.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class monotonic_views final : public checker {
public:
  explicit monotonic_views(book& b) : book_(b) {}
  const char* property() const override { return "monotonic views"; }

  void installed(const life& l, const deliver_view& d) override {
    const auto& r = book_.of(l);
    const auto number = d.what->number;
    const auto told = [&](const std::string& what) { fail(name_of(l) + " enters view " + std::to_string(number) + what); };
    const auto given = given_.find(l.number);
    if (given != given_.end()) {
      if (given->second != number) told(" behind a checkpoint of view " + std::to_string(given->second));
      if (r.before && number < r.before->number) told(" after view " + std::to_string(r.before->number));
      given_.erase(given);
    } else if (!r.before ? number != 0 : number != r.before->number + 1) {
      told(r.before ? " after view " + std::to_string(r.before->number) : " as its first");
    }
  }
  void restored(const life& l, const mark& at) override { given_.insert_or_assign(l.number, at.in_force->number); }
  void delivered(const life& l, const deliver_batch& d) override {
    const auto told = [&](const char* what) { fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + what); };
    if (!book_.of(l).in) told(" before it has entered a view");
    if (!given_.empty() && given_.contains(l.number)) told(" between a checkpoint and its view");
  }

private:
  std::map<std::uint64_t, view_number> given_;  ///< by life: the view of a checkpoint that was restored just now

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_monotonic_views(book& b) { return std::make_unique<monotonic_views>(b); }

}  // namespace cohort::sim
