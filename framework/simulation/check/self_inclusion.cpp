// Self-inclusion: who is told that it is a member of a view is in it, under an incarnation that no other life had; nobody
// else multicasts. Chockler, Keidar, Vitenberg 2001, "self inclusion".
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

#include <map>
#include <set>

namespace cohort::sim {

using namespace protocol;

namespace {

class self_inclusion final : public checker {
public:
  explicit self_inclusion(book& b) : book_(b) {}
  const char* property() const override { return "self-inclusion"; }

  void installed(const life& l, const deliver_view& d) override {
    if (!d.member) return;
    early_.erase(l.number);
    const auto inc = book_.of(l).inc;
    const auto told = [&](const char* what) { fail(name_of(l) + " enters view " + std::to_string(d.what->number) + what); };
    if (inc == 0) return told(" as a member and is not in it");
    const auto [whose, fresh] = whose_.try_emplace({l.member(), inc}, l.number);
    if (!fresh && whose->second != l.number) told(" under an incarnation of an earlier life");
  }
  void submitted(const life& l, order, std::uint64_t) override {
    if (book_.of(l).inc == 0) early_.insert(l.number);
  }
  // What brought the view may have come in the same pass, and is told at its end; so may one without it, after a pause.
  void time(instant) override {
    for (const auto number : early_)
      if (const auto& r = book_.readers().at(number); r.inc == 0) fail(name_of(r.who) + " multicasts and is in no view");
    early_.clear();
  }

private:
  std::set<std::uint64_t> early_;  ///< lives that multicast before they were told of a view
  std::map<std::pair<member_id, incarnation>, std::uint64_t> whose_;  ///< the life

  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_self_inclusion(book& b) { return std::make_unique<self_inclusion>(b); }

}  // namespace cohort::sim
