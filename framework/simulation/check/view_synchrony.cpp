// I13: members that go from one view to the next have delivered the same messages before.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class view_synchrony final : public checker {
public:
  const char* property() const override { return "I13 virtual synchrony"; }

  void started(const life& l, const disk::found& found) override {
    at_[l.number] = found.checkpoint ? found.checkpoint->delivered : 0;
  }
  void delivered(const life& l, const deliver_batch& b) override {
    if (b.cls == order::total) at_[l.number] = b.position + b.what.sizes.size() - 1;
  }
  void restored(const life& l, const mark& at) override {
    at_[l.number] = at.delivered;
    restored_.insert_or_assign(l.number, true);
  }
  void installed(const life& l, const deliver_view& v) override {
    // W1: a witness keeps the log, and delivers nothing.
    if (const auto* r = find(*v.what, l.id); r && r->witness) return;
    // The view that comes with a checkpoint was installed somewhere on the way there.
    if (std::exchange(restored_[l.number], false)) return;
    const auto [known, fresh] = ends_.try_emplace(v.what->number, at_[l.number]);
    if (!fresh && known->second != at_[l.number])
      fail("member " + std::to_string(to_index(l.member())) + " enters view " + std::to_string(v.what->number) + " after message " +
           std::to_string(at_[l.number]) + ", others after " + std::to_string(known->second));
  }

private:
  std::map<std::uint64_t, std::uint64_t> at_;
  std::map<std::uint64_t, bool> restored_;
  std::map<view_number, std::uint64_t> ends_;
};

}  // namespace

std::unique_ptr<checker> check_view_synchrony() { return std::make_unique<view_synchrony>(); }

}  // namespace cohort::sim
