// I18: no active member needs an entry that its leader has trimmed. (A member may begin above it by a checkpoint of its
// own; then it is excluded, S3.)
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class trim final : public checker {
public:
  const char* property() const override { return "I18 trim"; }

  void stopped(const life& l) override { states_.erase(l.number); }
  void restored(const life& l, const mark&) override { states_[l.number].base_moved_by_checkpoint = true; }
  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state) return;
    auto& s = states_[l.number];
    const auto before = std::exchange(s.base, in.log.base().index);
    const bool checkpoint = std::exchange(s.base_moved_by_checkpoint, false);
    s.applied = in.applied;
    s.id = in.start.self;
    s.inc = in.promises.inc;
    s.in_force = in.in_force;
    s.active = in.my_slot != no_slot;
    if (in.role != core_role::leader || s.base <= before || before == 0 || checkpoint) return;
    for (const auto& [other, state] : states_) {
      // Whoever was put out of the leader's view gets a checkpoint.
      const auto* r = find(*in.in_force, state.id);
      if (other == l.number || !state.active || !r || !r->active || r->inc != state.inc) continue;
      if (state.applied < s.base)
        fail("the leader trimmed its log to " + std::to_string(s.base) + ", active member " +
             std::to_string(to_index(state.id.member)) + " is at " + std::to_string(state.applied));
    }
  }

private:
  struct state {
    log_index base = 0, applied = 0;
    bool base_moved_by_checkpoint = false, active = false;
    voter_id id;
    incarnation inc = 0;
    view_ptr in_force;
  };
  std::map<std::uint64_t, state> states_;
};

}  // namespace

std::unique_ptr<checker> check_trim() { return std::make_unique<trim>(); }

}  // namespace cohort::sim
