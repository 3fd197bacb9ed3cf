// I21: view numbers of a life grow; and while links stay as they are, however bad, views and leaders come to rest.
#include "framework/simulation/check/properties.hpp"

#include <map>
#include <utility>

namespace cohort::sim {

using namespace protocol;

namespace {

class stable_views final : public checker {
public:
  const char* property() const override { return "I21 stable views"; }

  void time(instant now) override { now_ = now; }

  void installed(const life& l, const deliver_view& v) override {
    const auto [known, fresh] = newest_of_.try_emplace(l.number, v.what->number);
    // A checkpoint brings its view along, even if that was installed already.
    const bool again = std::exchange(restored_[l.number], false) && v.what->number == known->second;
    if (!fresh && !again && v.what->number <= known->second)
      fail("member " + std::to_string(to_index(l.member())) + " goes from view " + std::to_string(known->second) + " to view " +
           std::to_string(v.what->number));
    known->second = v.what->number;
    if (v.what->number <= newest_) return;
    changes_ += v.what->number - newest_;
    newest_ = v.what->number;
  }

  void restored(const life& l, const mark&) override { restored_.insert_or_assign(l.number, true); }

  void happened(const life&, const event& e) override {
    if (e.kind == event_kind::elected) ++leaders_;
  }

  void steady(unsigned members) override {
    if (members > 0) {
      members_ = members;
      changes_ = leaders_ = 0;
      since_ = now_;
      return;
    }
    // Each member may go once, and come back once with a vote to be settled; a link that comes and goes takes its member along
    // as often as V23 holds it back no longer, six times in 22 s with the shortest timers. Each may come to lead once, and
    // once more where a view change or a hand-over crosses an election.
    const auto seconds = std::to_string((now_ - since_) / std::chrono::seconds(1));
    if (changes_ > 4 * members_)
      fail("bad links that stay as they are led to " + std::to_string(changes_) + " views in " + seconds + " s");
    if (leaders_ > 2 * members_)
      fail("bad links that stay as they are led to " + std::to_string(leaders_) + " leaders in " + seconds + " s");
  }

private:
  instant now_{}, since_{};
  unsigned members_ = 0;
  std::map<std::uint64_t, view_number> newest_of_;
  std::map<std::uint64_t, bool> restored_;
  view_number newest_ = 0;
  std::uint64_t changes_ = 0, leaders_ = 0;
};

}  // namespace

std::unique_ptr<checker> check_stable_views() { return std::make_unique<stable_views>(); }

}  // namespace cohort::sim
