#include "actors/supervision.hpp"

#include "actors/resilient_process.hpp"
#include "actors/throw_stack.hpp"

#include <algorithm>
#include <random>
#include <thread>

namespace cohort {
namespace detail {

using namespace supervision;

namespace {

constexpr std::size_t events_max = 256;

instant instant_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

std::string in_ms(instant t) { return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(t).count()) + " ms"; }

wall_time wall_clock() {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

death death_of(const caf::error& why) {
  if (!why || why == caf::exit_reason::normal) return death::normal;
  return why == caf::exit_reason::user_shutdown ? death::shutdown : death::failed;
}

/// A child's stable address: whatever it is sent goes into the child's mailbox, whoever lives there.
class front_actor final : public caf::event_based_actor {
public:
  front_actor(caf::actor_config& config, std::shared_ptr<inbox> box) : event_based_actor(config), box_(std::move(box)) {}
  const char* name() const override { return "cohort.child"; }
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override {
    if (what->content().match_elements<host_tick>()) return event_based_actor::enqueue(std::move(what), unit);
    box_->push(std::move(what), nullptr);
  }

protected:
  caf::behavior make_behavior() override {
    return {[this](host_tick) { quit(caf::exit_reason::user_shutdown); }};
  }

private:
  std::shared_ptr<inbox> box_;
};

class function_process final : public process {
public:
  function_process(caf::actor_config& config, process_function function) : process(config), function_(std::move(function)) {}
  const char* name() const override { return "cohort.function"; }

protected:
  caf::behavior make_behavior() override { return function_(this); }

private:
  process_function function_;
};

}  // namespace

/// What `child_start` needs to join a process to its child.
class child_link {
public:
  child_mail& mail;
  std::shared_ptr<life_note> note;
  bool joined = false;
};

struct supervision_host::leaf {
  std::uint64_t key = 0;
  std::string path;
  branch* in = nullptr;
  child_id id = 0;
  child_spec spec;
  life number = 0;
  caf::actor actor;
  std::shared_ptr<life_note> note;
  std::unique_ptr<branch> nested;
  std::string cause;  ///< of the newest failure
  std::string message;
  std::vector<void*> frames;
  std::uint64_t restarts = 0;
  bool late = false;  ///< killed because it was not up in time: that is the cause
};

/// A report with what was known when it was made: the next life may fail before it is told.
struct supervision_host::told {
  report what;
  std::string cause, message;
  std::vector<void*> frames;
  std::uint64_t restarts = 0;
};

struct supervision_host::branch {
  branch(const tree_spec& from, draw random)
      : machine({from.how.strategy, from.how.limits, from.how.kill_limit}, std::move(random)) {}
  std::string path;
  std::shared_ptr<const tree_spec> spec;
  supervisor machine;
  std::map<child_id, std::unique_ptr<leaf>> leaves;
  leaf* of = nullptr;  ///< in its parent; null: the root
  life number = 0;     ///< of that
  bool settling = false;
  std::vector<told> untold;
  std::string gave_up;
};

supervision_host::supervision_host(caf::actor_config& config, std::shared_ptr<const tree_spec> root, std::uint64_t seed,
                                   std::shared_ptr<supervision_board> board, std::shared_ptr<dead_letters> letters,
                                   supervision_calls calls)
    : event_based_actor(config),
      root_spec_(std::move(root)),
      random_([generator = std::make_shared<std::mt19937_64>(seed)] { return (*generator)(); }),
      board_(std::move(board)),
      letters_(std::move(letters)),
      calls_(std::move(calls)) {}

supervision_host::~supervision_host() = default;

caf::behavior supervision_host::make_behavior() {
  throw_stack warm;  // loads what the first stack would wait for
  root_ = std::make_unique<branch>(*root_spec_, random_);
  root_->spec = root_spec_;
  begin(*root_);
  settle(*root_);
  arm();
  return {
    [this](const host_call& c) {
      c.run(*this);
      gone_.clear();
      gone_leaves_.clear();
      arm();
    },
    [this](host_tick) {
      armed_ = never;
      const std::vector<branch*> all(branches_.begin(), branches_.end());
      for (auto* b : all)
        if (branches_.contains(b) && b->machine.next_deadline() <= instant_now()) {
          b->machine.tick(instant_now());
          settle(*b);
        }
      gone_.clear();
      gone_leaves_.clear();
      arm();
    },
  };
}

/// One timer, for the nearest deadline; CAF's cannot be cancelled, so an early one finds nothing to do.
void supervision_host::arm() {
  auto next = never;
  for (auto* b : branches_) next = std::min(next, b->machine.next_deadline());
  if (next >= armed_) return;
  armed_ = next;
  cc::delayed_send(this, caf::actor(this), std::max(next - instant_now(), instant(0)), host_tick{});
}

void supervision_host::begin(branch& b) {
  branches_.insert(&b);
  for (auto& c : b.spec->children) add(b, c);
  b.machine.begin(instant_now());
}

supervision_host::leaf& supervision_host::add(branch& b, child_spec what) {
  auto made = std::make_unique<leaf>();
  auto& l = *made;
  l.key = next_key_++;
  l.path = b.path.empty() || what.hidden ? (what.hidden ? b.path : what.name) : b.path + "/" + what.name;
  l.in = &b;
  l.spec = std::move(what);
  // Supervisors bound their own stop by their children's limits; one that still starts waits for them.
  const bool bounds_itself = l.spec.nested != nullptr;
  l.id = b.machine.add(instant_now(), {l.spec.how.restart, bounds_itself ? never : instant(l.spec.how.start_limit),
                               bounds_itself ? never : instant(l.spec.how.stop_limit)});
  leaves_[l.key] = &l;
  if (!l.spec.hidden) {
    paths_[l.path] = l.key;
    std::lock_guard guard(board_->mutex);
    auto& row = board_->children[l.path];
    row.since = std::chrono::steady_clock::now();
    row.status.path = l.path;
    row.status.state = "waiting";
    row.status.is_supervisor = bounds_itself;
    row.status.restart = l.spec.how.restart;
  }
  b.leaves[l.id] = std::move(made);
  return l;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

std::string supervision_host::start(const std::string& parent, child_spec what) {
  auto* b = branch_at(parent);
  if (!b) return "there is no supervisor at \"" + parent + "\"";
  const auto path = parent.empty() ? what.name : parent + "/" + what.name;
  if (paths_.contains(path)) return "there is a child at " + path + " already";
  const auto key = add(*b, std::move(what)).key;
  settle(*b);
  return leaf_of(key) ? "" : path + " was not started: its supervisor has ended";
}

bool supervision_host::remove(const std::string& path) {
  auto* l = leaf_at(path);
  if (!l) return false;
  auto* b = l->in;
  b->machine.remove(instant_now(), l->id);
  settle(*b);
  return true;
}

bool supervision_host::start_again(const std::string& path) {
  auto* l = leaf_at(path);
  if (!l) return false;
  auto* b = l->in;
  const bool done = b->machine.start_again(instant_now(), l->id);
  settle(*b);
  return done;
}

void supervision_host::outside_failed(const std::string& name, const std::string& why) {
  auto* l = leaf_at(name);
  if (!l || !l->spec.outside) return;
  l->cause = why;
  l->in->machine.ended(instant_now(), l->id, l->number, death::failed);
  settle(*l->in);
}

void supervision_host::stop(std::function<void()> done) {
  if (!root_) return done();
  stopped_ = std::move(done);
  root_->machine.stop(instant_now());
  settle(*root_);
}

void supervision_host::up(std::uint64_t key, life number) {
  auto* l = leaf_of(key);
  if (!l) return;
  l->in->machine.started(instant_now(), l->id, number);
  settle(*l->in);
}

void supervision_host::ended(std::uint64_t key, life number, const caf::error& why) {
  auto* l = leaf_of(key);
  if (!l || number != l->number) return;
  const auto how = death_of(why);
  if (how == death::failed && !l->late) {
    std::lock_guard guard(l->note->mutex);
    l->cause = l->note->cause.empty() ? cc::text(why) : l->note->cause;
    l->message = l->note->message;
    l->frames = l->note->frames;
  }
  l->actor = nullptr;
  if (calls_.ended && !l->spec.hidden) calls_.ended(l->path, how == death::failed ? l->cause.empty() ? "late" : l->cause : "");
  l->in->machine.ended(instant_now(), l->id, number, how);
  settle(*l->in);
}

void supervision_host::poisoned(const std::string& path, std::uint64_t letter, unsigned kills, const std::string& cause,
                                const std::string& message) {
  supervision_event e;
  e.path = path;
  e.what = "poison";
  e.cause = cause;
  e.message = message;
  std::lock_guard guard(board_->mutex);
  ++board_->counters.poison;
  tell(std::move(e), log_level::error,
       "child=" + path + " event=poison letter=" + std::to_string(letter) + " a message that ended " + std::to_string(kills) +
         (kills == 1 ? " life" : " lives") + " is put aside: " + message + ": " + cause);
  if (auto trouble = letters_->trouble(); !trouble.empty()) calls_.log(log_level::warn, trouble);
}

// ---- carrying out ---------------------------------------------------------------------------------------------------

/// What was decided is done first and told afterwards: a restart does not wait for the log.
void supervision_host::settle(branch& b) {
  if (std::exchange(b.settling, true)) return;
  auto tell_all = [&] {
    for (auto& each : std::exchange(b.untold, {})) tell(b, each);
  };
  while (!b.machine.outputs().empty()) {
    auto todo = std::exchange(b.machine.outputs(), {});
    for (auto& each : todo) {
      if (auto* r = std::get_if<report>(&each)) {
        notice(b, *r);
        continue;
      }
      if (std::holds_alternative<finished>(each)) tell_all();  // before the parent hears of it
      if (auto* w = std::get_if<start_child>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<stop_child>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<all_up>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<finished>(&each)) carry_out(b, *w);
    }
  }
  tell_all();
  b.settling = false;
  if (b.leaves.size() == b.machine.size()) return;
  std::vector<leaf*> forgotten;
  for (auto& [id, l] : b.leaves)
    if (!b.machine.knows(id)) forgotten.push_back(l.get());
  for (auto* l : forgotten) forget(*l, true);
}

void supervision_host::notice(branch& b, const report& what) {
  const auto known = b.leaves.find(what.child);
  if (known == b.leaves.end()) return;
  auto& l = *known->second;
  if (what.what == report::restarts) ++l.restarts;
  if (what.what == report::start_late) {
    l.late = true;
    l.cause = "not up within " + in_ms(l.spec.how.start_limit);
    l.message.clear();
    l.frames.clear();
  }
  b.untold.push_back({what, l.cause, l.message, l.frames, l.restarts});
}

void supervision_host::carry_out(branch& b, const start_child& what) {
  auto& l = *b.leaves.at(what.child);
  l.number = what.number;
  l.late = false;
  show(l, "starting");
  {
    std::lock_guard guard(board_->mutex);
    ++board_->counters.starts;
  }
  if (l.spec.nested) {
    l.nested = std::make_unique<branch>(*l.spec.nested, random_);
    l.nested->path = l.path;
    l.nested->spec = l.spec.nested;
    l.nested->of = &l;
    l.nested->number = what.number;
    begin(*l.nested);
    settle(*l.nested);
  } else if (l.spec.outside) {
    l.spec.outside();
    b.machine.started(instant_now(), l.id, what.number);
  } else {
    start_actor(l, what.number);
  }
}

void supervision_host::start_actor(leaf& l, life number) {
  const auto me = caf::actor_cast<caf::actor_addr>(caf::actor(this));
  l.note = std::make_shared<life_note>();
  l.note->up = [me, key = l.key, number] {
    if (auto host = caf::actor_cast<caf::actor>(me))
      cc::hand_over(host, host_call{[key, number](supervision_host& h) { h.up(key, number); }});
  };
  child_link link{mail_of(l), l.note};
  child_start at(system(), l.path, number, link);
  try {
    throw_stack stack_is_kept;
    l.actor = l.spec.make(at);
  } catch (const std::exception& e) {
    l.frames = throw_stack::newest();
    return failed_at_start(l, number, e.what());
  } catch (...) {
    return failed_at_start(l, number, "an exception that is no std::exception");
  }
  if (!l.actor) return failed_at_start(l, number, "its factory returned no actor");
  show(l, "starting");  // with its address
  caf::actor_cast<caf::abstract_actor*>(l.actor)->attach_functor([me, key = l.key, number](const caf::error& why) {
    if (auto host = caf::actor_cast<caf::actor>(me))
      cc::hand_over(host, host_call{[key, number, why](supervision_host& h) { h.ended(key, number, why); }});
  });
  if (!link.joined) l.in->machine.started(instant_now(), l.id, number);
}

void supervision_host::failed_at_start(leaf& l, life number, const std::string& why) {
  l.cause = why;
  l.message.clear();
  l.in->machine.ended(instant_now(), l.id, number, death::failed);
}

child_mail& supervision_host::mail_of(leaf& l) {
  auto& mail = mails_[l.path];
  if (mail.box) return mail;
  mail.box = std::make_shared<inbox>(l.spec.how.mailbox);
  const auto me = caf::actor_cast<caf::actor_addr>(caf::actor(this));
  mail.box->keep(l.path, [me, path = l.path, letters = letters_](inbox_item poison, const life_note& how) {
    const auto kills = poison.kills;
    letters->put(path, std::move(poison), how, [=, cause = how.cause, message = how.message](std::uint64_t number) {
      if (auto host = caf::actor_cast<caf::actor>(me))
        cc::hand_over(host, host_call{[=](supervision_host& h) { h.poisoned(path, number, kills, cause, message); }});
    });
  });
  std::lock_guard guard(board_->mutex);
  board_->children[l.path].mail.box = mail.box;
  return mail;
}

void supervision_host::carry_out(branch& b, const stop_child& what) {
  auto& l = *b.leaves.at(what.child);
  show(l, "stopping");
  if (l.nested) {
    l.nested->machine.stop(instant_now());
    settle(*l.nested);
  } else if (l.actor) {
    caf::anon_send_exit(l.actor, what.kill ? caf::exit_reason::kill : caf::exit_reason::user_shutdown);
  } else {
    b.machine.ended(instant_now(), l.id, what.number, death::shutdown);
  }
}

void supervision_host::carry_out(branch& b, const all_up&) {
  if (!b.of) return;
  auto* parent = b.of->in;
  parent->machine.started(instant_now(), b.of->id, b.number);
  settle(*parent);
}

void supervision_host::carry_out(branch& b, const finished& what) {
  std::set<std::string> declared;
  for (const auto& c : b.spec->children) declared.insert(c.name);
  while (!b.leaves.empty()) {
    auto& l = *b.leaves.begin()->second;
    forget(l, !b.of || !declared.contains(l.spec.name));
  }
  branches_.erase(&b);
  if (!b.of) {
    if (what.gave_up) calls_.gave_up(b.gave_up);
    gone_.push_back(std::move(root_));
    if (auto done = std::exchange(stopped_, {})) done();
    return quit();
  }
  auto& l = *b.of;
  gone_.push_back(std::move(l.nested));
  if (what.gave_up) {
    l.cause = b.gave_up;
    l.message.clear();
    l.frames.clear();
  }
  auto* parent = l.in;
  parent->machine.ended(instant_now(), l.id, b.number, what.gave_up ? death::failed : death::shutdown);
  settle(*parent);
}

/// The child is no more. For good: its address ends, and who waits for an answer is told. One that its supervisor will start
/// again with itself keeps both.
void supervision_host::forget(leaf& l, bool for_good) {
  show(l, for_good ? "ended" : "waiting");
  if (!l.spec.hidden) {
    paths_.erase(l.path);
    if (for_good) end_mail(l.path);
  }
  leaves_.erase(l.key);
  const auto at = l.in->leaves.find(l.id);
  gone_leaves_.push_back(std::move(at->second));
  l.in->leaves.erase(at);
}

/// Of the child and all below it.
void supervision_host::end_mail(const std::string& path) {
  const auto is_concerned = [&](const std::string& other) { return other == path || other.starts_with(path + "/"); };
  for (auto at = mails_.begin(); at != mails_.end();) {
    const auto here = at++;
    if (!is_concerned(here->first)) continue;
    here->second.box->close(caf::exit_reason::user_shutdown);
    if (here->second.front) cc::hand_over(here->second.front, host_tick{});
    mails_.erase(here);
  }
  std::lock_guard guard(board_->mutex);
  std::erase_if(board_->children, [&](auto& row) { return is_concerned(row.first); });
}

// ---- telling --------------------------------------------------------------------------------------------------------

void supervision_host::tell(branch& b, const told& t) {
  const auto& what = t.what;
  const auto known = b.leaves.find(what.child);
  if (known == b.leaves.end()) return;
  auto& l = *known->second;
  if (what.what == report::started) return show(l, "up");
  supervision_event e;
  e.path = l.path;
  e.age = what.age;
  e.delay = what.delay;
  e.restarts = t.restarts;
  const auto& limits = b.spec->how.limits;
  const auto within = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(limits.window).count()) + " s";
  const bool by_failure = what.how == death::failed || l.late;
  if (what.what == report::restarts || what.what == report::one_too_many || what.what == report::is_final) {
    e.cause = by_failure ? t.cause : "it ended";
    if (by_failure) e.message = t.message;
    if (by_failure) e.stack = throw_stack::describe(t.frames);
  }
  const auto line = [&](const char* event) {
    return "child=" + l.path + " event=" + event + " age=" + in_ms(what.age) + " restarts=" + std::to_string(t.restarts);
  };
  const bool is_newest = l.number == what.number && !l.spec.hidden;
  if (what.what == report::is_final)
    if (const auto mail = mails_.find(l.path); mail != mails_.end()) mail->second.box->vacate(caf::exit_reason::unreachable);
  std::lock_guard guard(board_->mutex);
  auto& counters = board_->counters;
  switch (what.what) {
    case report::restarts: {
      ++counters.restarts;
      e.what = "restarts";
      auto text = line("restarts") + " in " + in_ms(what.delay) + ", failure " + std::to_string(what.failures_in_window) +
                  " of at most " + std::to_string(limits.failures_max) + " within " + within + ": " + e.cause;
      if (!e.message.empty()) text += "; handled " + e.message;
      for (auto& frame : e.stack) text += "\n    " + frame;
      if (!l.spec.hidden) {
        auto& row = board_->children[l.path];
        row.status.restarts = t.restarts;
        row.status.last_cause = e.cause;
        row.status.last_stack = e.stack;
        if (is_newest) row.status.state = "waiting";
      }
      return tell(std::move(e), log_level::error, text);
    }
    case report::one_too_many:
      ++counters.gave_up;
      e.what = "gave_up";
      b.gave_up = limits.failures_max == 0 ? e.cause
                                           : l.path + " failed " + std::to_string(what.failures_in_window) + " times within " +
                                               within + ", so it is not started again; last failure: " + e.cause;
      return tell(std::move(e), log_level::error, line("gave_up") + " " + b.gave_up);
    case report::start_late:
      ++counters.start_late;
      e.what = "start_late";
      return tell(std::move(e), log_level::error, line("start_late") + " not up within its start limit: killed");
    case report::stop_late:
      ++counters.stop_late;
      e.what = "stop_late";
      return tell(std::move(e), log_level::warn, line("stop_late") + " not ended within its stop limit: killed");
    case report::is_stuck:
      ++counters.stuck;
      if (!l.spec.hidden) board_->children[l.path].status.state = "stuck";
      e.what = "stuck";
      b.gave_up = l.path + " does not come back from a handler, so nothing can end it but the end of its process";
      return tell(std::move(e), log_level::error, line("stuck") + " " + b.gave_up);
    case report::is_final:
      if (!l.spec.hidden) {
        auto& row = board_->children[l.path];
        row.status.state = "ended";
        if (by_failure) row.status.last_cause = e.cause;
      }
      e.what = "ended";
      return tell(std::move(e), by_failure ? log_level::error : log_level::info,
                  line("ended") + (by_failure ? " by a failure, is not started again: " + e.cause : ""));
    case report::ended:
      if (is_newest) board_->children[l.path].status.state = "waiting";
      return;
    case report::started: return;
  }
}

/// With the board locked.
void supervision_host::tell(supervision_event e, log_level level, const std::string& line) {
  e.time = wall_clock();
  board_->events.push_back(std::move(e));
  if (board_->events.size() > events_max) board_->events.pop_front();
  calls_.log(level, line);
}

void supervision_host::show(leaf& l, const char* state) {
  if (l.spec.hidden) return;
  std::lock_guard guard(board_->mutex);
  const auto row = board_->children.find(l.path);
  if (row == board_->children.end()) return;
  auto& s = row->second.status;
  s.state = state;
  if (s.lives != l.number) row->second.since = std::chrono::steady_clock::now();
  s.lives = l.number;
  if (const auto mail = mails_.find(l.path); mail != mails_.end()) row->second.mail = mail->second;
}

// ---- finding --------------------------------------------------------------------------------------------------------

supervision_host::leaf* supervision_host::leaf_of(std::uint64_t key) {
  const auto known = leaves_.find(key);
  return known == leaves_.end() ? nullptr : known->second;
}

supervision_host::leaf* supervision_host::leaf_at(const std::string& path) {
  const auto known = paths_.find(path);
  return known == paths_.end() ? nullptr : leaf_of(known->second);
}

/// The empty path is the supervisor of the application's own trees: the root's last.
supervision_host::branch* supervision_host::branch_at(const std::string& path) {
  if (!path.empty()) {
    auto* l = leaf_at(path);
    return l ? l->nested.get() : nullptr;
  }
  if (!root_ || root_->leaves.empty()) return nullptr;
  return root_->leaves.rbegin()->second->nested.get();
}

void check_child_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  };
  if (name.empty() || name.size() > 64 || !std::all_of(name.begin(), name.end(), good))
    throw node_error("the child's name \"" + name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
}

}  // namespace detail

// ---- the public face ------------------------------------------------------------------------------------------------

void child_start::adopt(process& made) {
  if (!std::exchange(link_.joined, true)) {
    made.join(link_.mail.box, link_.note);
    if (!link_.mail.front) link_.mail.front = system_.spawn<detail::front_actor>(link_.mail.box);
  }
  made.launch(nullptr, false, false);
}

caf::actor child_start::spawn(process_function function) { return spawn<detail::function_process>(std::move(function)); }

supervision_tree::supervision_tree(std::string name, supervisor_options how) {
  detail::check_child_name(name);
  auto made = std::make_shared<detail::tree_spec>();
  made->name = std::move(name);
  made->how = how;
  spec_ = std::move(made);
}

/// Trees are values: a copy that is changed is another tree.
detail::tree_spec& supervision_tree::mutable_spec() {
  // A supervisor that runs it keeps what it was started with.
  if (spec_.use_count() > 1) spec_ = std::make_shared<detail::tree_spec>(*spec_);
  return const_cast<detail::tree_spec&>(*spec_);  // made here, by these two functions and the constructor
}

void supervision_tree::add_name(const std::string& name) {
  if (!mutable_spec().names.insert(name).second) throw node_error("child " + name + " is named twice in " + spec_->name);
}

supervision_tree& supervision_tree::child(std::string name, child_factory make, child_options how) {
  detail::check_child_name(name);
  if (!make) throw node_error("child " + name + ": no factory is given");
  if (how.mailbox.messages_max == 0 || how.mailbox.poison_after == 0)
    throw node_error("child " + name + ": messages_max and poison_after must be at least 1");
  add_name(name);
  mutable_spec().children.push_back({std::move(name), how, std::move(make), nullptr, {}});
  return *this;
}

supervision_tree& supervision_tree::branch(supervision_tree nested) {
  add_name(nested.spec_->name);
  mutable_spec().children.push_back({nested.spec_->name, {}, {}, nested.spec_, {}});
  return *this;
}

namespace {

constexpr auto tree_patience = std::chrono::seconds(30);

void start_below(const caf::actor_addr& host, const std::string& parent, detail::child_spec what) {
  auto alive = caf::actor_cast<caf::actor>(host);
  if (!alive) throw node_error("children are started by a node that runs");
  auto why = detail::ask_host<std::string>(alive, [&](detail::supervision_host& h) { return h.start(parent, what); });
  if (!why) throw node_error("children are started by a node that runs");
  if (!why->empty()) throw node_error(*why);
}

bool ask_about(const caf::actor_addr& host, std::function<bool(detail::supervision_host&)> what) {
  auto alive = caf::actor_cast<caf::actor>(host);
  return alive && detail::ask_host<bool>(alive, std::move(what)).value_or(false);
}

}  // namespace

void supervisors::start(const supervision_tree& tree) { start("", tree); }

void supervisors::start(const std::string& parent, const supervision_tree& tree) {
  start_below(impl_->host, parent, {tree.spec()->name, {}, {}, tree.spec(), {}});
  const auto path = parent.empty() ? tree.spec()->name : parent + "/" + tree.spec()->name;
  const auto is_on_its_way = [&] {
    std::lock_guard guard(impl_->board->mutex);
    const auto row = impl_->board->children.find(path);
    return row != impl_->board->children.end() && (row->second.status.state == "starting" || row->second.status.state == "waiting");
  };
  const auto end = std::chrono::steady_clock::now() + tree_patience;
  while (is_on_its_way() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void supervisors::start(const std::string& parent, const std::string& name, child_factory make, child_options how) {
  supervision_tree checked("checked");
  checked.child(name, std::move(make), how);
  start_below(impl_->host, parent, checked.spec()->children.front());
}

bool supervisors::remove(const std::string& path) {
  return ask_about(impl_->host, [path](auto& h) { return h.remove(path); });
}

bool supervisors::start_again(const std::string& path) {
  return ask_about(impl_->host, [path](auto& h) { return h.start_again(path); });
}

caf::actor supervisors::address(const std::string& path) const {
  std::lock_guard guard(impl_->board->mutex);
  const auto row = impl_->board->children.find(path);
  return row == impl_->board->children.end() ? nullptr : row->second.mail.front;
}

std::vector<child_status> supervisors::children() const {
  std::vector<child_status> all;
  std::lock_guard guard(impl_->board->mutex);
  for (auto& [path, row] : impl_->board->children) {
    all.push_back(row.status);
    all.back().age = std::chrono::steady_clock::now() - row.since;
    if (row.mail.box) all.back().mailbox = row.mail.box->figures();
  }
  return all;
}

std::vector<supervision_event> supervisors::events() const {
  std::lock_guard guard(impl_->board->mutex);
  return {impl_->board->events.begin(), impl_->board->events.end()};
}

supervision_counters supervisors::counters() const {
  std::lock_guard guard(impl_->board->mutex);
  return impl_->board->counters;
}

std::vector<dead_letter> supervisors::dead_letters() const {
  auto letters = impl_->letters.lock();
  return letters ? letters->list() : std::vector<dead_letter>();
}

std::string supervisors::replay(std::uint64_t letter) {
  auto letters = impl_->letters.lock();
  if (!letters) return "the node has stopped";
  std::string path, why;
  auto content = letters->open(letter, path, why);
  if (!content) return why;
  auto child = address(path);
  if (const auto front = child || !impl_->replicated ? caf::actor() : impl_->replicated(path)) {
    // Whether it does it again shows in the group only: its letter stays.
    caf::anon_send(front, detail::replayed_input{std::move(*content)});
    return {};
  }
  if (!child) return "there is no child at " + path + " now; start it, then replay dead letter " + std::to_string(letter);
  const auto deaths = impl_->deaths.lock();
  // What ends the process once more is in no mailbox afterwards: its letter stays.
  const bool deadly = deaths && detail::pardon(*deaths, *content);
  if (!deadly && !letters->drop(letter)) return "dead letter " + std::to_string(letter) + " was taken by another";
  caf::anon_send(child, std::move(*content));
  return {};
}

bool supervisors::drop(std::uint64_t letter) {
  auto letters = impl_->letters.lock();
  return letters && letters->drop(letter);
}

}  // namespace cohort
