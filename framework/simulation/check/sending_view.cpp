// I12: a batch is delivered in the view in which it was sealed, from somebody who is active in it.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class sending_view final : public checker {
public:
  const char* property() const override { return "I12 sending view"; }

  void installed(const life& l, const deliver_view& v) override { views_[l.number] = v.what; }
  void started(const life& l, const disk::found& found) override {
    if (found.checkpoint) views_[l.number] = found.checkpoint->in_force;
  }
  void persisted(const life& l, const persist_op& op) override {
    const auto* b = std::get_if<persist_batch>(&op.what);
    if (b && b->what.owner == l.member()) sealed_.try_emplace({b->what.lane(), b->what.seq}, b->what.view);
  }
  void sent(const life& l, const message& what) override {
    const auto* b = std::get_if<batch>(&what);
    if (b && b->owner == l.member()) sealed_.try_emplace({b->lane(), b->seq}, b->view);
  }
  void delivered(const life& l, const deliver_batch& b) override {
    const auto sealed = sealed_.find({b.lane(), b.seq});
    if (sealed != sealed_.end() && sealed->second != b.view)
      fail("batch " + std::to_string(b.seq) + " of member " + std::to_string(to_index(b.sender)) + " was sealed in view " +
           std::to_string(sealed->second) + " and is delivered in view " + std::to_string(b.view));
    const auto v = views_.find(l.number);
    if (v == views_.end()) return;  // a restarted member is not told again of the view it starts in
    if (v->second->number != b.view) {
      fail("member " + std::to_string(to_index(l.member())) + " delivers a batch of view " + std::to_string(b.view) +
           " while in view " + std::to_string(v->second->number));
      return;
    }
    for (const auto& r : v->second->roster)
      if (r.active && r.id.member == b.sender && r.inc == b.inc) return;
    fail("a batch of member " + std::to_string(to_index(b.sender)) + " is delivered in view " + std::to_string(b.view) +
         ", in which its sender is not active");
  }

private:
  std::map<std::uint64_t, view_ptr> views_;
  std::map<std::pair<lane_name, sequence>, view_number> sealed_;
};

}  // namespace

std::unique_ptr<checker> check_sending_view() { return std::make_unique<sending_view>(); }

}  // namespace cohort::sim
