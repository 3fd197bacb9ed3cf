#include "actors/group_actor.hpp"

#include "actors/node_impl.hpp"

#include <cohort/group.hpp>
#include <cohort/monitor.hpp>
#include <cohort/supervisor.hpp>

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cohort {
namespace {

const caf::atom_value error_category = caf::atom("cohort");

caf::error error_of(outcome o, caf::message context) {
  return caf::error(static_cast<std::uint8_t>(static_cast<std::uint8_t>(o) + 1), error_category, std::move(context));
}

}  // namespace

caf::error make_error(outcome o) { return error_of(o, caf::make_message(std::string(to_string(o)))); }

outcome outcome_of(const caf::error& e) {
  if (!e || e.category() != error_category) return outcome::replied;
  return static_cast<outcome>(e.code() - 1);
}

std::optional<std::chrono::milliseconds> retry_after(const caf::error& e) {
  if (outcome_of(e) != outcome::busy || !e.context().match_elements<std::string, std::int64_t>()) return {};
  return std::chrono::milliseconds(e.context().get_as<std::int64_t>(1));
}

namespace detail {
namespace {

/// Bytes a second that leave a queue, of late.
class pace {
public:
  /// `taken` = bytes that have left it ever.
  void observe(std::uint64_t taken, std::chrono::steady_clock::time_point now) {
    const auto since = now - seen_at_;
    if (since < std::chrono::milliseconds(20)) return;
    const auto fresh = static_cast<double>(taken - seen_) / std::chrono::duration<double>(since).count();
    bytes_a_second_ = bytes_a_second_ == 0 ? fresh : (bytes_a_second_ + fresh) / 2;
    seen_ = taken;
    seen_at_ = now;
  }
  std::chrono::milliseconds time_for(std::size_t bytes, std::chrono::milliseconds most) const {
    const auto milliseconds = bytes_a_second_ > 0 ? static_cast<double>(bytes) / bytes_a_second_ * 1e3 : 1e12;
    return std::clamp(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(milliseconds, 1e12))), std::chrono::milliseconds(1), most);
  }

private:
  std::uint64_t seen_ = 0;
  std::chrono::steady_clock::time_point seen_at_ = std::chrono::steady_clock::now();
  double bytes_a_second_ = 0;
};

class group_handle_actor final : public caf::event_based_actor {
public:
  group_handle_actor(caf::actor_config& config, std::shared_ptr<const group_entry> group, std::function<group_port(port_wake)> open)
      : event_based_actor(config), group_(std::move(group)), open_(std::move(open)) {}

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
      [this](const std::string& body, const collation& how) { return call(body, how); },
      [this](port_ready) {
        while (port_.take(done_))
          for (std::size_t i = 0; i < done_.size(); ++i) answer(done_[i]);
        resume();
      },
    };
  }

private:
  caf::result<std::string> submit(const std::string& body, std::optional<order> how) {
    auto promise = make_response_promise();  // takes the sender with it
    auto tag = next_tag_++;
    waiting_.emplace(tag, asked{promise, caf::actor_cast<caf::actor_addr>(promise.source())});
    port_.submit(std::as_bytes(std::span(body)), tag, how);
    submitted_ += body.size();
    port_.flush();
    return caf::delegated<std::string>{};
  }

  caf::result<call_report> call(const std::string& body, const collation& how) {
    auto promise = make_response_promise();
    auto tag = next_tag_++;
    waiting_.emplace(tag, asked{promise, caf::actor_cast<caf::actor_addr>(promise.source()), true});
    port_.call(std::as_bytes(std::span(body)), tag, how);
    submitted_ += body.size();
    port_.flush();
    return caf::delegated<call_report>{};
  }

  void answer(const completion& c) {
    auto waiting = waiting_.find(c.tag);
    if (waiting == waiting_.end()) return;
    auto [promise, from, is_call] = std::move(waiting->second);
    waiting_.erase(waiting);
    if (c.outcome == outcome::busy) return refuse(promise, from);
    if (promise.async()) return;
    call_report report;
    if (c.outcome == outcome::replied && is_call && read_report(c.reply, report))
      promise.deliver(std::move(report));
    else if (c.outcome == outcome::replied)
      promise.deliver(std::string(reinterpret_cast<const char*>(c.reply.data()), c.reply.size()));
    else
      promise.deliver(make_error(c.outcome));
  }

  void refuse(caf::response_promise& promise, const caf::actor_addr& from) {
    const auto queued = port_.queued_bytes();
    pace_.observe(submitted_ - std::min<std::uint64_t>(submitted_, queued), std::chrono::steady_clock::now());
    const auto wait = pace_.time_for(queued / 2 + 1, group_->how.outcome_bound);
    const auto sender = caf::actor_cast<caf::actor>(from);
    if (!promise.async())
      promise.deliver(error_of(outcome::busy, caf::make_message(std::string(to_string(outcome::busy)), static_cast<std::int64_t>(wait.count()))));
    else if (sender)
      send(sender, group_busy{group_->name, wait});
    if (sender && std::find(held_.begin(), held_.end(), from) == held_.end()) held_.push_back(from);
    resume();  // the queue may have emptied before the refusal came round
  }

  void resume() {
    if (held_.empty() || port_.queued_bytes() > group_->how.queue_bytes / 2) return;
    for (auto& address : std::exchange(held_, {}))
      if (auto sender = caf::actor_cast<caf::actor>(address)) send(sender, group_resumed{group_->name});
  }

  struct asked {
    caf::response_promise promise;  ///< async: it was no request
    caf::actor_addr from;
    bool call = false;            ///< is answered by a report
  };

  std::shared_ptr<const group_entry> group_;
  std::function<group_port(port_wake)> open_;
  group_port port_;
  completion_batch done_;
  std::uint64_t next_tag_ = 1;
  std::unordered_map<std::uint64_t, asked> waiting_;
  std::uint64_t submitted_ = 0;          ///< bytes
  pace pace_;
  std::vector<caf::actor_addr> held_;    ///< are told when there is room
};

}  // namespace

caf::actor spawn_group_handle(caf::actor_system& system, std::shared_ptr<const group_entry> group,
                              std::function<group_port(port_wake)> open) {
  return system.spawn<group_handle_actor>(std::move(group), std::move(open));
}

}  // namespace detail

caf::actor group_handle(node& where, std::string_view group) { return where.internals().group_handle(group); }

void subscribe(node& where, std::string_view group, const caf::actor& process, group_news what) {
  where.internals().subscribe(group, process, what);
}

monitor_id monitor(node& where, const monitored& what, const caf::actor& whom) { return where.internals().watch().add(what, whom); }

bool demonitor(node& where, monitor_id which) { return where.internals().watch().remove(which); }

supervisors supervisors_of(node& where) { return supervisors(where.internals().supervision()); }

caf::actor_system& actor_system_of(node& where) { return where.internals().system(); }

void supervise(node& where, const std::string& name, std::function<caf::actor(caf::actor_system&)> spawn) {
  supervisors_of(where).start("", name, [spawn = std::move(spawn)](child_start& at) { return spawn(at.system()); },
                              {.restart = restart_type::transient});
}

}  // namespace cohort
