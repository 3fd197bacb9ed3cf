// X3, D9: what is applied while the group is journaled is on the disks of a quorum, each under the identity that votes.
// So the VIEW that makes it journaled is, with everything before it. Nobody goes on from a disk which its last life had
// ceased to write to: that life may have promised anything.
#include "framework/protocol/recovered_state.hpp"
#include "framework/simulation/check/properties.hpp"

#include <map>
#include <set>

namespace cohort::sim {

using namespace protocol;

namespace {

class durability final : public checker {
public:
  const char* property() const override { return "X3 durability"; }

  void started(const life& l, const disk::found& found) override {
    disks_[l.node] = l.storage;
    if (in_memory_.erase(l.node) && found.state && found.state->founded)
      fail("member " + std::to_string(to_index(l.member())) + " goes on from a disk that was not written to any more");
  }
  void disk_lost(unsigned node) override { disks_.erase(node), lost_ = true; }

  /// Who is first to apply an entry is asked; nobody can have left for a view behind it by then.
  void passed(const life& l, const inspector::inside& in) override {
    if (in.has_state && in.kept != inspector::inside::keeping::disk) in_memory_.insert(l.node);
    else in_memory_.erase(l.node);
    if (!in.has_state || in.applied <= reached_) return;
    reached_ = in.applied;
    if (!in.in_force->options.durable || lost_)
      return;  // acknowledgements of a disk that was lost later count until it is told
    const term_number term = in.log.has(in.applied) ? in.log.term_at(in.applied) : 0;
    std::size_t copies = 0;
    for (const auto& r : in.in_force->roster) copies += r.voter && holds(r.id, in.applied, term);
    if (copies < quorum_size(*in.in_force))
      fail("entry " + std::to_string(in.applied) + " is applied in journaled view " +
           std::to_string(in.in_force->number) + ", and " + std::to_string(copies) + " of its voters' disks hold it");
  }

private:
  bool holds(voter_id id, log_index index, term_number term) const {
    const auto found = disks_.find(static_cast<unsigned>(to_index(id.member)));
    if (found == disks_.end() || !found->second) return false;
    const auto& on = found->second->testifies();
    if (on.promises.valid_from == 0 || !on.promises.base.in_force || on.promises.identity != id.identity) return false;
    if (index <= std::max(on.promises.base.index, on.checkpoint)) return true;
    return index >= on.first && index <= on.last() && (term == 0 || on.terms[index - on.first] == term);
  }

  std::map<unsigned, const disk*> disks_;
  std::set<unsigned> in_memory_;
  log_index reached_ = 0;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<checker> check_durability() { return std::make_unique<durability>(); }

}  // namespace cohort::sim
