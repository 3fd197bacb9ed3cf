#include "actors/supervision_parts.hpp"

#include "actors/throw_stack.hpp"

namespace cohort {
namespace detail {

using namespace supervision;

namespace {

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

void supervision_host::carry_out(branch& b, const start_child& what) {
  auto& l = *b.leaves.at(what.child);
  l.number = what.number;
  l.late = l.down = false;
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
  l.note->down = [me, key = l.key, number](const std::string& why) {
    if (auto host = caf::actor_cast<caf::actor>(me))
      cc::hand_over(host, host_call{[key, number, why](supervision_host& h) { h.down(key, number, why); }});
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
    letters->put(path, std::move(poison), how, [=, cause = how.cause, message = how.message, kept = how.kept](std::uint64_t number) {
      if (kept) kept();
      if (auto host = caf::actor_cast<caf::actor>(me))
        cc::hand_over(host, host_call{[=](supervision_host& h) { h.poisoned(path, number, kills, cause, message); }});
    });
  });
  std::lock_guard guard(board_->mutex);
  board_->children[l.path].mail.box = mail.box;
  return mail;
}

void supervision_host::up(std::uint64_t key, life number) {
  auto* l = leaf_of(key);
  if (!l) return;
  l->in->machine.started(instant_now(), l->id, number);
  settle(*l->in);
}

void supervision_host::down(std::uint64_t key, life number, const std::string& why) {
  auto* l = leaf_of(key);
  if (!l || number != l->number) return;
  l->down = !why.empty();
  show(*l, l->down ? "down" : "up");
  if (!l->down || l->spec.hidden) return;
  supervision_event e;
  e.path = l->path;
  e.what = "down";
  e.cause = why;
  e.restarts = l->restarts;
  std::lock_guard guard(board_->mutex);
  board_->children[l->path].status.last_cause = why;
  tell(std::move(e), log_level::error, "child=" + l->path + " event=down stays down: " + why);
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

}  // namespace detail

void child_start::adopt(process& made) {
  if (!std::exchange(link_.joined, true)) {
    made.join(link_.mail.box, link_.note);
    if (!link_.mail.front) link_.mail.front = system_.spawn<detail::front_actor>(link_.mail.box);
  }
  made.launch(nullptr, false, false);
}

caf::actor child_start::spawn(process_function function) { return spawn<detail::function_process>(std::move(function)); }

}  // namespace cohort
