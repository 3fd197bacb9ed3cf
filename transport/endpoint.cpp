#include "transport/endpoint.hpp"

#include "transport/checksum.hpp"
#include "transport/endpoint_state.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace cohort::transport {

namespace {

/// Batches that are equal in this are the same one.
std::uint64_t name_of(std::uint32_t group, const protocol::batch& b) {
  const std::uint64_t parts[] = {group, b.view, to_index(b.owner), b.inc, static_cast<std::uint64_t>(b.cls), b.seq, b.stamp};
  return std::max<std::uint64_t>(checksum(std::as_bytes(std::span(parts))), 1);
}

}  // namespace

endpoint::endpoint(loop& where, endpoint_config config, endpoint_handler& handler)
    : impl_(std::make_unique<impl>(where, std::move(config), handler)) {}
endpoint::~endpoint() = default;
std::string endpoint::start() { return impl_->start(); }
void endpoint::stop() { impl_->stop(); }
std::uint16_t endpoint::port() const { return impl_->listener_ ? bound_port(impl_->listener_.get()) : 0; }
const endpoint_stats& endpoint::stats() const { return impl_->stats_; }

void endpoint::send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what) {
  impl_->send(group, targets, what);
}

bool endpoint::send(member_id target, const frame& what) {
  auto* p = impl_->find(target);
  return p && what && impl_->send(*p, what);
}

void endpoint::propose(member_id peer, std::vector<place> places) {
  if (auto* p = impl_->find(peer)) impl_->propose(*p, std::move(places));
}

void endpoint::know(member_id peer, const std::string& name, std::vector<place> places) {
  impl_->know(peer, name, std::move(places));
}

void endpoint::forget(member_id peer) {
  if (auto* p = impl_->find(peer)) impl_->forget(*p);
}

void endpoint::host(group_config what) { impl_->host(std::move(what)); }

void endpoint::drop(std::uint32_t group) { impl_->drop(group); }

void endpoint::tell_nodes(catalogue::node_table nodes) { impl_->nodes_ = std::move(nodes); }

bool endpoint::send(member_id target, const protocol::pulse& what) {
  return send(target, impl_->encoder_.encode(what));
}

void endpoint::set_blank(std::uint32_t group, bool blank) {
  for (auto& g : impl_->config_.groups)
    if (g.index == group) g.blank = blank;
}

bool endpoint::linked(member_id peer) const {
  const auto* p = impl_->find(peer);
  return p && p->current;
}

std::size_t endpoint::payload_queued(member_id peer) const {
  const auto* p = impl_->find(peer);
  return p && p->current ? p->current->queue().payload_bytes() : SIZE_MAX;
}

std::vector<link_status> endpoint::links() const {
  std::vector<link_status> all;
  for (const auto& p : impl_->peers_) {
    if (p->gone) continue;
    link_status s;
    s.member = p->member;
    s.up = p->current != nullptr;
    s.trouble = s.up ? std::string() : p->trouble;
    if (s.up) {
      s.identity = p->current->peer.directory_id;
      s.boot_id = p->current->peer.boot_id;
      s.control_queued = p->current->queue().control_bytes();
      s.payload_queued = p->current->queue().payload_bytes();
    }
    all.push_back(std::move(s));
  }
  return all;
}

endpoint::impl::impl(loop& where, endpoint_config config, endpoint_handler& handler)
    : loop_(where),
      config_(std::move(config)),
      handler_(handler),
      encoder_(config_.member, config_.limits),
      care_timer_(where, [this] { care(); }),
      listen_timer_(where, [this] {
        if (listener_) loop_.modify(listener_.get(), EPOLLIN);
      }) {
  std::random_device device;
  while (config_.boot_id == 0) config_.boot_id = static_cast<std::uint64_t>(device()) << 32 | device();
  if (config_.compress) packer_ = std::make_unique<frame_packer>(pool_);
  random_.seed(static_cast<std::minstd_rand::result_type>(config_.boot_id));
  cluster_ = cluster_digest(config_.founders, config_.cluster);
  for (const auto& c : config_.peers) {
    if (c.member == config_.member) continue;
    const auto named = std::ranges::find(config_.founders, c.member, &founder::member);
    const auto other = "member " + std::to_string(to_index(c.member));
    add_slot(c.member, !c.name.empty() ? c.name : named != config_.founders.end() ? named->name : other, c.places);
  }
}

peer_slot& endpoint::impl::add_slot(member_id member, std::string name, std::vector<place> places) {
  auto p = std::make_unique<peer_slot>();
  p->member = member;
  p->configured = std::move(places);
  p->name = std::move(name);
  p->back_off = config_.retry_first;
  p->retry = std::make_unique<timer>(loop_, [this, slot = p.get()] { dial(*slot); });
  if (to_index(member) >= by_member_.size()) by_member_.resize(to_index(member) + 1);
  by_member_[to_index(member)] = p.get();
  peers_.push_back(std::move(p));
  return *peers_.back();
}

endpoint::impl::~impl() { stop(); }

peer_slot* endpoint::impl::find(member_id m) {
  return to_index(m) < by_member_.size() ? by_member_[to_index(m)] : nullptr;
}

std::string endpoint::impl::start() {
  std::string why;
  auto fd = listen_on(config_.listen, why);
  if (!fd) return why;
  listener_ = std::move(fd);
  loop_.add(listener_.get(), EPOLLIN, *this);
  resolver_ = std::make_unique<resolver>(loop_, config_.name_servers);
  hook_ = loop_.add_pass_hook(loop::order_write, [this] { flush(); });
  running_ = true;
  for (auto& p : peers_) dial(*p);
  return {};
}

void endpoint::impl::stop() {
  if (!std::exchange(running_, false)) return;
  loop_.remove_pass_hook(hook_);
  loop_.remove(listener_.get());
  listener_.reset();
  care_timer_.cancel();
  listen_timer_.cancel();
  resolver_.reset();
  for (auto& l : strangers_) bury(std::move(l));
  strangers_.clear();
  for (auto& p : peers_) {
    p->retry->cancel();
    p->resolving = 0;
    if (p->current) bury(std::move(p->current));
    if (p->dialling) bury(std::move(p->dialling));
  }
  doomed_.clear();
  told_later_.clear();
  acks_used_ = 0;
}

void endpoint::impl::send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what) {
  if (!running_) return;
  const auto reachable = [&](member_id m) {
    const auto* p = find(m);
    return p && p->current;
  };
  if (std::ranges::none_of(targets, reachable)) return;
  if (const auto* one = std::get_if<protocol::ack>(&what)) {
    // Gathered until the pass ends: all groups' acks leave in one frame per link.
    if (acks_used_ == acks_.size()) acks_.emplace_back();
    auto& a = acks_[acks_used_++];
    a.what.group = group;
    a.what.what = *one;
    a.targets.assign(targets.begin(), targets.end());
    return;
  }
  // The protocol sends again, and answers pulls for, what it sees missing. On a slow link that may still wait here; twice in the queue
  // it would make the link slower yet, so that more is missed.
  const auto* b = std::get_if<protocol::batch>(&what);
  const auto name = b ? name_of(group, *b) : 0;
  const auto waits = [&](member_id m) {
    const auto* p = find(m);
    return b && p && p->current && p->current->queue().waits(name);
  };
  const auto repeated = static_cast<std::uint64_t>(std::ranges::count_if(targets, waits));
  stats_.payload_waited += repeated;
  if (repeated == targets.size()) return;
  auto encoded = encoder_.encode(group, what);
  encoded.name = name;
  if (!encoded) {
    ++stats_.payload_dropped;
    tell_later(link_event_kind::dropped, no_member,
               "a message exceeds the largest frame of " + std::to_string(config_.limits.frame_bytes_max) +
                   " bytes and was not sent. Raise the frame limit above the limits of the groups");
    return;
  }
  frame packed;
  bool tried = false;
  for (const auto m : targets) {
    auto* p = find(m);
    if (!p || !p->current || (repeated > 0 && waits(m))) continue;
    const bool may_pack = packer_ && is_payload(encoded.type) && (p->current->peer.unpacks & unpacks_zstd) != 0;
    if (may_pack && !std::exchange(tried, true)) packed = pack(encoded);
    (void)send(*p, may_pack && packed ? packed : encoded);
  }
}

frame endpoint::impl::pack(const frame& plain) {
  auto packed = packer_->pack(plain);
  packed.name = plain.name;
  if (packed) {
    ++stats_.packed_frames;
    stats_.packed_from_bytes += plain.bytes.size();
    stats_.packed_to_bytes += packed.bytes.size();
  }
  return packed;
}

bool endpoint::impl::send(peer_slot& to, const frame& what) {
  if (!to.current) return false;
  auto& l = *to.current;
  const auto bytes = what.bytes.size();
  if (is_payload(what.type)) {
    // A single frame always fits, whatever its size; the protocol pulls again what is missing.
    const auto queued = l.queue().payload_bytes();
    if (queued > 0 && queued + bytes > config_.payload_queue_bytes) {
      ++stats_.payload_dropped;
      stats_.payload_dropped_bytes += bytes;
      if (!std::exchange(l.congested, true))
        tell_later(link_event_kind::dropped, to.member,
                   label(l) + " reads too slowly: " + std::to_string(queued) +
                       " bytes wait for it, further payload is dropped and sent again when it asks");
      return false;
    }
  } else if (l.queue().control_bytes() + bytes > config_.control_queue_bytes) {
    end_later(l, "it does not read: " + std::to_string(l.queue().control_bytes()) + " bytes of control messages wait");
    return false;
  }
  l.push(what);
  return true;
}

void endpoint::impl::flush_acks() {
  auto& [chosen, picked, picked_before] = ack_scratch_;
  picked_before.clear();
  frame encoded;
  for (auto& p : peers_) {
    if (!p->current) continue;
    picked.clear();
    for (std::size_t i = 0; i < acks_used_; ++i)
      if (std::ranges::find(acks_[i].targets, p->member) != acks_[i].targets.end()) picked.push_back(i);
    if (picked.empty()) continue;
    if (picked != picked_before) {  // mostly all links get the same
      if (picked.size() == 1) {
        encoded = encoder_.encode(std::span(&acks_[picked[0]].what, 1));
      } else {
        chosen.clear();
        for (const auto i : picked) chosen.push_back(acks_[i].what);
        encoded = encoder_.encode(chosen);
      }
      picked_before = picked;
    }
    if (encoded) (void)send(*p, encoded);
  }
  acks_used_ = 0;
}

void endpoint::impl::flush() {
  if (acks_used_ > 0) flush_acks();
  for (auto& p : peers_) {
    if (!p->current || p->current->queue().empty()) continue;
    if (auto broken = p->current->flush(); !broken.empty()) end_later(*p->current, std::move(broken));
    if (p->current->queue().payload_bytes() == 0) p->current->congested = false;
  }
  buried_.clear();
}

// The handler may be in the midst of handing out a core's outputs: it hears of the end in the next pass.
void endpoint::impl::end_later(link& l, std::string text) {
  if (std::ranges::find(doomed_, &l, &doomed_link::which) != doomed_.end()) return;
  doomed_.push_back({&l, std::move(text)});
  if (doomed_.size() == 1) care_timer_.set(loop_.now());
}

void endpoint::impl::end_doomed() {
  for (auto& d : std::exchange(doomed_, {})) {
    const auto slot = std::ranges::find_if(peers_, [&](const auto& p) { return p->current.get() == d.which; });
    if (slot == peers_.end()) continue;  // it ended otherwise
    d.which->close();
    on_end(*d.which, {.text = std::move(d.text)});
  }
}

void endpoint::impl::care() {
  if (!running_) return;
  for (const auto& e : std::exchange(told_later_, {})) handler_.on_event(e);
  end_doomed();
  const auto now = loop_.now();
  for (std::size_t i = 0; i < strangers_.size();) {
    if (strangers_[i]->deadline > now) {
      ++i;
      continue;
    }
    auto& late = *strangers_[i];
    late.close();
    stranger_left(late, "it did not introduce itself in time");
  }
  for (auto& p : peers_) {
    if (p->dialling && p->dialling->deadline <= now) {
      const bool connected = p->dialling->state() == link_state::greeting;
      p->dialling->close();
      on_end(*p->dialling, {.text = connected ? "it does not answer HELLO" : "no answer to the attempt to connect"});
    }
    if (p->current) (void)care_for_link(*p);
    if (!running_) return;  // a handler stopped us
  }
  plan_care();
}

instant endpoint::impl::care_for_link(peer_slot& p) {
  auto& l = *p.current;
  const auto now = loop_.now();
  if (now - l.heard() >= config_.silence_max) {
    l.close();
    const auto silent = std::chrono::duration_cast<std::chrono::milliseconds>(now - l.heard()).count();
    on_end(l, {.text = "nothing was heard of it for " + std::to_string(silent) + " ms"});
    return no_deadline;
  }
  const auto due = std::max<instant>(l.heard() + config_.ping_after, l.pinged + config_.ping_after / 2);
  if (due > now) return std::min<instant>(due, l.heard() + config_.silence_max);
  l.pinged = now;
  (void)send(p, encoder_.encode(frame_type::ping));
  return std::min<instant>(now + config_.ping_after / 2, l.heard() + config_.silence_max);
}

void endpoint::impl::plan_care() {
  if (!running_) return;
  auto next = doomed_.empty() && told_later_.empty() ? no_deadline : loop_.now();
  for (const auto& s : strangers_) next = std::min(next, s->deadline);
  for (const auto& p : peers_) {
    if (p->dialling) next = std::min(next, p->dialling->deadline);
    if (p->current) {
      const auto& l = *p->current;
      next = std::min<instant>(next, std::max<instant>(l.heard() + config_.ping_after,
                                                       l.pinged + config_.ping_after / 2));
    }
  }
  care_timer_.set(next);
}

void endpoint::impl::tell(link_event_kind kind, member_id member, std::string text) {
  handler_.on_event({kind, member, std::move(text)});
}

// For what happens within `send` or the write hook.
void endpoint::impl::tell_later(link_event_kind kind, member_id member, std::string text) {
  told_later_.push_back({kind, member, std::move(text)});
  if (told_later_.size() == 1) care_timer_.set(loop_.now());
}

}  // namespace cohort::transport
