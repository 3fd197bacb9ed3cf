#include "actors/resilient_process.hpp"

#include <utility>

namespace cohort {

resilient_home::resilient_home(std::shared_ptr<stable_store> storage)
    : impl_(std::make_shared<impl>(std::move(storage))) {}

child_factory resilient_home::child(const std::string& name, resilient_factory make, resilient_options how) const {
  if (name.empty() || name.size() > stable_name_bytes_max)
    throw node_error("resilient process \"" + name + "\": a name has 1 to " + std::to_string(stable_name_bytes_max) +
                     " bytes");
  return [home = impl_, name, make = std::move(make), how](child_start& at) {
    return at.spawn<detail::resilient_actor>(home, name, make, how);
  };
}

void resilient_home::add_to(supervision_tree& tree, const std::string& name, resilient_factory make,
                            resilient_options how) const {
  tree.child(name, child(name, std::move(make), how), how.child);
}

void resilient_home::receiver(const std::string& name, caf::actor who) const {
  impl_->enter(name, caf::actor_cast<caf::actor_addr>(who));
}

caf::actor resilient_home::find(const std::string& name) const { return impl_->find(name); }

std::vector<resilient_status> resilient_home::status() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<resilient_status> all;
  for (const auto& [name, s] : impl_->status) all.push_back(s);
  return all;
}

caf::actor resilient_home::impl::find(const std::string& name) {
  const std::lock_guard lock(mutex);
  const auto it = receivers.find(name);
  return it == receivers.end() ? caf::actor() : caf::actor_cast<caf::actor>(it->second);
}

void resilient_home::impl::enter(const std::string& name, caf::actor_addr who) {
  const std::lock_guard lock(mutex);
  receivers[name] = std::move(who);
}

namespace detail {
namespace {

constexpr auto resend_every = std::chrono::milliseconds(500);
constexpr auto request_limit = std::chrono::seconds(30);

resilience::limits limits_of(const resilient_options& how) {
  resilience::limits l;
  l.checkpoints = how.checkpoints;
  l.outbox_max = how.outbox_max;
  return l;
}

caf::error error_of(const std::string& what) { return caf::make_error(caf::sec::runtime_error, what); }

}  // namespace

resilient_actor::resilient_actor(caf::actor_config& config, std::shared_ptr<resilient_home::impl> home,
                                 std::string name, resilient_factory make, resilient_options how)
    : process(config, how.child.mailbox),
      home_(std::move(home)),
      name_(std::move(name)),
      how_(how),
      engine_(name_, std::move(make), limits_of(how)) {}

wall_time resilient_actor::now() const {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

caf::behavior resilient_actor::make_behavior() {
  const auto report = engine_.recover(*home_->storage);
  recovered_ = true;
  status_.name = name_;
  status_.life = engine_.token();
  status_.checkpoint = report.checkpoint;
  status_.redone = report.redone;
  status_.unreadable = report.unreadable;
  home_->enter(name_, caf::actor_cast<caf::actor_addr>(this));
  release();
  return {
      [this](const std::string& body) {
        return take({{}, 0, body});
      },
      [this](const resilient_message& m) {
        return take({m.from, m.number, m.body});
      },
      [this](const commit_landed& l) {
        if (l.flight != flight_) return;  // a life that ended has looked at it itself
        flight_ = nullptr;
        landed(*l.flight->result);
        release();
        pump();
      },
      [this](resend_time) { resend(); },
  };
}

caf::response_promise resilient_actor::take(const resilience::message& in) {
  const auto ticket = current_mailbox_element()->mid.is_request() ? ++tickets_ : 0;
  // Throwing ends this life, see `on_exit`; the next one is given the message again.
  const auto v = engine_.receive(in, now(), ticket);
  // Between resilient processes the answer is a receipt. Others want the reply. The promise takes the sender away.
  const auto sender = in.from.empty() ? caf::actor() : home_->find(std::string(in.from));
  const bool is_receipt = sender && caf::actor_cast<caf::strong_actor_ptr>(sender) == current_sender();
  auto promise = make_response_promise();
  if (v == resilience::verdict::duplicate || v == resilience::verdict::outdated) ++status_.duplicates;
  if (v == resilience::verdict::gap || v == resilience::verdict::full) {
    ++status_.refused;
    if (ticket != 0)
      promise.deliver(error_of(
          "resilient process " + name_ + ": not taken, " +
          (v == resilience::verdict::gap ? "a message before it is missing" : "too much waits; try again later")));
  } else if (ticket != 0 && v == resilience::verdict::outdated && !is_receipt) {
    promise.deliver(
        error_of("resilient process " + name_ + ": applied before, and the answer is not kept behind newer ones"));
  } else if (ticket != 0) {
    promises_.emplace(ticket, promise);
    if (is_receipt) receipts_.emplace(ticket, in.number);
  }
  pump();
  release();
  return promise;
}

/// Commits what waits, unless a commit is under way: what comes meanwhile goes with the next.
void resilient_actor::pump() {
  if (flight_ || !engine_.wants_commit(now())) return;
  flight_ = std::make_shared<commit_flight>();
  home_->storage->commit(engine_.next_batch(now()),
                         [flight = flight_, to = caf::actor_cast<caf::actor_addr>(this)](const stable_result& r) {
                           {
                             const std::lock_guard lock(flight->mutex);
                             flight->result = r;
                           }
                           flight->landed.notify_all();
                           if (const auto life = caf::actor_cast<caf::actor>(to))
                             caf::anon_send<caf::message_priority::high>(life, commit_landed{flight});
                         });
}

void resilient_actor::landed(const stable_result& r) {
  // Whatever it is, memory and journal are not the same any more: the next life has what the journal has.
  if (!r) throw std::runtime_error("resilient process " + name_ + " cannot write: " + r.why);
  engine_.committed();
}

void resilient_actor::release() {
  for (auto& a : engine_.take_answers()) {
    const auto promise = promises_.find(a.ticket);
    if (promise == promises_.end()) continue;
    if (const auto receipt = receipts_.find(a.ticket); receipt != receipts_.end()) {
      promise->second.deliver(receipt->second);
      receipts_.erase(receipt);
    } else {
      promise->second.deliver(std::move(a.body));
    }
    promises_.erase(promise);
  }
  for (const auto& e : engine_.take_effects()) send(e);
  if (!timer_ && engine_.outbox() > 0) {
    timer_ = true;
    cc::delayed_send(this, caf::actor_cast<caf::actor>(this), resend_every, resend_time{});
  }
  tell();
}

void resilient_actor::send(const resilience::effect& e) {
  const auto to = home_->find(e.to);
  if (!to) return;  // nobody of that name yet: later
  request(to, request_limit, resilient_message{name_, e.number, e.body})
      .then(
          [this, name = e.to](std::uint64_t number) {
            engine_.acknowledged(name, number);
            tell();
          },
          [](const caf::error&) {});  // sent again when its time has come
}

/// To those who have taken nothing since the last look.
void resilient_actor::resend() {
  timer_ = false;
  auto before = std::exchange(oldest_, {});
  for (const auto& to : engine_.waiting_for()) {
    const auto oldest = engine_.oldest(to);
    oldest_[to] = oldest;
    if (const auto known = before.find(to); known != before.end() && known->second == oldest) engine_.resend(to);
  }
  pump();  // a checkpoint may be due by its age
  release();
}

/// The end of a life: what was applied is brought to the disk and let out, since nobody would ask for it again.
void resilient_actor::on_exit() {
  finish();
  for (auto& [ticket, promise] : promises_)
    promise.deliver(error_of("resilient process " + name_ + " ended; whether this was applied is not known"));
  promises_.clear();
}

void resilient_actor::finish() noexcept try {
  if (!recovered_) return;
  while (true) {
    if (flight_) {
      std::unique_lock lock(flight_->mutex);
      flight_->landed.wait(lock, [&] { return flight_->result.has_value(); });
      const auto result = *flight_->result;
      lock.unlock();
      flight_ = nullptr;
      landed(result);
      release();
    }
    pump();
    if (!flight_) return;
  }
} catch (const std::exception&) {
  // It cannot be written: the next life will say so.
}

void resilient_actor::tell() {
  status_.applied = engine_.applied();
  status_.durable = engine_.durable();
  status_.outbox = engine_.outbox();
  const std::lock_guard lock(home_->mutex);
  home_->status[name_] = status_;
}

}  // namespace detail
}  // namespace cohort
