#include "transport/endpoint_state.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cohort::transport {

namespace {

constexpr std::size_t accepted_per_pass = 32;
constexpr auto listen_pause = std::chrono::milliseconds(100);
constexpr auto settled_after = std::chrono::seconds(1);      // a link that lasted so long starts the back-off afresh
constexpr auto unreachable_after = std::chrono::seconds(1);  // nodes that start together need a moment
constexpr std::size_t stranger_events_per_second = 10;
constexpr std::size_t candidates_max = 32;  // addresses dialled in a round

}  // namespace

// A round begins: all places are looked up, and dialled as they become known.
void endpoint::impl::dial(peer_slot& p) {
  if (!running_ || p.gone || p.current || p.dialling || p.resolving > 0) return;
  const auto round = ++p.round;
  p.candidates.clear();
  p.next = 0;
  p.notes.clear();
  p.resolving = p.proposed.size() + p.configured.size();
  if (p.resolving == 0) {
    p.notes.push_back("no address of it is known yet");
    retry_later(p);
    return;
  }
  // A literal address is answered within the call, and its dial may fail there; whoever is told may end all of this.
  auto places = p.proposed;
  places.insert(places.end(), p.configured.begin(), p.configured.end());
  for (const auto& where : places) {
    if (!running_ || p.round != round) return;
    resolver_->resolve(where, [this, slot = &p, round](resolved&& part) { learn(*slot, round, std::move(part)); });
  }
}

void endpoint::impl::learn(peer_slot& p, std::uint64_t round, resolved&& part) {
  if (!running_ || p.round != round) return;
  if (part.last) --p.resolving;
  if (!part.why.empty() && p.notes.size() < candidates_max) p.notes.push_back(std::move(part.why));
  for (const auto& one : part.found) {
    if (p.candidates.size() >= candidates_max) break;
    const auto text = to_string(one);
    const auto same = [&](const endpoint_address& known) { return to_string(known) == text; };
    if (std::ranges::any_of(p.candidates, same)) continue;
    if (text == p.worked)
      p.candidates.insert(p.candidates.begin() + static_cast<std::ptrdiff_t>(p.next), one);
    else
      p.candidates.push_back(one);
  }
  dial_next(p);
}

void endpoint::impl::dial_next(peer_slot& p) {
  if (!running_ || p.current || p.dialling || p.retry->armed()) return;
  while (p.next < p.candidates.size())
    if (dial_address(p, p.candidates[p.next++])) return;
  if (p.resolving == 0) retry_later(p);
}

bool endpoint::impl::dial_address(peer_slot& p, const endpoint_address& to) {
  ++stats_.dials;
  auto fd = connect_to(to);
  if (!fd) {
    if (p.notes.size() < candidates_max) p.notes.push_back(to_string(to) + ": " + std::strerror(errno));
    return false;
  }
  tune(fd.get(), config_.unsent.least, 2 * config_.silence_max);
  p.dialling = std::make_unique<link>(loop_, *this, std::move(fd), link_state::connecting, pool_, stats_);
  auto& l = *p.dialling;
  l.member = p.member;
  l.where = to_string(to);
  l.dialled = true;
  l.attempt = ++p.attempt;
  l.deadline = loop_.now() + config_.connect_timeout;
  plan_care();
  return true;
}

// An attempt came to nothing: whatever the reason, another address may be the right one.
void endpoint::impl::failed(peer_slot& p, const std::string& where, const std::string& trouble) {
  if (p.notes.size() < candidates_max) p.notes.push_back(where + ": " + trouble);
  if (p.worked == where) p.worked.clear();
  dial_next(p);
}

void endpoint::impl::propose(peer_slot& p, std::vector<place> places) {
  if (places.size() > places_max) places.resize(places_max);
  if (places == p.proposed) return;
  p.proposed = std::move(places);
  dial_afresh(p);
}

void endpoint::impl::know(member_id peer, const std::string& name, std::vector<place> places) {
  if (peer == config_.member) return;
  auto* p = find(peer);
  if (!p) return dial_afresh(add_slot(peer, name, std::move(places)));
  if (places == p->configured) return;
  p->configured = std::move(places);
  p->worked.clear();  // nobody has to be there any more
  dial_afresh(*p);
}

void endpoint::impl::forget(peer_slot& p) {
  if (std::exchange(p.gone, true)) return;
  p.retry->cancel();
  ++p.round;
  p.resolving = 0;
  if (p.dialling) bury(std::move(p.dialling));
  if (!p.current) return;
  bury(std::move(p.current));
  ++stats_.links_down;
  handler_.on_link_down(p.member, false);
}

void endpoint::impl::dial_afresh(peer_slot& p) {
  if (!running_ || p.current || (p.dialling && p.dialling->state() != link_state::connecting)) return;
  bury(std::move(p.dialling));
  p.retry->cancel();
  p.resolving = 0;
  p.back_off = config_.retry_first;
  p.unreachable_told = false;
  p.failing_since = no_deadline;
  dial(p);
}

// Exponential back-off with jitter: two nodes that dial each other, or many that dial one, do not stay in step.
void endpoint::impl::retry_later(peer_slot& p) {
  ++p.round;
  p.resolving = 0;
  p.trouble.clear();
  for (const auto& note : p.notes) p.trouble += (p.trouble.empty() ? "" : "; ") + note;
  const auto now = loop_.now();
  if (p.failing_since == no_deadline) p.failing_since = now;
  if (!p.unreachable_told && p.refusals_told.empty() && now - p.failing_since >= unreachable_after) {
    p.unreachable_told = true;
    tell(link_event_kind::unreachable, p.member,
         "node " + p.name + " cannot be reached" + (p.proposed.empty() && p.configured.empty() ? ": " : " at ") + p.trouble +
             ". It is tried again until it answers");
  }
  if (!running_ || p.gone || p.retry->armed()) return;
  const auto spread = std::uniform_real_distribution<double>(0.5, 1.5)(random_);
  p.retry->set(now + std::chrono::duration_cast<std::chrono::nanoseconds>(p.back_off * spread));
  p.back_off = std::min<std::chrono::nanoseconds>(2 * p.back_off, config_.retry_max);
}

void endpoint::impl::on_connected(link& l) {
  auto* p = find(l.member);
  l.deadline = loop_.now() + config_.hello_timeout;
  l.push(encode_hello(make_hello(p->member, l.attempt, true)));
  l.groups_told = groups_state_;
  (void)l.flush();  // a fresh socket takes it; if it broke, the next pass reports that
  plan_care();
}

void endpoint::impl::on_ready(std::uint32_t) {
  for (std::size_t i = 0; i < accepted_per_pass; ++i) {
    endpoint_address from;
    from.length = sizeof from.storage;
    const int fd = ::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      accept_one(unique_fd(fd), from);
      if (!running_) return;
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) pause_listening(errno);
    return;
  }
}

void endpoint::impl::pause_listening(int error) {
  // Level-triggered: without a pause the waiting connection would keep the loop busy.
  loop_.modify(listener_.get(), 0);
  listen_timer_.set_after(listen_pause);
  tell(link_event_kind::trouble, no_member,
       "cannot accept connections on " + to_string(config_.listen) + ": " + std::strerror(error) +
           ". It is tried again; if descriptors ran out, raise the limit (ulimit -n)");
}

void endpoint::impl::accept_one(unique_fd fd, const endpoint_address& from) {
  ++stats_.accepted;
  if (strangers_.size() >= std::max<std::size_t>(config_.strangers_max, 1)) {
    // Honest nodes are strangers for a moment only, so the oldest is the least likely to be one.
    auto& oldest = *strangers_.front();
    oldest.close();
    stranger_left(oldest, "too many connections wait without having introduced themselves");
    if (!running_) return;
  }
  tune(fd.get(), config_.unsent.least, 2 * config_.silence_max);
  strangers_.push_back(
      std::make_unique<link>(loop_, *this, std::move(fd), link_state::greeting, pool_, stats_));
  auto& l = *strangers_.back();
  l.where = to_string(from);
  l.deadline = loop_.now() + config_.hello_timeout;
  plan_care();
}

std::unique_ptr<link> endpoint::impl::take(link& l) {
  for (auto& p : peers_) {
    if (p->current.get() == &l) return std::move(p->current);
    if (p->dialling.get() == &l) return std::move(p->dialling);
  }
  const auto s = std::ranges::find(strangers_, &l, &std::unique_ptr<link>::get);
  if (s == strangers_.end()) return nullptr;
  auto taken = std::move(*s);
  strangers_.erase(s);
  return taken;
}

void endpoint::impl::bury(std::unique_ptr<link> l) {
  if (!l) return;
  l->close();
  std::erase_if(doomed_, [&](const doomed_link& d) { return d.which == l.get(); });
  buried_.push_back(std::move(l));
}

void endpoint::impl::stranger_left(link& l, const std::string& why) {
  ++stats_.strangers_closed;
  const auto second = std::chrono::floor<std::chrono::seconds>(loop_.now());
  if (std::exchange(told_second_, second) != second) told_in_second_ = 0;
  const bool tell_it = ++told_in_second_ <= stranger_events_per_second;
  if (!tell_it) ++stats_.events_suppressed;
  const auto text = "a connection from " + l.where + " was closed: " + why;
  bury(take(l));
  if (tell_it) tell(link_event_kind::stranger, no_member, text);
}

void endpoint::impl::on_end(link& l, link_end&& why) {
  auto* p = find(l.member);
  if (p && p->current.get() == &l) {
    ++(why.hostile ? stats_.malformed : stats_.links_down);
    if (why.hostile) ++stats_.links_down;
    const auto text = "the link to " + label(l) + " is down: " + why.text;
    const bool settled = loop_.now() - l.since >= settled_after;
    bury(take(l));
    if (settled && !why.hostile) p->back_off = config_.retry_first;
    if (why.hostile) p->back_off = config_.retry_max;
    p->failing_since = no_deadline;
    p->notes = {why.text};
    retry_later(*p);
    handler_.on_link_down(p->member, why.by_peer);
    tell(why.hostile ? link_event_kind::malformed : link_event_kind::down, p->member, text);
    return;
  }
  if (p && p->dialling.get() == &l) {
    const auto where = l.where;
    bury(take(l));
    failed(*p, where, why.text);
    return;
  }
  if (why.silent) {  // port scans and health checks: counted, not told
    ++stats_.strangers_closed;
    bury(take(l));
    return;
  }
  stranger_left(l, why.text);
}

}  // namespace cohort::transport
