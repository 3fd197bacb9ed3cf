#include "actors/resilient_process.hpp"

#include "actors/node_impl.hpp"
#include "actors/redo_witness.hpp"

#include <algorithm>
#include <utility>

namespace cohort {
namespace detail {
namespace {

resilience::limits limits_of(const resilient_options& how) {
  resilience::limits l{memory_of(how)};
  l.checkpoints = how.checkpoints;
  return l;
}

caf::error error_of(const std::string& what) { return caf::make_error(caf::sec::runtime_error, what); }

}  // namespace

bool pardon(death_book& deaths, const std::string& process, const caf::message& input) {
  const auto in = deaths.any() ? input_in(input) : std::nullopt;
  return in && deaths.pardon(death_book::identity_of(process, *in));
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
  before_ = home_->begin_life(name_);
  return come_back();
}

/// Which may end the whole process: then it is not tried for ever.
caf::behavior resilient_actor::come_back() {
  // One end may have been a kill from outside.
  const auto ends_max = std::max(how_.child.mailbox.poison_after, 2u);
  if (deaths_)
    if (const auto place = deaths_->worst_place(name_); place && place->what.lives >= ends_max)
      return stay_down("redoing event " + std::to_string(place->position) + " of its journal " + death_book::in_words(place->what));
  const auto began = std::chrono::steady_clock::now();
  std::optional<redo_witness> witness;
  if (deaths_) witness.emplace(*deaths_, engine_, ends_max);
  resilience::recovery_report report;
  try {
    report = engine_.recover(*home_->storage(), before_.alone, witness ? &*witness : nullptr);
  } catch (const resilience::unrecoverable& e) {
    if (!witness || !witness->has_passed_over()) throw;
    return stay_down(e.what());
  }
  if (deaths_) deaths_->forget_places(name_);
  recovered_ = true;
  if (!std::exchange(status_.down, {}).empty()) stays_down({});
  status_.took = std::chrono::steady_clock::now() - began;
  status_.name = name_;
  status_.active = true;
  status_.restarts = before_.restarts;
  status_.changes = report.changes;
  status_.life = engine_.token();
  status_.checkpoint = report.checkpoint;
  status_.redone = report.redone;
  status_.unreadable = report.unreadable;
  home_->restarted(status_, before_);
  home_->enter(name_, caf::actor_cast<caf::actor_addr>(this));
  release();
  return {
      [this](const std::string& body) {
        return take({{}, 0, body});
      },
      [this](const resilient_message& m) {
        return take({m.from, m.number, m.body, m.low, m.letter != 0}, m.letter);
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

/// Its supervisor sees no failure: it would end the node over it in the end, and nothing is served by that.
caf::behavior resilient_actor::stay_down(const std::string& why) {
  status_.name = name_;
  status_.restarts = before_.restarts;
  status_.down = why + "; start a program that digests it, and have it tried again: cohort redo " + name_;
  home_->stays_down(status_);
  stays_down(status_.down);
  home_->enter(name_, caf::actor_cast<caf::actor_addr>(this));
  const auto refuse = [this] { return error_of("resilient process " + name_ + " stays down: " + status_.down); };
  return {
      [=](const std::string&) -> caf::result<std::string> { return refuse(); },
      [=](const resilient_message&) -> caf::result<std::string> { return refuse(); },
      [this](redo_again) { become(come_back()); },
  };
}

caf::response_promise resilient_actor::take(const resilience::message& in, std::uint64_t letter) {
  const bool waits = current_mailbox_element()->mid.is_request();
  const auto ticket = waits || letter != 0 ? ++tickets_ : 0;
  const auto identity = deaths_ ? death_book::identity_of(name_, in) : 0;
  if (deaths_ && deaths_->any())
    if (const auto [why, for_good] = refused(in, identity); !why.empty()) {
      ++status_.refused;
      const auto text = "resilient process " + name_ + ": not taken, " + why;
      auto promise = make_response_promise();
      if (waits) promise.deliver(for_good ? put_aside_error(text) : error_of(text));
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
    if (waits)
      promise.deliver(error_of(
          "resilient process " + name_ + ": not taken, " +
          (v == resilience::verdict::gap ? "a message before it is missing" : "too much waits; try again later")));
  } else if (v == resilience::verdict::passed) {
    ++status_.refused;
    if (waits)
      promise.deliver(put_aside_error("resilient process " + name_ +
                                      ": not taken, it was refused before, and its sender has gone on without it"));
  } else if (waits && v == resilience::verdict::outdated && !is_receipt) {
    promise.deliver(
        error_of("resilient process " + name_ + ": applied before, and the answer is not kept behind newer ones"));
  } else if (ticket != 0) {
    if (letter != 0) letters_.emplace(ticket, letter);
    if (waits) promises_.emplace(ticket, promise);
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
  resilience::verdict v;
  try {
    v = engine_.receive(in, now(), ticket);
  } catch (const std::exception& e) {
    condemn_if_last_chance(in, identity, e.what());
    throw;
  } catch (...) {
    condemn_if_last_chance(in, identity, "an exception that is no std::exception");
    throw;
  }
  words.ends();
  if (deaths_->any() && (v == resilience::verdict::taken || v == resilience::verdict::answered)) deaths_->survived(identity);
  return v;
}

resilient_actor::refusal resilient_actor::refused(const resilience::message& in, std::uint64_t identity) {
  const auto known = deaths_->of(identity);
  if ((known.lives == 0 && !known.put_aside && !known.condemned) || !engine_.is_new(in)) return {};
  const auto why = "it " + death_book::in_words(known);
  if (known.put_aside) {
    deaths_->count_refused();
    return {why, true};
  }
  if (known.condemned) return {"it is being put aside", false};
  if (known.lives < how_.child.mailbox.poison_after) {
    lives_lost(known.lives);
    return {};
  }
  deaths_->condemn(identity);
  set_aside(known.lives, why, [deaths = deaths_, name = name_, identity] { deaths->put_aside(name, identity, {}); });
  return {why, false};
}

/// One without a number is another input when it comes again.
void resilient_actor::condemn_if_last_chance(const resilience::message& in, std::uint64_t identity, const std::string& why) {
  const auto kept = [deaths = deaths_, name = name_, identity, why, numbered = !in.from.empty()] {
    if (numbered) deaths->put_aside(name, identity, why.empty() ? "something without a text" : why);
    else deaths->count_put_aside(false);
  };
  if (when_set_aside(kept) && !in.from.empty()) deaths_->condemn(identity);
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
    if (const auto letter = letters_.find(a.ticket); letter != letters_.end()) {  // it is applied, and durable
      if (home_->node) home_->node->internals().drop_letter(letter->second);
      letters_.erase(letter);
    }
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
          [this, name = e.to, number = e.number](const caf::error& why) {
            if (is_put_aside(why)) undelivered(name, number, why);
          });  // else it is sent again when its time has come
}

/// It is as if the receiver had it: what is behind it can be taken now (R10).
void resilient_actor::undelivered(const std::string& to, std::uint64_t number, const caf::error& why) {
  if (!engine_.waits_for(to, number)) return;  // it was sent twice
  home_->undelivered(name_, to, number, why);
  engine_.acknowledged(to, number, now());
  engine_.resend(to);
  release();
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
