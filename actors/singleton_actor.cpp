// A singleton whose instance is a supervised actor. The office, the order and the answers are the singleton's; here is what starts and
// stops the actor, and carries requests to it.
#include "actors/bulk.hpp"
#include "actors/caf_compat.hpp"
#include "actors/node_impl.hpp"

#include <cohort/singleton_actor.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace cohort::detail {

/// One request on its way to the actor and back. Any thread.
class errand {
public:
  enum class state : std::uint8_t { open, answered, failed };
  void finish(state how, std::string text) {
    std::lock_guard guard(mutex_);
    now_ = how;
    text_ = std::move(text);
  }
  state look(std::string& text) const {
    std::lock_guard guard(mutex_);
    if (now_ != state::open) text = text_;
    return now_;
  }

private:
  mutable std::mutex mutex_;  // guards what follows
  state now_ = state::open;
  std::string text_;
};

struct errand_order {
  singleton_request what;
  caf::actor to;
  std::shared_ptr<errand> of;
  std::function<void()> then;
};

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::errand_order)

namespace cohort {
namespace detail {
namespace {

using namespace std::chrono_literals;

constexpr auto try_again_after = 5ms;
constexpr auto said_after = 2s;

/// Asks for those who are no actors.
caf::behavior courier(caf::event_based_actor* self) {
  return {[self](const errand_order& o) {
    self->request(o.to, caf::infinite, o.what)
      .then(
        [of = o.of, then = o.then](std::string& answer) {
          of->finish(errand::state::answered, std::move(answer));
          then();
        },
        [of = o.of, then = o.then](const caf::error& why) {
          of->finish(errand::state::failed, cc::text(why));
          then();
        });
  }};
}

/// An instance that is wanted, from its office's begin to its end.
struct instance {
  instance(std::string of, fencing_token t, supervisors all, std::function<void()> wake)
      : group(std::move(of)), token(t), children(std::move(all)), look_again(std::move(wake)) {}
  const std::string group;
  const fencing_token token;
  supervisors children;
  const std::function<void()> look_again;
  std::atomic<bool> wanted{true};
  const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  bool is_child = false, said = false;  ///< keeper's thread
  std::mutex mutex;             // guards what follows
  caf::actor actor, courier;    ///< null: it has not begun
};

/// Starts and stops the instances on this node of one group, or of all groups of one type, one after the other, on a thread of its own: both
/// wait for supervisors.
class instance_keeper {
public:
  instance_keeper(node::impl& where, singleton_actor_factory make, singleton_actor_options options)
      : node_(where), make_(std::move(make)), options_(std::move(options)) {}

  std::shared_ptr<instance> begin(const std::string& group, fencing_token token, std::function<void()> look_again) {
    auto made = std::make_shared<instance>(group, token, supervisors(node_.supervision()), std::move(look_again));
    worker_.post([this, made] { start(made); });
    return made;
  }
  void end(std::shared_ptr<instance> what) {
    what->wanted.store(false, std::memory_order_relaxed);
    worker_.post([this, what = std::move(what)] { stop(*what); });
  }
  /// Whether the actor goes on, or its next life does: else what failed did because the instance ends.
  bool goes_on(const instance& what) const {
    const auto all = what.children.children();
    const auto own = std::ranges::find(all, what.group, &child_status::path);
    return own != all.end() && own->state != "stopping" && own->state != "ended" && own->state != "stuck";
  }

private:
  void start(const std::shared_ptr<instance>& what) {
    if (!what->wanted.load(std::memory_order_relaxed)) return;
    try {
      if (!what->is_child) what->children.start("", what->group, [this, what](child_start& at) { return life(at, *what); }, options_.child);
      what->is_child = true;
    } catch (const node_error& e) {  // the former instance is about to end, or the node
      if (!what->said && std::chrono::steady_clock::now() - what->begun > said_after) {
        node_.log.write(log_level::warn, "group=" + what->group + " the singleton's actor cannot begin: " + e.what());
        what->said = true;
      }
      return start_again(what);
    }
    auto address = what->children.address(what->group);
    if (!address) return start_again(what);  // it failed while starting, and is started again
    {
      std::lock_guard guard(what->mutex);
      what->actor = std::move(address);
    }
    what->look_again();
  }

  /// Behind what else is to be done: no group waits for another one's actor.
  void start_again(const std::shared_ptr<instance>& what) {
    std::this_thread::sleep_for(try_again_after);
    worker_.post([this, what] { start(what); });
  }

  /// On the supervisors' thread.
  caf::actor life(child_start& at, instance& of) const {
    auto made = make_(at, of.token);
    if (made && !dynamic_cast<process*>(caf::actor_cast<caf::abstract_actor*>(made)))
      throw std::logic_error("the actor of a singleton is a cohort::process that child_start::spawn made");
    std::lock_guard guard(of.mutex);
    if (!of.courier) of.courier = at.system().spawn(courier);
    return made;
  }

  void stop(instance& what) {
    caf::actor courier;
    {
      std::lock_guard guard(what.mutex);
      what.actor = nullptr;
      courier = std::move(what.courier);
    }
    if (what.is_child) what.children.remove(what.group);
    if (courier) caf::anon_send_exit(courier, caf::exit_reason::user_shutdown);
  }

  node::impl& node_;
  const singleton_actor_factory make_;
  const singleton_actor_options options_;
  bulk_worker worker_;
};

class actor_singleton final : public singleton {
public:
  actor_singleton(std::shared_ptr<instance_keeper> keeper, std::string group) : keeper_(std::move(keeper)), group_(std::move(group)) {}
  ~actor_singleton() override {
    if (instance_) keeper_->end(instance_);
  }

  void handles_later(std::function<void()> look_again) override { look_again_ = std::move(look_again); }
  void started(fencing_token token) override {
    instance_ = keeper_->begin(group_, token, look_again_);
  }

  void handle(const delivery& message, reply& answer) override {
    if (errand_ && position_ != message.position) errand_ = nullptr;
    if (!errand_) {
      position_ = message.position;
      send(message);
      return answer.defer();
    }
    std::string text;
    switch (errand_->look(text)) {
      case errand::state::open: return answer.defer();
      case errand::state::answered: answer.write(text); break;
      case errand::state::failed:
        if (!keeper_->goes_on(*instance_)) return answer.defer();  // the next instance is given it
        answer.write("failed: " + text);
        break;
    }
    errand_ = nullptr;
  }

private:
  /// Later, if the actor has not begun.
  void send(const delivery& message) {
    std::lock_guard guard(instance_->mutex);
    if (!instance_->actor) return;
    errand_ = std::make_shared<errand>();
    std::string body(reinterpret_cast<const char*>(message.payload.data()), message.payload.size());
    cc::hand_over(instance_->courier, errand_order{{std::move(body), message.position, message.time}, instance_->actor, errand_, look_again_});
  }

  const std::shared_ptr<instance_keeper> keeper_;
  const std::string group_;
  std::function<void()> look_again_;
  std::shared_ptr<instance> instance_;
  std::shared_ptr<errand> errand_;   ///< null: nothing is on its way
  std::uint64_t position_ = 0;       ///< of the message it is for
};

}  // namespace
}  // namespace detail

namespace {

/// Throws `node_error`.
std::shared_ptr<detail::instance_keeper> keeper_for(node& where, const std::string& what, const std::string& name, singleton_actor_factory make,
                                                    const singleton_actor_options& options) {
  if (!make) throw node_error(what + ": no actor is given");
  supervision_tree("checked").child(name, [](child_start&) { return caf::actor(); }, options.child);  // throws if it is no name
  if (options.child.restart != restart_type::permanent)
    throw node_error(what + ": the actor of a singleton is started again whenever it ends, so it is a permanent child");
  return std::make_shared<detail::instance_keeper>(where.internals(), std::move(make), options);
}

}  // namespace

void spawn_singleton(node& where, std::string_view group, singleton_actor_factory make, contract how, singleton_actor_options options) {
  const std::string name(group);
  auto keeper = keeper_for(where, "group " + name, name, std::move(make), options);
  where.host_singleton(group, [keeper, name] { return std::make_unique<detail::actor_singleton>(keeper, name); }, std::move(how));
}

void register_singleton(node& where, std::string_view type, singleton_actor_factory make, singleton_actor_options options) {
  const std::string name(type);
  auto keeper = keeper_for(where, "type " + name, name, std::move(make), options);
  where.internals().register_type(type, {.service_of = [keeper](const std::string& group) {
    return as_service([keeper, group] { return std::make_unique<detail::actor_singleton>(keeper, group); });
  }});
}

}  // namespace cohort
