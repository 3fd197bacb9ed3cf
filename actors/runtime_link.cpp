// Ports' side of a group that a runtime runs.
#include "actors/runtime.hpp"

#include <mutex>

namespace cohort::detail {

using namespace std::chrono_literals;

class runtime::link_to_group final : public group_link {
public:
  link_to_group(runtime& owner, const group& of)
      : owner_(&owner), index_(of.entry->index), ordering_(of.ordering), membership_(of.membership), process_(of.process) {}

  void flushed(std::shared_ptr<port_state> port) override {
    {
      std::lock_guard guard(mutex_);
      if (owner_) return cc::hand_over(ordering_, port_flushed{std::move(port)});
    }
    port->refuse_inbox(outcome::stopped);
  }

  void ask(std::shared_ptr<question_set> questions) override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(process_, std::move(questions));
  }

  void calls_changed() override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(ordering_, detail::calls_changed{});
  }

  group_status status() override {
    if (auto now = on_protocol_thread<group_status>([](runtime& r, const group& g) { return r.status_of(g); })) return *now;
    group_status none;
    none.role = "stopped";
    return none;
  }

  std::optional<group_rules> rules() override {
    return on_protocol_thread<group_rules>([](runtime&, const group& g) { return g.driver->rules(); });
  }

  void change(change_asked what) override {
    {
      std::lock_guard guard(mutex_);
      if (owner_) {
        const auto who = owner_->nodes_->number_of(what.member).value_or(no_member);
        return cc::hand_over(ordering_, change_wanted{who, std::move(what)});
      }
    }
    what.done({false, "the node's part of the group is stopped"});
  }

  void hand_over() override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(ordering_, lead_no_more{});
  }

  void tell_views(const caf::actor& process, group_news what) override {
    std::lock_guard guard(mutex_);
    if (owner_) cc::hand_over(membership_, view_subscribe{process, what});
  }

  void end() {
    std::lock_guard guard(mutex_);
    owner_ = nullptr;
    ordering_ = nullptr;
    membership_ = nullptr;
    process_ = nullptr;
  }

private:
  /// Empty if the runtime ended with the question in its queue, or does not get to it.
  template <class T, class F>
  std::optional<T> on_protocol_thread(F ask) {
    auto answer = std::make_shared<std::promise<T>>();
    auto future = answer->get_future();
    {
      std::lock_guard guard(mutex_);
      if (owner_)
        owner_->loop_->post([owner = owner_, index = index_, ask, answer] {
          if (const auto* g = owner->groups_.find(index)) answer->set_value(ask(*owner, *g));
        });
    }
    answer.reset();
    if (future.wait_for(1s) != std::future_status::ready) return {};
    try {
      return future.get();
    } catch (const std::future_error&) {
      return {};
    }
  }

  std::mutex mutex_;
  runtime* owner_;
  const std::uint32_t index_;
  caf::actor ordering_, membership_, process_;
};

void runtime::connect(group& g) {
  g.link = std::make_shared<link_to_group>(*this, g);
  g.entry->run_by(g.link);
}

void runtime::disconnect(group& g) {
  if (!g.link) return;
  g.entry->run_by(nullptr);
  g.link->end();
}

}  // namespace cohort::detail
