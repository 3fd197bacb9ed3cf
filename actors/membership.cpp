#include "actors/membership.hpp"

#include "actors/ordering.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace cohort::detail {
namespace {

class membership_actor final : public pinned_actor {
public:
  membership_actor(caf::actor_config& config, std::shared_ptr<pinned_unit> unit) : pinned_actor(config, std::move(unit)) {}

  const char* name() const override { return "cohort.membership"; }

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const view_news& m) {
        newest_ = m.what;
        for (auto& s : processes_) tell(s.process);
      },
      [this](const group_primary& m) {
        primary_ = m;
        tell_more(m);
      },
      [this](const rules_news& m) {
        rules_ = m;
        tell_more(m.what);
      },
      [this](const view_subscribe& m) {
        const auto known = std::find_if(processes_.begin(), processes_.end(), [&](auto& s) { return s.process == m.process; });
        if (known != processes_.end()) {
          if (m.what == group_news::all && std::exchange(known->what, m.what) != m.what) tell_more_at_once(m.process);
          return;
        }
        processes_.push_back(m);
        auto address = m.process.address();
        cc::watch(m.process, caf::actor(this), [address](const caf::error&) { return view_unsubscribe{address}; });
        if (newest_) tell(m.process);
        if (m.what == group_news::all) tell_more_at_once(m.process);
      },
      [this](const view_unsubscribe& m) {
        std::erase_if(processes_, [&](auto& s) { return s.process.address() == m.process; });
      },
      [this](const group_deleted& m) {
        for (auto& s : processes_) cc::hand_over(s.process, m);
      },
      [this](actor_stop) {
        processes_.clear();
        quit();
      },
    };
  }

private:
  /// Never with our execution unit: the process's code must not run on this thread.
  void tell(const caf::actor& process) { cc::hand_over(process, *newest_); }

  template <class News>
  void tell_more(const News& what) {
    for (auto& s : processes_)
      if (s.what == group_news::all) cc::hand_over(s.process, what);
  }
  void tell_more_at_once(const caf::actor& process) {
    if (primary_) cc::hand_over(process, *primary_);
    if (rules_ && !rules_->other.empty()) cc::hand_over(process, group_rules_changed{rules_->what.group, rules_->what.now, rules_->other, rules_->what.view});
  }

  std::vector<view_subscribe> processes_;
  view_ptr newest_;
  std::optional<group_primary> primary_;
  std::optional<rules_news> rules_;
};

}  // namespace

caf::actor spawn_membership(caf::actor_system& system, std::shared_ptr<pinned_unit> unit) {
  return system.spawn<membership_actor>(std::move(unit));
}

}  // namespace cohort::detail
