#include "actors/resilient_process.hpp"

#include "actors/node_impl.hpp"
#include "actors/resilient_front.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cohort {
namespace detail {
namespace {

resilience::memory_limits memory_of(const resilient_options& how) {
  return {.outbox_max = how.outbox_max, .senders_max = how.senders_max, .senders_age = how.senders_age};
}

}  // namespace
}  // namespace detail

resilient_home::resilient_home(std::shared_ptr<stable_store> storage)
    : impl_(std::make_shared<impl>(std::move(storage))) {}
resilient_home::resilient_home(node& where)
    : impl_(where.internals().resilient([&] { return std::make_shared<impl>(where); })) {}

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

void resilient_home::replicate(const std::string& name, resilient_factory make, const contract& how,
                               const resilient_options& options) const {
  if (!impl_->node) throw node_error("resilient process " + name + ": is replicated by a home that was made with its node");
  if (!make) throw node_error("resilient process " + name + ": no machine is given");
  const resilience::replicated_calls calls{
    .release =
      [home = impl_, name](fencing_token activation, std::vector<resilience::effect>&& effects) {
        if (const auto front = home->find(name))
          cc::hand_over(front, detail::released_effects{activation, std::move(effects)});
      },
    .put_aside =
      [home = impl_, name](const resilience::message& in, unsigned lives, const std::string& why) { home->put_aside(name, in, lives, why); },
    .tell = [home = impl_, name](fencing_token activation, const resilience::process_state& state,
                                 bool begins) { home->activation(name, activation, state, begins); }};
  impl_->replicated.insert(name);
  impl_->node->replicate_primary(
    name,
    [make = std::move(make), memory = detail::memory_of(options), poison = options.child.mailbox.poison_after, calls] {
      return std::make_unique<resilience::replicated_process>(make, memory, poison, calls);
    },
    how, options.backups);
  impl_->node->internals().front(name, [home = impl_, name](caf::actor_system& system, auto group, auto open) {
    caf::actor front = system.spawn<detail::resilient_front>(home, name, std::move(group), std::move(open));
    home->enter(name, caf::actor_cast<caf::actor_addr>(front));
    return front;
  });
}

void resilient_home::replicate(const std::string& name, resilient_factory make, const resilient_options& options) const {
  if (!impl_->node) throw node_error("resilient process " + name + ": is replicated by a home that was made with its node");
  replicate(name, std::move(make), impl_->node->internals().configured(name), options);
}

void resilient_home::receiver(const std::string& name, caf::actor who) const {
  impl_->enter(name, caf::actor_cast<caf::actor_addr>(who));
}

caf::actor resilient_home::find(const std::string& name) const { return impl_->find(name); }

std::vector<resilient_status> resilient_home::status() const { return impl_->all_status(); }

std::vector<resilient_restart> resilient_home::restarts() const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->restarts.begin(), impl_->restarts.end()};
}

caf::actor resilient_home::impl::find(const std::string& name) {
  const std::lock_guard lock(mutex);
  const auto it = receivers.find(name);
  return it == receivers.end() ? caf::actor() : caf::actor_cast<caf::actor>(it->second);
}

bool resilient_home::impl::is_sender(const std::string& name, const caf::strong_actor_ptr& who) {
  const auto known = name.empty() ? caf::actor() : find(name);
  return known && caf::actor_cast<caf::strong_actor_ptr>(known) == who;
}

std::shared_ptr<stable_store> resilient_home::impl::storage() { return opened ? opened : stable_storage_of(*node); }

void resilient_home::impl::no_room(const std::string& name, const std::string& why) {
  {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex);
    if (no_room_told.time_since_epoch().count() != 0 && now - no_room_told < detail::resilient_no_room_told_every) return;
    no_room_told = now;
  }
  if (node)
    node->internals().log.write(detail::log_level::warn, "resilient=" + name + " event=waits, and others may too; nothing is lost: " + why);
}

/// The replica's thread, at the member in office.
void resilient_home::impl::put_aside(const std::string& name, const resilience::message& in, unsigned lives, const std::string& why) {
  node->internals().log.write(
    detail::log_level::error, "resilient process " + name + ": an input" +
                                (in.from.empty() ? "" : " of " + std::string(in.from) + ", number " + std::to_string(in.number)) +
                                " is put aside: " + (lives == 0 ? "it throws each time: " : "") + why);
  if (lives > 0)
    node->internals().put_letter(name,
                                 in.from.empty() ? caf::make_message(std::string(in.body))
                                                 : caf::make_message(resilient_message{std::string(in.from), in.number, std::string(in.body), in.low}),
                                 lives, why);
}

/// The replica's thread, at the member in office.
void resilient_home::impl::activation(const std::string& name, fencing_token number, const resilience::process_state& state,
                                      bool begins) {
  resilient_status now;
  succession after;
  {
    const std::lock_guard lock(mutex);
    auto& shown = status[name];
    shown.name = name;
    shown.applied = shown.durable = state.applied();
    shown.outbox = state.outbox();
    shown.senders = state.senders();
    if (!begins) return;
    shown.life = number;
    auto& line = lines[name];
    after.cause = "this node took it over, in view " + std::to_string(number - 1);
    if (line.lives == 0)
      if (const auto before = node->internals().deaths()->obituary(name); !before.empty()) after.cause += "; " + before;
    after.restarts = shown.restarts = line.lives++;
    now = shown;
  }
  restarted(now, after);
}

std::vector<resilient_status> resilient_home::impl::all_status() {
  std::vector<resilient_status> all;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [name, s] : status) {
      const auto line = lines.find(name);
      all.push_back(s);
      if (line != lines.end()) all.back().active = line->second.running;
    }
  }
  for (auto& s : all)
    if (const auto line = replicated.find(s.name); line != replicated.end()) s.active = node->primary(s.name).executes;
  return all;
}

resilient_home::impl::succession resilient_home::impl::begin_life(const std::string& name) {
  const std::lock_guard lock(mutex);
  auto& line = lines[name];
  succession after;
  // The homes of a node are one, and its data directory is open to no other process.
  after.alone = node && !line.running;
  after.cause = line.cause;
  after.age = line.age;
  if (node && line.lives == 0) after.cause = node->internals().deaths()->obituary(name);
  after.restarts = line.lives++;
  line.running = true;
  line.began = std::chrono::steady_clock::now();
  return after;
}

void resilient_home::impl::end_life(const std::string& name, std::string cause) {
  const std::lock_guard lock(mutex);
  auto& line = lines[name];
  line.running = false;
  line.cause = std::move(cause);
  line.age = std::chrono::steady_clock::now() - line.began;
}

void resilient_home::impl::restarted(const resilient_status& now, const succession& after) {
  resilient_restart event{std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch()),
                          now.name, now.life, after.cause, after.age, after.restarts, now.redone, now.took};
  const auto ms = [](std::chrono::nanoseconds t) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f ms", std::chrono::duration<double, std::milli>(t).count());
    return std::string(text);
  };
  if (node) {
    auto& log = node->internals().log;
    const auto level = after.restarts > 0 || !after.cause.empty() ? detail::log_level::info : detail::log_level::debug;  // there may be many at the start
    for (const auto& u : now.unreadable) log.write(detail::log_level::error, "resilient: checkpoint passed over: " + u);
    if (log.wants(level))
      log.write(level, "resilient=" + now.name + " event=" + (after.restarts > 0 ? "restarted" : "started") +
                         " life=" + std::to_string(now.life) + " restarts=" + std::to_string(after.restarts) +
                         " age=" + ms(after.age) + " checkpoint=" + std::to_string(now.checkpoint) +
                         " redone=" + std::to_string(now.redone) + " took=" + ms(now.took) +
                         (after.cause.empty() ? "" : ": " + after.cause));
  }
  if (after.restarts == 0 && after.cause.empty()) return;
  const std::lock_guard lock(mutex);
  restarts.push_back(std::move(event));
  if (restarts.size() > 256) restarts.pop_front();
}

void resilient_home::impl::enter(const std::string& name, caf::actor_addr who) {
  const std::lock_guard lock(mutex);
  receivers[name] = std::move(who);
}

namespace detail {
namespace {

resilience::limits limits_of(const resilient_options& how) {
  resilience::limits l{memory_of(how)};
  l.checkpoints = how.checkpoints;
  return l;
}

caf::error error_of(const std::string& what) { return caf::make_error(caf::sec::runtime_error, what); }

}  // namespace

bool pardon(death_book& deaths, const caf::message& input) {
  const auto in = deaths.any() ? input_in(input) : std::nullopt;
  return in && deaths.pardon(*in);
}

std::optional<resilience::message> input_in(const caf::message& what) {
  if (what.match_elements<std::string>()) return resilience::message{{}, 0, what.get_as<std::string>(0)};
  if (!what.match_elements<resilient_message>()) return std::nullopt;
  const auto& m = what.get_as<resilient_message>(0);
  return resilience::message{m.from, m.number, m.body, m.low};
}

resilient_actor::resilient_actor(caf::actor_config& config, std::shared_ptr<resilient_home::impl> home,
                                 std::string name, resilient_factory make, resilient_options how)
    : process(config, how.child.mailbox),
      home_(std::move(home)),
      name_(std::move(name)),
      how_(how),
      deaths_(home_->node ? home_->node->internals().deaths() : nullptr),
      engine_(name_, std::move(make), limits_of(how)) {}

wall_time resilient_actor::now() const {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

caf::behavior resilient_actor::make_behavior() {
  const auto before = home_->begin_life(name_);
  const auto began = std::chrono::steady_clock::now();
  const auto report = engine_.recover(*home_->storage(), before.alone);
  recovered_ = true;
  status_.took = std::chrono::steady_clock::now() - began;
  status_.name = name_;
  status_.active = true;
  status_.restarts = before.restarts;
  status_.changes = report.changes;
  status_.life = engine_.token();
  status_.checkpoint = report.checkpoint;
  status_.redone = report.redone;
  status_.unreadable = report.unreadable;
  home_->restarted(status_, before);
  home_->enter(name_, caf::actor_cast<caf::actor_addr>(this));
  release();
  return {
      [this](const std::string& body) {
        return take({{}, 0, body});
      },
      [this](const resilient_message& m) {
        return take({m.from, m.number, m.body, m.low});
      },
      [this](const commit_landed& l) {
        if (l.flight != flight_) return;  // a life that ended has looked at it itself
        if (is_grounded(*l.flight->result)) return;
        flight_ = nullptr;
        landed(*l.flight->result);
        release();
        pump();
      },
      [this](const commit_again& a) {
        if (a.flight == flight_ && flight_->grounded) take_off();
      },
      [this](resend_time) { resend(); },
  };
}

caf::response_promise resilient_actor::take(const resilience::message& in) {
  const auto ticket = current_mailbox_element()->mid.is_request() ? ++tickets_ : 0;
  const auto identity = deaths_ ? death_book::identity_of(name_, in) : 0;
  if (deaths_ && deaths_->any())
    if (const auto why = refusal(in, identity); !why.empty()) {
      ++status_.refused;
      auto promise = make_response_promise();
      if (ticket != 0) promise.deliver(error_of("resilient process " + name_ + ": not taken, " + why));
      return promise;
    }
  // Throwing ends this life, see `on_exit`; the next one is given the message again.
  const auto v = execute(in, ticket, identity);
  // Between resilient processes the answer is a receipt. Others want the reply. The promise takes the sender away.
  const bool is_receipt = home_->is_sender(std::string(in.from), current_sender());
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

resilience::verdict resilient_actor::execute(const resilience::message& in, std::uint64_t ticket, std::uint64_t identity) {
  if (!deaths_) return engine_.receive(in, now(), ticket);
  persistence::last_words::speaker words(deaths_->words());
  words.begins({.kind = persistence::word_kind::input, .process = name_, .from = in.from, .number = in.number,
                .position = engine_.applied() + 1, .activation = engine_.token(), .identity = identity,
                .body = std::as_bytes(std::span(in.body))});
  const auto v = engine_.receive(in, now(), ticket);
  words.ends();
  if (deaths_->any() && (v == resilience::verdict::taken || v == resilience::verdict::answered)) deaths_->survived(identity);
  return v;
}

std::string resilient_actor::refusal(const resilience::message& in, std::uint64_t identity) {
  const auto toll = deaths_->of(identity);
  if ((toll.lives == 0 && !toll.put_aside) || !engine_.is_new(in)) return {};
  const auto why = "it " + death_book::in_words(toll);
  if (!toll.put_aside && toll.lives < how_.child.mailbox.poison_after) {
    lives_lost(toll.lives);
    return {};
  }
  if (!toll.put_aside) {
    set_aside(toll.lives, why);
    deaths_->put_aside(name_, identity);
  }
  return why;
}

/// Commits what waits, unless a commit is under way: what comes meanwhile goes with the next.
void resilient_actor::pump() {
  if (flight_ || !engine_.wants_commit(now())) return;
  flight_ = std::make_shared<commit_flight>();
  flight_->batch = engine_.next_batch(now());
  take_off();
}

void resilient_actor::take_off() {
  flight_->grounded = false;
  flight_->result.reset();  // nobody else looks at it between two flights
  home_->storage()->commit(flight_->batch,
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

/// A disk that is full or slow costs no lives: nothing of the batch was written, so the same is written again when there may be room.
/// Its inputs' answers and effects wait for that, and further inputs in the mailbox, within its bound.
bool resilient_actor::is_grounded(const stable_result& r) {
  if (r.code != stable_code::busy && r.code != stable_code::full) return false;
  flight_->grounded = true;
  home_->no_room(name_, r.why);
  status_.trouble = r.why;
  tell();
  const auto pause = r.code == stable_code::full ? resilient_room_patience : resilient_room_patience / 10;
  cc::delayed_send(this, caf::actor_cast<caf::actor>(this), pause, commit_again{flight_});
  return true;
}

void resilient_actor::landed(const stable_result& r) {
  // Whatever it is, memory and journal are not the same any more: the next life has what the journal has.
  if (!r) throw std::runtime_error("resilient process " + name_ + " cannot write: " + r.why);
  status_.trouble.clear();
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
  for (const auto& e : engine_.take_effects([this](const std::string& to) { return home_->find(to) != nullptr; })) send(e);
  if (!timer_ && (engine_.outbox() > 0 || engine_.waits_for_time())) {
    timer_ = true;
    cc::delayed_send(this, caf::actor_cast<caf::actor>(this), resilient_resend_every, resend_time{});
  }
  tell();
}

void resilient_actor::send(const resilience::effect& e) {
  const auto to = home_->find(e.to);
  if (!to) return;  // it has ended this moment: later
  request(to, resilient_request_limit, resilient_message{name_, e.number, e.body, e.low, engine_.token()})
      .then(
          [this, name = e.to](std::uint64_t number) {
            engine_.acknowledged(name, number, now());
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

bool resilient_actor::cleanup(caf::error&& why, caf::execution_unit* host) {
  // Before anybody hears of it, or the next life would begin first.
  home_->end_life(name_, cc::text(why));
  return process::cleanup(std::move(why), host);
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
      if (flight_->grounded) take_off();  // once more, and that is all
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
  status_.senders = engine_.senders();
  status_.to_redo = engine_.durable() - std::min(engine_.durable(), engine_.checkpoint());
  status_.checkpoint_taken = engine_.checkpoint_taken();
  const std::lock_guard lock(home_->mutex);
  if (!shown_) shown_ = &home_->status[name_];
  *shown_ = status_;
}

}  // namespace detail
}  // namespace cohort
