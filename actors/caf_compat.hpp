#pragma once

// The only place that knows which CAF this is. Code elsewhere keeps to what 0.17.6 and 1.x have in common; the one real
// fork besides this file is `pinned.cpp` (who schedules an actor).

#include <caf/all.hpp>
#include <caf/detail/sync_request_bouncer.hpp>

#include <string>
#include <utility>

#define COHORT_CAF_LEGACY (CAF_VERSION < 1800)

namespace cohort::cc {

#if COHORT_CAF_LEGACY
template <class Self, class To, class... Ts>
void send(Self* self, const To& to, Ts&&... what) {
  self->send(to, std::forward<Ts>(what)...);
}
template <class Self, class To, class Delay, class... Ts>
void delayed_send(Self* self, const To& to, Delay delay, Ts&&... what) {
  self->delayed_send(to, delay, std::forward<Ts>(what)...);
}
#else
template <class Self, class To, class... Ts>
void send(Self* self, const To& to, Ts&&... what) {
  self->mail(std::forward<Ts>(what)...).send(to);
}
template <class Self, class To, class Delay, class... Ts>
void delayed_send(Self* self, const To& to, Delay delay, Ts&&... what) {
  self->mail(std::forward<Ts>(what)...).delay(delay).send(to);
}
#endif

/// Enqueues without an execution unit: the receiver is resumed by the scheduler, never on the calling thread. Whatever
/// the protocol thread sends to application actors goes through here.
template <class To, class... Ts>
void hand_over(const To& to, Ts&&... what) {
  caf::anon_send(to, std::forward<Ts>(what)...);
}

/// Sends `make(reason)` to `me` when `who` ends. Works alike in all versions, which monitors do not.
template <class Make>
void watch(const caf::actor& who, const caf::actor& me, Make make) {
  auto weak = caf::actor_cast<caf::actor_addr>(me);
  caf::actor_cast<caf::abstract_actor*>(who)->attach_functor([weak, make](const caf::error& why) {
    if (auto target = caf::actor_cast<caf::actor>(weak)) hand_over(target, make(why));
  });
}

/// An error in words.
inline std::string text(const caf::error& e) { return caf::to_string(e); }

/// Whether all that the message holds is of types that CAF can write down. Trying to write another one makes it print an error.
inline bool writable(caf::actor_system& system, const caf::message& what) {
#if COHORT_CAF_LEGACY
  const auto& types = system.types();
  for (std::size_t i = 0; i < what.size(); ++i)
    if (types.portable_name(what.type(i)) == types.default_type_name()) return false;
#else
  (void)system, (void)what;  // each type is known, and says so by itself
#endif
  return true;
}

/// `sharing` wakes an idle worker at once where the default policy polls (205 us against 26 us a round trip); a finite
/// throughput keeps one busy actor from hogging a worker.
inline void configure(caf::actor_system_config& config, unsigned workers) {
#if COHORT_CAF_LEGACY
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", workers);
  config.set("scheduler.max-throughput", 300);
#else
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-threads", workers);
  config.set("caf.scheduler.max-throughput", 300);
#endif
}

}  // namespace cohort::cc
