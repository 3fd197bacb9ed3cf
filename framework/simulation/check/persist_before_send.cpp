// D9: what a message testifies is on its sender's disk when it leaves.
#include "framework/simulation/check/properties.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/recovered_state.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class persist_before_send final : public checker {
public:
  const char* property() const override { return "D9 persist before send"; }

  void started(const life& l, const disk::found& found) override {
    auto& m = members_[l.number];
    m.written = l.storage->testifies();
    if (!found.state) return;
    for (const auto* known : {found.state->founded ? &found.state->promises.base : nullptr, found.checkpoint ? &*found.checkpoint : nullptr}) {
      if (!known) continue;
      learn(m, *known);
      m.entered[known->in_force->number] = 0;
    }
  }
  void stopped(const life& l) override { members_.erase(l.number); }
  void persisted(const life& l, const persist_op& op) override { members_[l.number].written.take(op); }
  void restored(const life& l, const mark& at) override { learn(members_[l.number], at); }
  void installed(const life& l, const deliver_view& v) override {
    auto& m = members_[l.number];
    m.views[v.what->number] = v.what;
    m.entered.try_emplace(v.what->number, v.index);  // a checkpoint may tell of it once more
  }
  void sent(const life& l, const message& what) override {
    if (!l.durable) return;
    const auto& m = members_[l.number];
    const auto& disk = l.storage->testifies();
    const auto who = "member " + std::to_string(to_index(l.member()));
    if (const auto* a = std::get_if<ack>(&what)) {
      if (a->no_state) return;
      if (a->term > disk.promises.term) fail(who + " acknowledges in a term that is not on its disk");
      const auto safe = std::max(disk.promises.base.index, disk.checkpoint);
      // What was held back may speak of a log that has been cut or rebased since: an entry of a later term is not meant.
      const auto meant = term_at(m.written, a->match);
      // An ack that waited for a term to reach the disk may leave after a later leader has overwritten what it tells of.
      // It stays true of the term it names: whoever could be elected since had to have a log as new as the acker's (E3).
      const bool history = term_at(disk, disk.last()) > a->match_term;
      if (a->match > safe && !history && (a->match > disk.last() || (meant != 0 && meant <= a->match_term && term_at(disk, a->match) != meant)))
        fail(who + " acknowledges entry " + std::to_string(a->match) + ", which is not on its disk");
      frontier_on_disk(m, disk, a->view, a->have, who + " acknowledges");
      const auto entered = m.entered.find(a->view);
      if (entered != m.entered.end() && entered->second > std::max(disk.promises.view_commit, safe))
        fail(who + " tells of view " + std::to_string(a->view) + ", of which its disk does not know (PA4)");
    } else if (const auto* v = std::get_if<vote>(&what)) {
      if (v->phase != vote_phase::real) return;
      if (v->request && disk.promises.term < v->term) fail(who + " stands in a term that is not on its disk");
      if (!v->request && v->granted &&
          (disk.promises.term < v->for_term || (disk.promises.term == v->for_term && disk.promises.vote.member == no_member)))
        fail(who + " votes without its vote on disk");
    } else if (const auto* j = std::get_if<join>(&what)) {
      if (j->burnt == 0 && j->inc > disk.promises.inc) fail(who + " uses an incarnation that is not on its disk");
    } else if (const auto* r = std::get_if<report>(&what)) {
      frontier_on_disk(m, disk, r->view, r->front, who + " reports");
    }
  }

private:
  struct member {
    disk::image written;
    std::map<view_number, view_ptr> views;
    std::map<view_number, log_index> entered;
    std::map<lane_name, sequence> floor;  ///< covered by a checkpoint
  };

  static term_number term_at(const disk::image& i, log_index at) {
    return at >= i.first && at <= i.last() ? i.terms[at - i.first] : 0;
  }
  /// What a disk begins with that a group went over to (X3): its checkpoint covers that.
  static sequence below(const mark& base, const lane_name& lane) {
    const slot s = base.in_force ? slot_of_lane(*base.in_force, lane) : no_slot;
    return s == no_slot ? 0 : protocol::at(base.cut, s);
  }
  static void learn(member& m, const mark& at) {
    m.views[at.in_force->number] = at.in_force;
    for (slot s = 0; s < lane_count(*at.in_force); ++s) {
      auto& f = m.floor[lane_at(*at.in_force, s)];
      f = std::max(f, protocol::at(at.cut, s));
    }
  }
  void frontier_on_disk(const member& m, const disk::image& disk, view_number number, const frontier& f, const std::string& who) {
    const auto v = m.views.find(number);
    if (v == m.views.end()) return;
    for (slot s = 0; s < lane_count(*v->second); ++s) {
      const auto name = lane_at(*v->second, s);
      const auto claimed = protocol::at(f, s);
      const auto lane = disk.lanes.find(name);
      const auto floor = m.floor.find(name);
      const auto has = std::max({lane == disk.lanes.end() ? 0 : lane->second, floor == m.floor.end() ? 0 : floor->second, below(disk.promises.base, name)});
      if (claimed > has)
        fail(who + " batch " + std::to_string(claimed) + " of member " + std::to_string(to_index(name.owner)) +
             ", on its disk are " + std::to_string(has));
    }
  }

  std::map<std::uint64_t, member> members_;
};

}  // namespace

std::unique_ptr<checker> check_persist_before_send() { return std::make_unique<persist_before_send>(); }

}  // namespace cohort::sim
