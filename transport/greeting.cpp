#include "transport/endpoint_state.hpp"
#include "transport/nodes.hpp"

#include <algorithm>
#include <utility>

namespace cohort::transport {

namespace {

constexpr std::size_t retired_boots_max = 8;
constexpr std::size_t refusals_told_max = 64;

// A refusal is the last frame: written at once, as far as the socket takes it.
void write_last(link& l, const frame& f) {
  l.push(f);
  (void)l.flush();
}

}  // namespace

hello endpoint::impl::make_hello(member_id target, std::uint64_t attempt, bool dialled) const {
  hello h;
  h.name = config_.name;
  h.member = config_.member;
  h.directory_id = config_.directory_id;
  h.boot_id = config_.boot_id;
  h.epoch = config_.epoch;
  h.cluster = cluster_;
  h.founders = config_.founders;
  h.groups = config_.groups;
  h.attempt = attempt;
  h.target = target;
  h.dialled = dialled;
  return h;
}

std::string endpoint::impl::label(const link& l) const {
  for (const auto& p : peers_)
    if (p->member == l.member) return "node " + p->name + " (" + l.where + ")";
  return l.where;
}

void endpoint::impl::on_frame(link& l, std::span<const std::byte> bytes, const frame_header& head) {
  if (l.state() == link_state::up)
    on_message_frame(l, bytes, head);
  else
    on_greeting(l, bytes, head);
}

void endpoint::impl::on_message_frame(link& l, std::span<const std::byte> bytes, const frame_header& head) {
  if (head.sender != static_cast<std::uint16_t>(l.member)) {  // M3
    violated(l, "a frame names member " + std::to_string(head.sender) + " as its sender");
    return;
  }
  switch (head.type) {
    case frame_type::ping:
      (void)send(*find(l.member), encoder_.encode(frame_type::pong));
      return;
    case frame_type::pong: return;
    case frame_type::pulse: {
      std::string why;
      if (!decode(bytes, config_.limits, pulse_, why)) return violated(l, why);
      handler_.on_pulse(l.member, pulse_);
      return;
    }
    case frame_type::hosted: return on_hosted(l, bytes);
    case frame_type::hello: violated(l, "a second HELLO"); return;
    case frame_type::refuse: {
      refusal r;
      std::string why;
      if (!decode_refusal(bytes, r, why)) {
        violated(l, why);
        return;
      }
      l.close();
      on_end(l, {.text = "the other side closed it: " + r.text});
      return;
    }
    default: break;
  }
  decoded_.clear();
  std::string why;
  frame plain;
  if (head.flags & packed_flag) {
    if (!is_payload(head.type)) return violated(l, "a packed frame that is no payload");
    plain = unpacker_.unpack(bytes, config_.limits.frame_bytes_max, why);
    if (!plain) return violated(l, why);
    ++stats_.unpacked_frames;
    bytes = plain.bytes;
  }
  static const std::shared_ptr<const void> nobody;  // only payload points into the block
  const auto& owner = plain ? plain.owner : is_payload(head.type) ? l.block() : nobody;
  switch (decode(bytes, owner, config_.limits, decoded_, &why)) {
    case decode_status::ok: break;
    case decode_status::unknown_type: ++stats_.unknown_frames; return;
    case decode_status::malformed: violated(l, why); return;
  }
  for (auto& d : decoded_) {
    const auto identity = l.identity_of(d.group);
    if (identity == 0) {
      ++stats_.unknown_frames;
      continue;
    }
    handler_.on_message(d.group, {l.member, identity}, std::move(d.what));
    if (l.state() == link_state::closed) break;
  }
  decoded_.clear();  // payload owners go now, not with the next frame
}

void endpoint::impl::violated(link& l, const std::string& what) {
  write_last(l, encode_refusal(config_.member, {refuse_code::malformed, "this node sent " + what}));
  l.close();
  on_end(l, {.hostile = true, .text = "it sent what it must not (" + what + ")"});
}

void endpoint::impl::on_greeting(link& l, std::span<const std::byte> bytes, const frame_header& head) {
  std::string why;
  const auto reject = [&](const std::string& text) {
    l.close();
    if (l.dialled)
      on_end(l, {.hostile = true, .text = text});
    else
      stranger_left(l, text);
  };
  if (head.type == frame_type::refuse && l.dialled) {
    refusal r;
    if (decode_refusal(bytes, r, why))
      on_refusal(l, std::move(r));
    else
      reject(why);
    return;
  }
  if (head.type == frame_type::ask_nodes && !l.dialled) return on_question(l, bytes);
  if (head.type != frame_type::hello) {
    reject("its first frame is not HELLO");
    return;
  }
  hello theirs;
  if (!decode_hello(bytes, theirs, why)) {
    reject(why);
    return;
  }
  if (head.sender != static_cast<std::uint16_t>(theirs.member) || theirs.dialled == l.dialled) {
    reject("its HELLO contradicts itself");
    return;
  }
  if (l.dialled)
    on_answer(l, std::move(theirs));
  else
    on_stranger_hello(l, std::move(theirs));
}

void endpoint::impl::tell_refused(peer_slot* p, member_id member, const std::string& text) {
  ++stats_.refused;
  if (p) {
    p->trouble = text;
    // Several wrong addresses are told of once each; one that says something else each time is not listened to for ever.
    if (std::ranges::find(p->refusals_told, text) != p->refusals_told.end()) return;
    if (p->refusals_told.size() >= refusals_told_max) return;
    p->refusals_told.push_back(text);
  } else {
    if (std::ranges::find(refusals_told_, text) != refusals_told_.end()) return;
    if (refusals_told_.size() >= refusals_told_max) refusals_told_.clear();
    refusals_told_.push_back(text);
  }
  tell(link_event_kind::refused, member, text);
}

void endpoint::impl::refuse(link& l, const refusal& for_them, const refusal& for_us, member_id member) {
  write_last(l, encode_refusal(config_.member, for_them));
  auto* p = l.dialled ? find(l.member) : find(member);
  bury(take(l));
  if (l.dialled && p) {
    p->back_off = config_.retry_max;
    failed(*p, l.where, for_us.text);
  }
  if (for_us.code != refuse_code::duplicate) tell_refused(p, member, for_us.text);
}

// Which of two connections between the same two nodes stays must come out alike on both sides, whatever each has seen
// of them by then. Between the same two processes the larger attempt wins (a node dials only when it has no link, with a
// number above all it has seen, so that is the newest), and with equal numbers, when both dialled at once, the one
// dialled by the lower member. A new process wins over the one it replaces.
bool endpoint::impl::wins(peer_slot& p, const hello& theirs, refusal& why_not) const {
  const auto above = [&](const link& mine) {
    const auto mine_by = mine.dialled ? config_.member : p.member;
    return theirs.attempt != mine.attempt ? theirs.attempt > mine.attempt : theirs.member < mine_by;
  };
  why_not = {refuse_code::duplicate, "another connection between the two nodes is in use", p.attempt};
  if (std::ranges::find(p.retired_boots, theirs.boot_id) != p.retired_boots.end()) {
    why_not = {refuse_code::superseded, "another process runs as node " + p.name +
                                            " and came later. Is the node started twice?"};
    return false;
  }
  if (p.current) return p.current->peer.boot_id != theirs.boot_id || above(*p.current);
  if (p.dialling && p.dialling->state() == link_state::greeting) return above(*p.dialling);
  return true;
}

void endpoint::impl::on_stranger_hello(link& l, hello&& theirs) {
  auto* p = find(theirs.member);
  const auto here = make_hello(theirs.member, theirs.attempt, false);
  if (const auto difference = compare(here, theirs)) {
    const auto mirrored = compare(theirs, here);
    refuse(l, mirrored ? *mirrored : *difference, *difference, theirs.member);
    return;
  }
  if (!p || p->gone || p->name != theirs.name || theirs.target != config_.member) {
    const auto text = !p ? "node " + theirs.name + " is no member that node " + config_.name + " knows (yet). Has an operator added it?"
                      : p->gone ? "node " + theirs.name + " was removed from the cluster for good"
                      : p->name != theirs.name
                          ? "the other node says it is " + theirs.name + " as member " + std::to_string(to_index(theirs.member)) +
                                ", which is " + p->name
                         : "node " + theirs.name + " dialled node " + config_.name + " but meant member " +
                               std::to_string(to_index(theirs.target)) + ". Are addresses exchanged?";
    refuse(l, {refuse_code::wrong_node, text}, {refuse_code::wrong_node, text}, theirs.member);
    return;
  }
  refusal why_not;
  if (!wins(*p, theirs, why_not)) {
    refuse(l, why_not, why_not, theirs.member);
    return;
  }
  p->attempt = std::max(p->attempt, theirs.attempt);
  l.attempt = theirs.attempt;
  l.push(encode_hello(here));
  l.groups_told = groups_state_;
  adopt(*p, l, std::move(theirs));
}

/// Whoever can reach this port may know: what a HELLO has to say is in it.
void endpoint::impl::on_question(link& l, std::span<const std::byte> bytes) {
  std::string why;
  if (decode_question(bytes, why) && nodes_) {
    write_last(l, encode_nodes(config_.member, {config_.cluster, config_.epoch, config_.founders, *nodes_}));
    l.close();
    bury(take(l));
    return;
  }
  l.close();
  stranger_left(l, why.empty() ? "it asks for the cluster's nodes, which this one keeps no table of" : why);
}

void endpoint::impl::on_answer(link& l, hello&& theirs) {
  auto& p = *find(l.member);
  const auto here = make_hello(p.member, l.attempt, true);
  auto difference = compare(here, theirs);
  if (!difference && (theirs.member != p.member || theirs.name != p.name))
    difference = refusal{refuse_code::wrong_node, "at " + l.where + " answers node " + theirs.name +
                                                      ", expected " + p.name + ". Are addresses exchanged?"};
  if (difference) {
    refuse(l, *difference, *difference, p.member);
    return;
  }
  p.attempt = std::max(p.attempt, theirs.attempt);
  adopt(p, l, std::move(theirs));
}

void endpoint::impl::on_refusal(link& l, refusal&& r) {
  auto& p = *find(l.member);
  bury(take(l));
  if (r.code == refuse_code::duplicate) {
    p.attempt = std::max(p.attempt, r.attempt);
    p.notes.push_back(std::move(r.text));
    retry_later(p);
    return;
  }
  p.back_off = config_.retry_max;
  failed(p, l.where, r.text);
  tell_refused(&p, p.member, r.text);
}

void endpoint::impl::adopt(peer_slot& p, link& l, hello&& theirs) {
  auto fresh = take(l);
  l.peer = std::move(theirs);
  l.member = p.member;
  l.deadline = no_deadline;
  const auto common = match_groups(l);
  auto old = std::exchange(p.current, std::move(fresh));
  if (p.dialling) bury(std::move(p.dialling));
  p.retry->cancel();
  p.refusals_told.clear();
  p.notes.clear();
  ++p.round;  // what is still looked up came too late
  p.resolving = 0;
  if (l.dialled) p.worked = l.where;
  p.trouble.clear();
  p.unreachable_told = false;
  p.failing_since = no_deadline;
  l.established(config_.limits.frame_bytes_max, config_.unsent);
  catch_up_groups(p);
  ++stats_.links_up;
  plan_care();

  if (old) {
    const bool new_process = old->peer.boot_id != l.peer.boot_id;
    if (new_process) {
      p.retired_boots.push_back(old->peer.boot_id);
      if (p.retired_boots.size() > retired_boots_max) p.retired_boots.erase(p.retired_boots.begin());
    }
    const auto text = "the link to " + label(*old) + (new_process ? " is replaced: the node was restarted"
                                                                  : " is replaced by a newer connection");
    bury(std::move(old));
    ++stats_.links_down;
    handler_.on_link_down(p.member, new_process);
    tell(link_event_kind::down, p.member, text);
  }
  tell(link_event_kind::up, p.member, "linked with " + label(l));
  for (const auto& [g, blank] : common)
    if (l.state() == link_state::up) handler_.on_link_up(g, {p.member, l.identity_of(g)}, blank);
}

}  // namespace cohort::transport
