#include "framework/simulation/sessions.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

std::vector<std::byte> kept(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

/// Tells the ledger what is applied.
class watched_machine final : public state_machine {
public:
  watched_machine(std::unique_ptr<state_machine> app, session_ledger& ledger) : app_(std::move(app)), ledger_(ledger) {}
  void apply(const delivery& d, reply& answer) override {
    app_->apply(d, answer);
    ledger_.executed(d.payload, d.position, answer.bytes());
  }
  void query(std::span<const std::byte> question, reply& answer) const override { app_->query(question, answer); }
  void checkpoint(sink& out) const override { app_->checkpoint(out); }
  void restore(source& in) override { app_->restore(in); }
  const state_machine& app() const { return *app_; }

private:
  std::unique_ptr<state_machine> app_;
  session_ledger& ledger_;
};

class sessions_in_front final : public state_machine {
public:
  explicit sessions_in_front(std::unique_ptr<watched_machine> app) : app_(*app), all_(with_sessions(std::move(app))) {}
  void apply(const delivery& d, reply& answer) override { all_->apply(d, answer); }
  void query(std::span<const std::byte> question, reply& answer) const override { all_->query(question, answer); }
  void checkpoint(sink& out) const override { all_->checkpoint(out); }
  void restore(source& in) override { all_->restore(in); }
  const state_machine& app() const { return app_.app(); }

private:
  const watched_machine& app_;
  std::unique_ptr<state_machine> all_;
};

}  // namespace

// ---- the ledger -----------------------------------------------------------------------------------------------------

void session_ledger::requested(std::span<const std::byte> payload) { requests_[kept(payload)].number = requests_.size(); }

void session_ledger::executed(std::span<const std::byte> payload, std::uint64_t position, std::span<const std::byte> answer) {
  const auto found = requests_.find(kept(payload));
  if (found == requests_.end()) return;
  auto& r = found->second;
  const auto name = "request " + std::to_string(r.number);
  if (r.never) return fail(name + " was given up and is executed at " + std::to_string(position));
  if (r.position != 0 && r.position != position)
    return fail(name + " is executed at " + std::to_string(r.position) + " and at " + std::to_string(position));
  if (r.position != 0 && !std::ranges::equal(r.answer, answer)) return fail(name + " has two answers at " + std::to_string(position));
  r.position = position;
  r.answer = kept(answer);
}

void session_ledger::answered(std::span<const std::byte> payload, const session_reply& told) {
  const auto& r = requests_.at(kept(payload));
  const auto name = "request " + std::to_string(r.number);
  if (r.position == 0) return fail(name + " is answered and was not executed");
  if (told.position != r.position) fail(name + " is told to be executed at " + std::to_string(told.position) + ", and was at " + std::to_string(r.position));
  if (!std::ranges::equal(told.payload, r.answer)) fail(name + " is given another answer than that of its execution");
}

void session_ledger::given_up(std::span<const std::byte> payload) {
  auto& r = requests_.at(kept(payload));
  if (r.position != 0) return fail("request " + std::to_string(r.number) + " is told never to be executed, and was at " + std::to_string(r.position));
  r.never = true;
}

// ---- the application ------------------------------------------------------------------------------------------------

std::unique_ptr<state_machine> session_workload::make() const {
  return std::make_unique<sessions_in_front>(std::make_unique<watched_machine>(app_.make(), ledger_));
}

std::uint64_t session_workload::digest(const state_machine& machine) const {
  return app_.digest(static_cast<const sessions_in_front&>(machine).app());
}

// ---- callers --------------------------------------------------------------------------------------------------------

session_clients::session_clients(world& w, const workload& app, session_ledger& ledger, unsigned first_client)
    : world_(w), app_(app), ledger_(ledger), first_client_(first_client), chance_(w.plan().seed ^ 0x5e5510e5), callers_(w.plan().sessions) {}

void session_clients::begin() {
  for (unsigned c = 0; c < callers_.size(); ++c) {
    renew(c);
    world_.at(milliseconds(chance_.between(300, 900)), [this, c] { work(c); });
  }
}

bool session_clients::idle() const {
  return std::ranges::all_of(callers_, [](const caller& c) { return c.open.empty(); });
}

/// A session of which nobody knows yet.
void session_clients::renew(unsigned c) {
  auto& me = callers_[c];
  me.name = {{chance_.next(), c}, 0};
  me.limits.lifetime = chance_.chance(250) ? milliseconds(chance_.between(1000, 3000)) : milliseconds(3'600'000);
  me.limits.open_requests_max = 32;
  me.next = 1;
  ++me.eras;
  me.open.clear();
  me.old = {};
}

void session_clients::work(unsigned c) {
  auto& me = callers_[c];
  const auto window = 1 + chance_.below(4);
  if (finishing_) return;
  if (me.name.birth == 0) {
    std::vector<std::byte> bytes;
    write_open(bytes, me.name, me.limits);
    send({c, me.eras, 0, asked::open}, std::move(bytes));
  } else {
    const auto far = [&] { return !me.open.empty() && me.next - me.open.begin()->first >= me.limits.open_requests_max; };
    while (me.open.size() < window && !far()) {
      request r;
      r.number = me.next++;
      r.payload = app_.swap(world_.plan().keys + c, ++values_);
      ledger_.requested(r.payload);
      me.open.emplace(r.number, r);
      send(c, r.number);
    }
    if (me.old.number != 0 && chance_.chance(200)) {
      std::vector<std::byte> bytes;
      write_call(bytes, me.name, me.old.number, 1, me.old.payload);  // an old mark, too
      send({c, me.eras, me.old.number, asked::old_call}, std::move(bytes));
    }
  }
  // Some pause until their session is over.
  const auto pause = chance_.chance(30) ? milliseconds(chance_.between(1000, 4000)) : milliseconds(chance_.between(5, 150));
  world_.at(world_.now() + pause, [this, c] { work(c); });
}

/// Another copy of an open request, the same number, through some member.
void session_clients::send(unsigned c, std::uint64_t number) {
  auto& me = callers_[c];
  auto& r = me.open.at(number);
  if (++r.copies > 2 && !r.cancel) r.cancel = chance_.chance(100);
  std::vector<std::byte> bytes;
  if (r.cancel)
    write_cancel(bytes, me.name, number);
  else
    write_call(bytes, me.name, number, me.open.begin()->first, r.payload);
  const copy what{c, me.eras, number, r.cancel ? asked::cancel : asked::call, r.copies};
  send(what, std::move(bytes));
  again(what, milliseconds(chance_.between(40, 1500)));
}

void session_clients::send(const copy& what, std::vector<std::byte> bytes) {
  const auto node = static_cast<unsigned>(chance_.below(world_.members()));
  copies_[world_.operations().size() + 1] = what;  // it may be answered at once
  world_.submit(first_client_ + what.caller, node, std::move(bytes));
}

/// Unless it was answered by then.
void session_clients::again(const copy& what, protocol::duration after) {
  world_.at(world_.now() + after, [this, what] {
    const auto& me = callers_[what.caller];
    if (me.eras != what.era) return;
    if (const auto r = me.open.find(what.number); r != me.open.end() && r->second.copies == what.nth) send(what.caller, what.number);
  });
}

void session_clients::returned(const operation& o) {
  const auto found = copies_.extract(o.number);
  if (found.empty()) return;
  const auto what = found.mapped();
  if (callers_[what.caller].eras != what.era) return;
  if (o.result == operation::outcome::done) {
    session_reply told;
    if (!read_reply(o.reply, told)) return ledger_.fail("an answer is none of a session");
    settled(what, told);
  } else if (what.what == asked::call || what.what == asked::cancel) {
    again(what, milliseconds(chance_.between(5, 80)));  // this copy was not executed
  }
}

void session_clients::settled(const copy& what, const session_reply& told) {
  auto& me = callers_[what.caller];
  if (what.what == asked::open) {
    if (told.what != session_outcome::replied) return ledger_.fail(std::string("a session is not opened: ") + to_string(told.what));
    if (me.name.birth == 0) me.name.birth = told.birth;
    return;
  }
  if (told.what == session_outcome::no_session) return renew(what.caller);  // nobody can tell what became of what is open
  if (what.what == asked::old_call) {
    // It was answered, and its caller said so: it is forgotten, or its answer is still there.
    if (told.what == session_outcome::replied) {
      if (me.old.number == what.number) ledger_.answered(me.old.payload, told);
    } else if (told.what != session_outcome::forgotten) {
      ledger_.fail(std::string("an old request: ") + to_string(told.what));
    }
    return;
  }
  const auto open = me.open.find(what.number);
  if (open == me.open.end()) return;  // an earlier copy's answer came first
  switch (told.what) {
    case session_outcome::replied:
      ledger_.answered(open->second.payload, told);
      if (chance_.chance(300)) me.old = open->second;
      break;
    case session_outcome::cancelled:
      if (!open->second.cancel) ledger_.fail("a request is cancelled that nobody gave up");
      ledger_.given_up(open->second.payload);
      break;
    default: return ledger_.fail("request " + std::to_string(what.number) + " of caller " + std::to_string(what.caller) + ": " + to_string(told.what));
  }
  me.open.erase(open);
}

}  // namespace cohort::sim
