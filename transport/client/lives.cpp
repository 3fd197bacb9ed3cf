// What a client with a session file owes to its lives before, and to the one after it.
#include "transport/client/engine.hpp"

#include "transport/checksum.hpp"
#include "transport/client/wires.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace cohort::client_detail {

namespace {
constexpr unsigned numbers_at_once = 256;
constexpr auto used_meanwhile = "another life of this client used its number, after this one's copy of the session file was made: ask for it";
}

/// Calls of one member and of all under one number are not the same request.
std::uint64_t digest_of(const operation& o) { return std::max<std::uint64_t>(transport::checksum(o.payload, o.all ? 1 : 0), 1); }

/// Handles what need not, or must not, get a new number. False: `what` is a new call.
bool engine::call_again(operation& what) {
  if (!file_) return false;
  const auto refuse = [&](call_outcome as, const std::string& why) {
    tell(what.then, call_result{.what = as, .why = why, .id = what.id});
    return true;
  };
  const auto known = file_->find(what.id);
  if (!over_.empty()) return refuse(known ? call_outcome::unknown : call_outcome::refused, over_);
  if (known && known->digest == 0) return refuse(call_outcome::refused, used_meanwhile);
  if (known && known->digest != digest_of(what)) return refuse(call_outcome::refused, "its number was used for another request");
  if (what.id >= next_id_) return false;
  if (is_open(what.id)) return refuse(call_outcome::unknown, "a call of this number is open: ask for it");
  if (!known) return refuse(call_outcome::refused, "its number is not above those before: it was acknowledged, or passed over");
  const auto id = what.number = what.id;
  what.of = life_of(id);
  what.maybe = what.again = true;
  rest(operations_.emplace(id, std::move(what)).first->second);
  send_soon();
  keep_pumping();
  return true;
}

session_state engine::session_of(const operation& o) const {
  if (!o.of) return session_;
  return {o.of->session.high, o.of->session.low, o.of->session.birth};
}

std::shared_ptr<former_life> engine::life_of(std::uint64_t number) const {
  const auto known = file_->find(number);
  const auto life = std::ranges::find_if(former_, [&](const auto& f) { return known && f->session.birth == known->birth; });
  return life == former_.end() ? nullptr : *life;
}

/// What a copy tells the group to forget: without a file all that was answered, else all that the application acknowledged.
std::uint64_t engine::acknowledged_below(const operation& o) const {
  if (!file_) return std::min(low_, o.number);
  return std::min(o.of ? file_->lowest_of(o.of->session.birth) : file_->lowest(first_), o.number);
}

void engine::acknowledge(std::uint64_t id) {
  if (!file_) return;
  if (const auto open = operations_.find(id); open != operations_.end()) {
    open->second.acknowledged = true;
    return;
  }
  file_->acknowledged(id);
  close_former_soon();
  if (!waiting_.empty()) send_soon();  // there may be a number for it now
}

/// Nothing may leave that is not kept. False: it cannot be, and every call has been told.
bool engine::written() {
  if (!file_) return true;
  try {
    file_->flush();
    return true;
  } catch (const std::runtime_error& e) {
    give_up(e.what());
    return false;
  }
}

/// No call is taken any more, and those that are open end.
void engine::give_up(const std::string& why) {
  over_ = why;
  resting_.clear();
  for (auto& [id, o] : std::exchange(operations_, {}))
    finish(o, o.maybe || o.open_copy || o.settle ? call_outcome::unknown : call_outcome::refused, nullptr, why, "");
  for (auto& o : std::exchange(waiting_, {})) finish(o, call_outcome::refused, nullptr, why, "");
}

/// Until then this life sends nothing: what it executes is behind all that an earlier one, if it still runs, can execute.
bool engine::fence_former() {
  bool all = true;
  for (const auto& f : former_) {
    if (f->fenced) continue;
    all = false;
    if (auto to = f->fencing ? nullptr : places_.choose()) fence(f, to);
  }
  if (file_ && all && session_.birth == 0 && file_->next() > first_) skip_used_numbers();
  return all;
}

/// What was asked under them waits, and nothing of it was sent.
void engine::skip_used_numbers() {
  first_ = file_->next();
  next_id_ = std::max(next_id_, first_);
  std::deque<operation> still;
  for (auto& o : std::exchange(waiting_, {}))
    if (o.id >= first_) {
      still.push_back(std::move(o));
    } else {
      tell(o.then, call_result{.what = call_outcome::refused, .why = used_meanwhile, .id = o.id});
      // Who asks wants to hear of the number.
      for (auto& then : std::exchange(asking_[o.id], {})) ask(o.id, then);
    }
  waiting_.insert(waiting_.begin(), std::make_move_iterator(still.begin()), std::make_move_iterator(still.end()));
}

/// Nobody wants anything of it any more.
bool engine::is_over(const former_life& f) const { return file_->lowest_of(f.session.birth) == 0; }

/// Gives up, as cancelled, one number after the other which that life has not used, until the session takes none that is higher. For a
/// higher one it would have to acknowledge these first, and their answers tell it that it is over. Those that it did use, of which this
/// file did not hear, because it is a copy, are its own: they can be asked for.
void engine::fence(const std::shared_ptr<former_life>& f, const place_ptr& to) {
  f->fencing = true;
  auto request = to->open->gateway.callRequest();
  request.setGroup(how_.group.c_str());
  name_session(request.getSession(), {f->session.high, f->session.low, f->session.birth});
  auto list = request.initRequests(numbers_at_once);
  for (unsigned i = 0; i < numbers_at_once; ++i) {
    list[i].setNumber(f->given_up + i);
    list[i].setCancel(true);
  }
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(duration_of(how_.attempt_timeout), kj::mv(answered)).then(
    [this, f, to](::capnp::Response<wire::Gateway::CallResults>&& r) {
      f->fencing = false;
      places_.worked(*to);
      for (auto a : r.getAnswers()) {
        const auto because = a.getReason();
        const bool over = a.getVerdict() == wire::Verdict::REFUSED;
        if (over && (because == wire::Reason::TOO_FAR || because == wire::Reason::NO_SESSION)) {
          f->fenced = true;
          close_former_soon();
          break;
        }
        if (a.getVerdict() != wire::Verdict::REPLIED && because != wire::Reason::CANCELLED && because != wire::Reason::FORGOTTEN) {
          if (because == wire::Reason::NO_GROUP && places_.has_no_part(*to)) return;
          places_.doubt();
          return places_.failed(to, false);  // and again, with the next tick
        }
        const auto number = f->given_up++;
        if (a.getVerdict() == wire::Verdict::REPLIED && number >= file_->next()) file_->given(number, {0, f->session.birth});
      }
      send_soon();
    },
    [this, f, to, through](kj::Exception&&) {
      f->fencing = false;
      if (to->open.get() == through) places_.failed(to, true);
    }));
}

/// Only those that are fenced: what an earlier life did meanwhile must be known before its session is gone. Behind what runs now: the
/// file may turn out not to be written, which ends every call.
void engine::close_former_soon() {
  if (former_.empty()) return;
  tasks_.add(kj::evalLater([this] {
    for (const auto& f : std::vector(former_))
      if (auto to = !f->fenced || f->closing || !is_over(*f) ? nullptr : places_.choose()) close(f, to);
  }));
}

/// What fails is tried again with the next acknowledgement, or in the next life.
void engine::close(const std::shared_ptr<former_life>& f, const place_ptr& to) {
  if (!written()) return;
  f->closing = true;
  auto request = to->open->gateway.closeRequest();
  request.setGroup(how_.group.c_str());
  name_session(request.getSession(), {f->session.high, f->session.low, f->session.birth});
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(duration_of(how_.attempt_timeout), kj::mv(answered)).then(
    [this, f, to](::capnp::Response<wire::Gateway::CloseResults>&& r) {
      f->closing = false;
      auto a = r.getAnswer();
      if (a.getVerdict() == wire::Verdict::REPLIED || a.getReason() == wire::Reason::NO_SESSION) {
        file_->closed(f->session);
        std::erase(former_, f);
        return;
      }
      if (a.getReason() == wire::Reason::NO_GROUP && places_.has_no_part(*to)) return;
      places_.doubt();
      places_.failed(to, false);
    },
    [this, f, to, through](kj::Exception&&) {
      f->closing = false;
      if (to->open.get() == through) places_.failed(to, true);
    }));
}

}  // namespace cohort::client_detail
