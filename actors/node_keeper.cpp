// The keeper's thread of a node: ends and begins runtimes.
#include "actors/node_impl.hpp"

#include "actors/awaited.hpp"

#include <algorithm>
#include <utility>

namespace cohort {

void node::impl::new_runtime(std::vector<std::uint32_t> give_up) {
  std::vector<std::shared_ptr<detail::group_entry>> entries;
  for (auto& [name, entry] : groups_)
    if (!entry->created) entries.push_back(entry);
  if (catalogue_) entries.push_back(catalogue_);
  auto made = std::make_unique<detail::runtime>(
    config, nodes_, entries, *system_, log,
    detail::runtime_calls{.failed = [this](const std::string& why) { runtime_failed(why); }, .watch = watch_,
                          .diverged = [this](const divergence_report& what) {
                            std::lock_guard guard(divergence_mutex_);
                            if (tell_divergence_) tell_divergence_(what);
                          }},
    std::move(give_up));
  std::lock_guard guard(mutex_);
  runtime_ = std::move(made);
  for (const auto& e : entries) tell_subscribers(*e);
  groups_changed_ = true;  // those that were created begin behind the catalogue
}

/// Under `mutex_`: those of the group are told of its views, which have a new source.
void node::impl::tell_subscribers(const detail::group_entry& of) {
  const auto link = of.running();
  std::erase_if(subscribers_, [&](auto& s) {
    auto process = caf::actor_cast<caf::actor>(s.process);
    if (process && link && s.group.get() == &of) link->tell_views(process, s.what);
    return !process;
  });
}

void node::impl::restart() {
  {
    std::lock_guard guard(mutex_);
    restart_wanted_ = true;
  }
  changed_.notify_all();
}

/// The keeper thread: ends and begins runtimes, which waits for threads and disks and so belongs to no actor.
void node::impl::keep() {
  for (;;) {
    std::unique_ptr<detail::runtime> old;
    std::vector<repair_asked> repairs;
    {
      std::unique_lock guard(mutex_);
      const auto wanted = [this] { return ending_ || restart_wanted_ || (runtime_ && (groups_changed_ || !repairs_.empty())); };
      if (!places_awaited_) changed_.wait(guard, wanted);
      else if (!changed_.wait_for(guard, detail::look_every, wanted) && !runtime_) continue;
      if (ending_) return;
      if (!restart_wanted_ && repairs_.empty()) {
        groups_changed_ = false;
        guard.unlock();
        settle_groups();
        continue;
      }
      restart_wanted_ = false;
      repairs = std::exchange(repairs_, {});
      if (repairs.empty()) old = std::move(runtime_);
    }
    // Nothing failed: the node's other groups are left in order, and while that lasts the runtime is there for whoever asks.
    if (!repairs.empty() && runtime_) {
      runtime_->drain(config.stop_limit / 4);
      std::lock_guard guard(mutex_);
      old = std::move(runtime_);
    }
    {
      std::lock_guard guard(groups_mutex_);
      for (auto& [number, g] : created_) g.runs = false;
    }
    old.reset();
    try {
      new_runtime(given_up(repairs));
      log.write(detail::log_level::info, "started again");
      std::lock_guard guard(mutex_);
      ++runtime_restarts_;
      for (const auto& r : repairs) r.done->set_value({true, {}});
    } catch (const std::exception& e) {
      for (const auto& r : repairs) r.done->set_value({false, std::string("the node could not begin again: ") + e.what()});
      runtime_failed(e.what());
    }
  }
}

// ---- a state that is dropped ----------------------------------------------------------------------------------------

/// What the node holds of a group is as that of a host whose disk is gone (D3): its voter is another one from now on, so all that the
/// former promised is left to the others. They must be a quorum without it.
std::future<change_result> node::impl::repair(std::string_view group) {
  const auto refused = [](std::string why) {
    std::promise<change_result> now;
    now.set_value({false, std::move(why)});
    return now.get_future();
  };
  const auto of = entry(group);
  const auto name = "group " + of->name;
  if (of->how.partitions == partition_policy::partitionable)
    return refused(name + " is partitionable: its members' states may differ, and are reconciled where they meet");
  if (!of->make_machine && !of->make_service) return refused(name + " has no state");
  const auto figures = look();
  const auto* own = figures ? figures->find(of->name) : nullptr;
  if (!own || own->members.empty()) return refused("the node does not know the members of " + name + " yet; ask again");
  std::size_t voters = 0, others = 0;
  for (const auto& m : own->members) {
    voters += m.voter;
    others += m.voter && m.active && m.name != config.name;
  }
  if (own->role == "witness") return refused("this node is a witness of " + name + ", and keeps no state");
  if (others < voters / 2 + 1)
    return refused(name + " would have " + std::to_string(others) + " active of " + std::to_string(voters) +
                   " voters without this node's state, which is no quorum: bring others back first");
  repair_asked asked{of, std::make_shared<std::promise<change_result>>()};
  auto answer = asked.done->get_future();
  {
    std::lock_guard guard(mutex_);
    if (ending_ || !runtime_) return refused("the node stops, or begins anew");
    repairs_.push_back(std::move(asked));
  }
  changed_.notify_all();
  return answer;
}

/// Their entries begin anew.
std::vector<std::uint32_t> node::impl::given_up(const std::vector<repair_asked>& repairs) const {
  std::vector<std::uint32_t> numbers;
  for (const auto& r : repairs) {
    log.write(detail::log_level::warn, "group=" + r.of->name + " an operator has this node drop its state; it is given the others'");
    r.of->left = r.of->diverged = false;
    r.of->report(detail::divergence_figures{});
    numbers.push_back(place_of(r.of->index));
  }
  return numbers;
}

void node::impl::refuse_repairs(const std::string& why) {
  for (const auto& r : std::exchange(repairs_, {})) r.done->set_value({false, why});
}

std::future<change_result> node::repair(std::string_view group) { return impl_->repair(group); }

}  // namespace cohort
