// V15, as extended virtual synchrony has it: whoever goes from one view to the next is told who came along from there, all of
// those are told the same, and a view has the same place in the total order for all who come to it by the log.
// Moser, Amir, Melliar-Smith, Agarwal 1994, "extended virtual synchrony"; Chockler, Keidar, Vitenberg 2001, "transitional set".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <optional>

namespace cohort::sim {

using namespace protocol;

namespace {

class transitional_sets final : public checker {
public:
  explicit transitional_sets(book& b) : book_(b) {}
  const char* property() const override { return "V15 transitional sets"; }

  void started(const life& l, const disk::found& found) override {
    auto& at = positions_[l.number];
    at = 0;
    if (found.checkpoint) reached(at, *found.checkpoint);
  }
  void restored(const life& l, const mark& at) override { reached(positions_[l.number], at); }
  void delivered(const life& l, const deliver_batch& d) override {
    if (d.cls == order::total && !d.what.sizes.empty()) positions_[l.number] = d.position + d.what.sizes.size() - 1;
  }

  void installed(const life& l, const deliver_view& d) override {
    const auto& r = book_.of(l);
    const auto enters = [&](const char* how) { fail(name_of(l) + " enters view " + std::to_string(d.what->number) + how); };
    auto& change = changes_[d.what->number];
    if (r.from_log && !r.witness) {
      if (const auto at = positions_[l.number]; !change.position) change.position = at;
      else if (at && *change.position != *at) enters(" at another place in the total order than others");
    }
    if (!r.stayed()) {
      if (!d.together.empty()) enters(", does not come from the view before, and is told who came along");
      if (r.inc != 0 && r.inc == r.inc_before && r.before && r.before->number != d.what->number)
        enters(" under the incarnation that it had before, and not by the log");
      return;
    }
    for (const auto m : d.together)
      if (!came(*r.before, *d.what, m)) enters(" and is told that somebody came along who was not active in both under one incarnation");
    if (std::ranges::find(d.together, l.member()) == d.together.end()) enters(", and is not told that it came along itself");
    auto told = d.together;
    std::ranges::sort(told);
    if (!change.together) change.together = told;
    else if (*change.together != told) enters(" and is told that others came along than those were told");
  }

private:
  struct change_of_views {
    std::optional<std::uint64_t> position;
    std::optional<std::vector<member_id>> together;
  };
  /// A checkpoint that names no position is of a time before the first message, or its head does not tell.
  static void reached(std::optional<std::uint64_t>& at, const mark& m) {
    at = m.delivered > 0 ? std::optional(m.delivered) : std::nullopt;
  }
  static bool came(const view& before, const view& now, member_id m) {
    return std::ranges::any_of(now.roster, [&](const roster_entry& e) {
      return e.id.member == m && e.active && slot_of(before, e.id, e.inc) != no_slot;
    });
  }

  book& book_;
  std::map<std::uint64_t, std::optional<std::uint64_t>> positions_;  ///< by life: of the last message of the total order
  std::map<view_number, change_of_views> changes_;
};

}  // namespace

std::unique_ptr<checker> check_transitional_sets(book& b) { return std::make_unique<transitional_sets>(b); }

}  // namespace cohort::sim
