#include "actors/membership.hpp"

#include "actors/ordering.hpp"

#include <algorithm>
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
        for (auto& process : processes_) tell(process);
      },
      [this](const view_subscribe& m) {
        if (std::find(processes_.begin(), processes_.end(), m.process) != processes_.end()) return;
        processes_.push_back(m.process);
        auto address = m.process.address();
        cc::watch(m.process, caf::actor(this), [address](const caf::error&) { return view_unsubscribe{address}; });
        if (newest_) tell(m.process);
      },
      [this](const view_unsubscribe& m) {
        std::erase_if(processes_, [&](auto& process) { return process.address() == m.process; });
      },
      [this](const group_deleted& m) {
        for (auto& process : processes_) cc::hand_over(process, m);
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

  std::vector<caf::actor> processes_;
  view_ptr newest_;
};

}  // namespace

caf::actor spawn_membership(caf::actor_system& system, std::shared_ptr<pinned_unit> unit) {
  return system.spawn<membership_actor>(std::move(unit));
}

}  // namespace cohort::detail
