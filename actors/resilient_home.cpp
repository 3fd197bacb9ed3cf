#include "actors/resilient_process.hpp"

#include "actors/node_impl.hpp"
#include "actors/resilient_front.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cohort {
namespace {

const caf::atom_value put_aside_category = caf::atom("putaside");

}  // namespace

bool is_put_aside(const caf::error& e) { return e && e.category() == put_aside_category; }

caf::error detail::put_aside_error(const std::string& what) {
  return caf::error(1, put_aside_category, caf::make_message(what));
}

resilient_home::resilient_home(std::shared_ptr<stable_store> storage)
    : impl_(std::make_shared<impl>(std::move(storage))) {}
resilient_home::resilient_home(node& where)
    : impl_(where.internals().resilient([&] { return std::make_shared<impl>(where); })) {}

child_factory resilient_home::child(const std::string& name, resilient_factory make, resilient_options how) const {
  if (name.empty() || name.size() > stable_name_bytes_max)
    throw node_error("resilient process \"" + name + "\": a name has 1 to " + std::to_string(stable_name_bytes_max) +
                     " bytes");
  return [home = impl_, name, make = std::move(make), how](child_start& at) {
    home->lives_at(at.path(), name);
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
      [home = impl_, name](const resilience::message& in, bool ended, unsigned times, const std::string& why) {
        home->put_aside(name, in, ended, times, why);
      },
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

std::string resilient_home::redo(const std::string& name) const { return impl_->redo(name); }

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
void resilient_home::impl::put_aside(const std::string& name, const resilience::message& in, bool ended, unsigned times,
                                     const std::string& why) {
  auto& here = node->internals();
  here.log.write(detail::log_level::error,
                 "resilient process " + name + ": an input" +
                   (in.from.empty() ? "" : " of " + std::string(in.from) + ", number " + std::to_string(in.number)) +
                   " is put aside: " + (ended ? "" : "it throws each time: ") + why);
  here.deaths()->count_put_aside(ended);
  here.put_letter(name,
                  in.from.empty()
                    ? caf::make_message(std::string(in.body))
                    : caf::make_message(resilient_message{std::string(in.from), in.number, std::string(in.body), in.low}),
                  times, why);
}

void resilient_home::impl::undelivered(const std::string& name, const std::string& to, std::uint64_t number,
                                       const caf::error& why) {
  if (node)
    node->internals().log.write(detail::log_level::error,
                                "resilient process " + name + ": its message " + std::to_string(number) + " to " + to +
                                  " is refused for good, and not sent again: " + cc::text(why));
  const std::lock_guard lock(mutex);
  ++undelivered_counts[name];
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
      if (line != lines.end()) all.back().active = line->second.running && s.down.empty();
      if (const auto lost = undelivered_counts.find(name); lost != undelivered_counts.end()) all.back().undelivered = lost->second;
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

void resilient_home::impl::lives_at(const std::string& path, const std::string& name) {
  const std::lock_guard lock(mutex);
  names[path] = name;
}

std::string resilient_home::impl::name_at(const std::string& path) {
  const std::lock_guard lock(mutex);
  const auto known = names.find(path);
  return known == names.end() ? std::string() : known->second;
}

void resilient_home::impl::stays_down(const resilient_status& now) {
  if (node) node->internals().log.write(detail::log_level::error, "resilient=" + now.name + " event=stays_down: " + now.down);
  const std::lock_guard lock(mutex);
  status[now.name] = now;
}

std::string resilient_home::impl::redo(const std::string& name) {
  {
    const std::lock_guard lock(mutex);
    const auto known = status.find(name);
    if (known == status.end() || known->second.down.empty()) return "no resilient process " + name + " stays down here";
  }
  const auto life = find(name);
  if (!node || !life) return "resilient process " + name + " starts again at this moment";
  node->internals().deaths()->forget_places(name);
  caf::anon_send<caf::message_priority::high>(life, detail::redo_again{});
  return {};
}

void resilient_home::impl::enter(const std::string& name, caf::actor_addr who) {
  const std::lock_guard lock(mutex);
  receivers[name] = std::move(who);
}

}  // namespace cohort
