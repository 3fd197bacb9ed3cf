#include "transport/client/engine.hpp"

#include "transport/client/wires.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cohort::client_detail {

namespace {

constexpr auto tick = 5 * kj::MILLISECONDS;
constexpr std::size_t batch_max = 256;
constexpr std::size_t batch_bytes_max = 1u << 20;
constexpr unsigned batches_max = 4;  ///< under way: one would leave the group idle while its answers travel
constexpr std::size_t numbers_max = 1'000;  ///< above the acknowledged ones; a gateway's sessions take 1024
constexpr std::size_t ended_max = 1000;
constexpr std::size_t ended_bytes_max = 4u << 20;
/// Past its deadline a call waits so long for the answer that it was not executed, before it ends as unknown.
constexpr auto settle_grace = 500 * kj::MILLISECONDS;

}  // namespace

engine::engine(const client_options& how, session_file* file, kj::AsyncIoContext& io)
    : how_(how), file_(file), timer_(io.provider->getTimer()), random_(std::random_device{}()), places_(how_, io, random_),
      tasks_(*this) {
  if (file_) {
    const auto& before = file_->before();
    for (std::size_t i = 0; i < before.size(); ++i) {
      const auto end = i + 1 < before.size() ? before[i + 1].first : file_->next();
      former_.push_back(std::make_shared<former_life>(former_life{.session = before[i], .given_up = end, .fenced = before[i].ended}));
    }
    first_ = next_id_ = file_->next();
  }
  keep_session();
}

session_state engine::state() const {
  auto s = session_;
  if (file_) s.next_number = next_id_;
  return s;
}

void engine::trouble(const std::string& what) {
  const auto line = "a callback of the client of group " + how_.group + " threw: " + what;
  try {
    if (how_.trouble) return how_.trouble(line);
  } catch (...) {  // then stderr is all that is left
  }
  std::fprintf(stderr, "%s\n", line.c_str());
}

void engine::call(operation&& what) {
  if (what.deadline) what.deadline = timer_.now() + (*what.deadline - kj::origin<kj::TimePoint>());
  if (call_again(what)) return;
  if (waiting_.size() >= how_.waiting_calls_max) {
    call_result r{.what = call_outcome::refused, .why = "too many calls wait in this client", .id = what.id};
    return tell(what.then, std::move(r));
  }
  next_id_ = what.id + 1;
  waiting_.push_back(std::move(what));
  send_soon();
  keep_pumping();
}

/// Behind everything that is ready now, so that calls of a moment share a batch.
void engine::send_soon() {
  if (std::exchange(sending_soon_, true)) return;
  tasks_.add(kj::evalLast([this] {
    sending_soon_ = false;
    send_now();
  }));
}

void engine::send_now() {
  if (!fence_former()) return;
  if (session_.birth == 0 && !waiting_.empty()) open_session();
  auto to = places_.choose();
  if (!to) return;
  send_group_calls(to);
  while (to->open && (calling_ == 0 || (calling_ < batches_max && enough_for_a_batch())) && send_some(to)) ++calling_;
}

/// While a batch is under way, calls gather for the next: many small ones would cost more.
bool engine::enough_for_a_batch() const {
  return waiting_.size() >= batch_max && numbers_left() >= batch_max;
}

/// A number too far above those acknowledged would be refused, and sent again and again until older ones are answered.
std::size_t engine::numbers_left() const {
  if (session_.birth == 0) return 0;
  if (file_) {
    const bool too_far = waiting_.empty() || waiting_.front().id - file_->lowest(first_) >= numbers_max;
    return too_far || operations_.size() >= how_.open_calls_max ? 0 : how_.open_calls_max - operations_.size();
  }
  const auto most = std::min(how_.open_calls_max, numbers_max);
  return done_.size() < most ? most - done_.size() : 0;
}

/// Nothing runs while nothing is open; else what is due is looked for again and again.
void engine::keep_pumping() {
  if (std::exchange(pumping_, true)) return;
  tasks_.add(timer_.afterDelay(tick).then([this] { pump(); }));
}

void engine::pump() {
  pumping_ = false;
  deadlines();
  if (operations_.empty() && waiting_.empty()) return;
  keep_pumping();
  send_now();
}

void engine::open_session() {
  if (opening_) return;
  auto to = places_.choose();
  if (!to) return;
  if (session_.high == 0 && session_.low == 0) {
    std::random_device chance;
    const auto word = [&] { return (std::uint64_t{chance()} << 32) | chance(); };
    session_ = {word(), word(), 0, 1};
  }
  opening_ = true;
  auto request = to->open->gateway.openRequest();
  request.setGroup(how_.group.c_str());
  request.getSession().setIdHigh(session_.high);
  request.getSession().setIdLow(session_.low);
  request.setLifetimeMs(static_cast<std::uint64_t>(how_.session_lifetime.count()));
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(duration_of(how_.attempt_timeout), kj::mv(answered)).then(
    [this, to](::capnp::Response<wire::Gateway::OpenResults>&& r) {
      opening_ = false;
      auto a = r.getAnswer();
      if (a.getVerdict() == wire::Verdict::REPLIED) {
        places_.worked(*to);
        session_.birth = a.getBirth();
        if (file_) file_->opened({session_.high, session_.low, session_.birth, first_});
        close_former_soon();
        return written() ? send_soon() : void();
      }
      places_.doubt();
      if (a.getReason() == wire::Reason::NO_GROUP && places_.has_no_part(*to)) return send_soon();
      if (a.getRetry() || a.getVerdict() == wire::Verdict::UNKNOWN) return places_.failed(to, false);
      // No session will be had: nobody waits for nothing. Without one no call has a number, so none can have been executed.
      for (auto& o : std::exchange(waiting_, {})) finish(o, call_outcome::refused, nullptr, a.getWhy().cStr(), to->node);
    },
    [this, to, through](kj::Exception&&) {
      opening_ = false;
      if (to->open.get() == through) places_.failed(to, true);
    }));
}

/// An idle client's session does not expire.
void engine::keep_session() {
  tasks_.add(timer_.afterDelay(std::max<std::int64_t>(how_.session_lifetime.count() / 3, 100) * kj::MILLISECONDS).then([this] {
    if (session_.birth != 0) renew(session_);
    for (const auto& f : former_) renew({f->session.high, f->session.low, f->session.birth});
    keep_session();
  }));
}

void engine::renew(const session_state& s) {
  auto to = places_.choose();
  if (!to) return;
  auto request = to->open->gateway.openRequest();
  request.setGroup(how_.group.c_str());
  name_session(request.getSession(), s);
  tasks_.add(timer_.timeoutAfter(duration_of(how_.attempt_timeout), request.send())
               .then([this, birth = s.birth](::capnp::Response<wire::Gateway::OpenResults>&& r) {
                 if (r.getAnswer().getReason() == wire::Reason::NO_SESSION && session_.birth == birth) session_ended();
               }, [](kj::Exception&&) {}));
}

void engine::give_number(operation& o) {
  if (file_) {
    o.number = o.id;
    return file_->given(o.number, {digest_of(o), session_.birth});
  }
  o.number = session_.next_number++;
  done_.push_back(false);
}

/// Answered, or settled. `low_` is what the next copies acknowledge.
void engine::done_with(std::uint64_t number) {
  if (number < low_ || number - low_ >= done_.size()) return;  // of a session before
  done_[number - low_] = true;
  for (; !done_.empty() && done_.front(); ++low_) done_.pop_front();
}

/// No copy of it is open: it is looked at again.
void engine::rest(operation& o) { resting_.insert(o.id); }

bool engine::send_some(const place_ptr& to) {
  const auto now = timer_.now();
  std::vector<operation*> batch;
  std::size_t bytes = 0;
  const auto fits = [&](const operation& o) {
    if (batch.empty()) return true;
    return batch.size() < batch_max && bytes + o.payload.size() <= batch_bytes_max && o.settle == batch.front()->settle && o.of == batch.front()->of &&
           o.deadline.has_value() == batch.front()->deadline.has_value();
  };
  const auto add = [&](operation& o) {
    batch.push_back(&o);
    bytes += o.payload.size();
  };
  for (auto at = resting_.begin(); at != resting_.end();) {
    const auto known = operations_.find(*at);
    if (known == operations_.end() || known->second.open_copy) {
      at = resting_.erase(at);
      continue;
    }
    auto& o = known->second;
    ++at;
    if ((!o.all || o.settle) && o.retry_at <= now && fits(o)) add(o);
  }
  while (!waiting_.empty() && !waiting_.front().all && numbers_left() > 0 && fits(waiting_.front())) {
    give_number(waiting_.front());
    const auto id = waiting_.front().id;
    add(operations_.emplace(id, std::move(waiting_.front())).first->second);
    waiting_.pop_front();
  }
  if (batch.empty() || !written()) return false;
  auto request = to->open->gateway.callRequest();
  request.setGroup(how_.group.c_str());
  name_session(request.getSession(), session_of(*batch.front()));
  auto list = request.initRequests(static_cast<unsigned>(batch.size()));
  std::vector<std::uint64_t> ids;
  std::int64_t within = 0;
  for (unsigned i = 0; i < batch.size(); ++i) {
    auto& o = *batch[i];
    ids.push_back(o.id);
    o.open_copy = true;
    ++o.attempts;
    list[i].setNumber(o.number);
    list[i].setAcknowledgedBelow(acknowledged_below(o));
    list[i].setCancel(o.settle);
    if (o.settle) continue;
    list[i].setPayload({reinterpret_cast<const kj::byte*>(o.payload.data()), o.payload.size()});
    // The deadline of a batch is its latest, so that none is called expired before its own.
    if (o.deadline) within = std::max<std::int64_t>(within, std::max<std::int64_t>(1, (*o.deadline - now) / kj::MILLISECONDS));
  }
  request.setWithinMs(static_cast<std::uint64_t>(within));
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(duration_of(how_.attempt_timeout), kj::mv(answered)).then(
    [this, to, ids](::capnp::Response<wire::Gateway::CallResults>&& r) {
      --calling_;
      auto answers = r.getAnswers();
      if (answers.size() == ids.size()) places_.worked(*to);
      for (unsigned i = 0; i < ids.size(); ++i) {
        if (i < answers.size()) take(*to, ids[i], {answers[i]});
        else no_answer(ids[i]);
      }
      send_now();
    },
    [this, to, ids, through](kj::Exception&&) {
      --calling_;
      if (to->open.get() == through) places_.failed(to, true);  // once for all that were under way
      for (auto id : ids) no_answer(id);
      send_soon();
    }));
  return true;
}

void engine::later(operation& o) {
  rest(o);
  const auto least = std::max<std::int64_t>(1, how_.back_off_min.count());
  const auto pause = std::min(std::max(least, how_.back_off_max.count()), least << std::min(o.attempts, 16u));
  o.retry_at = timer_.now() + (pause / 2 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(pause / 2 + 1))) * kj::MILLISECONDS;
}

void engine::no_answer(std::uint64_t id) {
  const auto known = operations_.find(id);
  if (known == operations_.end()) return;
  known->second.open_copy = false;
  known->second.maybe = true;
  later(known->second);
}

void engine::take(place& from, std::uint64_t id, gateway_answer a) {
  const auto known = operations_.find(id);
  if (known == operations_.end()) return;
  auto& o = known->second;
  o.open_copy = false;
  const auto over = [&](call_outcome what, const std::string& why) {
    auto gone = std::move(operations_.extract(known).mapped());
    finish(gone, what, &a, why, from.node);
  };
  switch (a.reader.getVerdict()) {
    case wire::Verdict::REPLIED: return over(call_outcome::replied, "");
    case wire::Verdict::UNKNOWN:
      o.maybe = true;
      return later(o);
    case wire::Verdict::EXPIRED:
      if (!o.maybe) return over(call_outcome::expired, "its deadline was over before it was ordered");
      o.settle = o.late = true;  // this copy was not executed; an earlier one may have been
      return rest(o);
    case wire::Verdict::REFUSED: break;
  }
  const auto because = a.reader.getReason();
  if (because == wire::Reason::CANCELLED && file_ && !o.of && !o.settle && !o.again) {
    // By nobody in this life: a later one has begun, and gives up the numbers that this one could still use.
    over_ = "another life of this client has taken over";
    over(call_outcome::refused, over_);
    for (auto& w : std::exchange(waiting_, {})) finish(w, call_outcome::refused, nullptr, over_, "");
    return;
  }
  if (because == wire::Reason::CANCELLED)
    return o.late ? over(call_outcome::expired, "its deadline was over before it was executed")
                  : over(call_outcome::refused, "it was cancelled before it was executed");
  if (because == wire::Reason::NO_SESSION && o.of)
    return over(call_outcome::unknown, "the session of the life before has ended: only the service can tell");
  if (because == wire::Reason::NO_SESSION) return session_ended();
  if (because == wire::Reason::FORGOTTEN && file_) return over(call_outcome::unknown, "it was acknowledged before: its answer is forgotten");
  if (because == wire::Reason::NO_GROUP && places_.has_no_part(from)) return rest(o);
  if (because == wire::Reason::TOO_FAR || because == wire::Reason::ANSWERS_FULL || a.reader.getRetry()) {
    // Not executed; answers that are acknowledged with the next copies make room.
    if (because == wire::Reason::NO_QUORUM || because == wire::Reason::NOT_MEMBER || because == wire::Reason::STOPPED) places_.doubt();
    return later(o);
  }
  if (!o.maybe) return over(call_outcome::refused, a.reader.getWhy().cStr());
  o.settle = true;
  rest(o);
}

/// Expired, although it was renewed: the group was away for longer than its lifetime. What may have been executed in it can only be
/// told by the service; what surely was not goes on in another session.
void engine::session_ended() {
  // A later life would close the session of this one, too: so a client that comes back does not go on by itself.
  if (file_)
    return give_up("its session ended: another life of this client has taken over, or the group was away for longer than the "
                   "session's lifetime");
  session_ = {};
  low_ = 1;
  done_.clear();
  resting_.clear();
  for (auto& [id, o] : std::exchange(operations_, {})) {
    if (o.maybe || o.open_copy || o.settle) {
      finish(o, call_outcome::unknown, nullptr, "the session expired before it was answered: the group was away for longer", "");
      continue;
    }
    o.number = 0;
    waiting_.push_front(std::move(o));
  }
}

void engine::deadlines() {
  const auto now = timer_.now();
  const auto over = [now](const operation& o) { return o.deadline && *o.deadline <= now && o.then; };
  std::vector<std::uint64_t> ids;
  for (auto& [id, o] : operations_)
    if (over(o)) ids.push_back(id);
  for (auto id : ids) {
    const auto known = operations_.find(id);
    if (known == operations_.end()) continue;
    auto& o = known->second;
    if (!o.maybe && !o.open_copy) {
      auto gone = std::move(operations_.extract(known).mapped());
      finish(gone, call_outcome::expired, nullptr, "its deadline was over before it was executed", "");
      continue;
    }
    if (!o.open_copy) o.settle = o.late = true;
    if (now - *o.deadline < settle_grace) continue;
    // Told now, and settled when a member can be reached again.
    o.settle = o.late = true;
    call_result r{.what = call_outcome::unknown, .why = "no answer before its deadline; ask later", .id = id, .attempts = o.attempts};
    tell(std::exchange(o.then, {}), std::move(r));
  }
  if (now - waiting_looked_ < 50 * kj::MILLISECONDS) return;
  waiting_looked_ = now;
  std::deque<operation> still;
  for (auto& o : std::exchange(waiting_, {}))
    if (over(o)) finish(o, call_outcome::expired, nullptr, "its deadline was over before it was sent", "");
    else still.push_back(std::move(o));
  waiting_.insert(waiting_.begin(), std::make_move_iterator(still.begin()), std::make_move_iterator(still.end()));
}

void engine::cancel(std::uint64_t id) {
  if (const auto known = operations_.find(id); known != operations_.end()) {
    known->second.settle = true;
    known->second.retry_at = timer_.now();
    return;
  }
  const auto waits = std::ranges::find(waiting_, id, &operation::id);
  if (waits == waiting_.end()) return;
  auto gone = std::move(*waits);
  waiting_.erase(waits);
  finish(gone, call_outcome::refused, nullptr, "it was cancelled before it was sent", "");
}

/// The end of a call that is in no container any more.
void engine::finish(operation& o, call_outcome what, gateway_answer* a, const std::string& why, const std::string& node) {
  if (o.number != 0 && !file_) done_with(o.number);
  if (o.number != 0 && file_ && o.acknowledged) {
    file_->acknowledged(o.number);
    close_former_soon();
  }
  call_result r;
  r.what = what;
  r.why = why;
  r.id = o.id;
  r.attempts = o.attempts;
  r.node = node;
  r.report = std::move(o.report);
  if (a) {
    r.repeated = a->reader.getRepeated();
    r.position = a->reader.getPosition();
    r.index = a->reader.getIndex();
    r.view = a->reader.getView();
    r.time = std::chrono::microseconds(a->reader.getTimeUs());
    const auto bytes = bytes_of(a->reader.getPayload());
    r.reply.assign(bytes.begin(), bytes.end());
    seen_ = std::max(seen_, r.index);
  }
  settled(o.id, call_result(r));
  if (o.then) tell(std::exchange(o.then, {}), std::move(r));
}

namespace {

/// What an answer that is kept takes, about.
std::size_t size_of(const call_result& r) {
  auto bytes = sizeof r + r.reply.size() + r.why.size();
  for (const auto& m : r.report.members) bytes += sizeof m + m.answer.size();
  return bytes;
}

}  // namespace

void engine::settled(std::uint64_t id, call_result&& r) {
  if (auto asking = asking_.extract(id); !asking.empty())
    for (auto& then : asking.mapped()) tell(then, call_result(r));
  if (const auto before = ended_.find(id); before != ended_.end()) {  // called again under its number
    ended_bytes_ -= size_of(before->second);
    ended_.erase(before);
    std::erase(ended_in_order_, id);
  }
  const auto bytes = size_of(r);
  if (bytes > ended_bytes_max) return;
  ended_.emplace(id, std::move(r));
  ended_in_order_.push_back(id);
  ended_bytes_ += bytes;
  while (ended_in_order_.size() > ended_max || ended_bytes_ > ended_bytes_max) {
    const auto oldest = ended_.find(ended_in_order_.front());
    ended_bytes_ -= size_of(oldest->second);
    ended_.erase(oldest);
    ended_in_order_.pop_front();
  }
}

bool engine::is_open(std::uint64_t id) const {
  return operations_.contains(id) || std::ranges::find(waiting_, id, &operation::id) != waiting_.end();
}

void engine::ask(std::uint64_t id, client::done then) {
  if (const auto known = ended_.find(id); known != ended_.end()) return tell(then, call_result(known->second));
  if (is_open(id)) {
    asking_[id].push_back(std::move(then));
    return;
  }
  if (file_ && over_.empty() && file_->find(id)) {
    asking_[id].push_back(std::move(then));
    rest(operations_.emplace(id, operation{.id = id, .number = id, .of = life_of(id), .maybe = true, .settle = true}).first->second);
    send_soon();
    return keep_pumping();
  }
  tell(then, call_result{.what = call_outcome::unknown, .why = "no call of this id is open, or ended lately", .id = id});
}

void engine::end() {
  on_event_ = {};
  ++watch_generation_;
  for (auto& [id, o] : std::exchange(operations_, {}))
    finish(o, o.maybe || o.open_copy ? call_outcome::unknown : call_outcome::refused, nullptr, "the client ended", "");
  for (auto& o : std::exchange(waiting_, {})) finish(o, call_outcome::refused, nullptr, "the client ended", "");
  for (auto& [id, list] : asking_)
    for (auto& then : list) tell(then, call_result{.what = call_outcome::unknown, .why = "the client ended", .id = id});
  asking_.clear();
  if (!file_) return;
  try {
    file_->ended();
    file_->flush();
  } catch (const std::runtime_error&) {  // then some acknowledgements are said again
  }
}

}  // namespace cohort::client_detail
