#include "actors/group_actor.hpp"

#include "actors/node_impl.hpp"

#include <cohort/group.hpp>
#include <cohort/supervisor.hpp>

#include <unordered_map>

namespace cohort {
namespace {

const caf::atom_value error_category = caf::atom("cohort");

}  // namespace

caf::error make_error(outcome o) {
  return caf::error(static_cast<std::uint8_t>(static_cast<std::uint8_t>(o) + 1), error_category,
                    caf::make_message(std::string(to_string(o))));
}

outcome outcome_of(const caf::error& e) {
  if (!e || e.category() != error_category) return outcome::replied;
  return static_cast<outcome>(e.code() - 1);
}

namespace detail {
namespace {

class group_handle_actor final : public caf::event_based_actor {
public:
  group_handle_actor(caf::actor_config& config, std::function<group_port(port_wake)> open)
      : event_based_actor(config), open_(std::move(open)) {}

  const char* name() const override { return "cohort.group"; }

protected:
  caf::behavior make_behavior() override {
    // The port is owned by this actor, so the wake function may hold its address only: it must not keep it alive.
    auto address = caf::actor_cast<caf::actor_addr>(caf::actor(this));
    port_ = open_([address] {
      if (auto me = caf::actor_cast<caf::actor>(address)) cc::hand_over(me, port_ready{});
    });
    return {
      [this](const std::string& body) { return submit(body, {}); },
      [this](const std::string& body, order how) { return submit(body, how); },
      [this](port_ready) {
        while (port_.take(done_))
          for (std::size_t i = 0; i < done_.size(); ++i) answer(done_[i]);
      },
    };
  }

private:
  caf::result<std::string> submit(const std::string& body, std::optional<order> how) {
    auto promise = make_response_promise();
    auto tag = next_tag_++;
    if (promise.pending()) waiting_.emplace(tag, promise);
    port_.submit(std::as_bytes(std::span(body)), tag, how);
    port_.flush();
    return caf::delegated<std::string>{};
  }

  void answer(const completion& c) {
    auto waiting = waiting_.find(c.tag);
    if (waiting == waiting_.end()) return;
    auto promise = std::move(waiting->second);
    waiting_.erase(waiting);
    if (c.outcome == outcome::replied)
      promise.deliver(std::string(reinterpret_cast<const char*>(c.reply.data()), c.reply.size()));
    else
      promise.deliver(make_error(c.outcome));
  }

  std::function<group_port(port_wake)> open_;
  group_port port_;
  completion_batch done_;
  std::uint64_t next_tag_ = 1;
  std::unordered_map<std::uint64_t, caf::response_promise> waiting_;
};

}  // namespace

caf::actor spawn_group_handle(caf::actor_system& system, std::function<group_port(port_wake)> open) {
  return system.spawn<group_handle_actor>(std::move(open));
}

}  // namespace detail

caf::actor group_handle(node& where, std::string_view group) { return where.internals().group_handle(group); }

void subscribe(node& where, std::string_view group, const caf::actor& process) {
  where.internals().subscribe(group, process);
}

supervisors supervisors_of(node& where) { return supervisors(where.internals().supervision()); }

caf::actor_system& actor_system_of(node& where) { return where.internals().system(); }

void supervise(node& where, const std::string& name, std::function<caf::actor(caf::actor_system&)> spawn) {
  supervisors_of(where).start("", name, [spawn = std::move(spawn)](child_start& at) { return spawn(at.system()); },
                              {.restart = restart_type::transient});
}

}  // namespace cohort
