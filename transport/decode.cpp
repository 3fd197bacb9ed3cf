#include "transport/frame.hpp"
#include "wire.capnp.h"

#include <capnp/any.h>

#include <algorithm>
#include <limits>
#include <optional>

namespace cohort::transport {

namespace {

// A reader gives null, or what is wrong with the message.
using verdict = const char*;
constexpr verdict fine = nullptr;

// Times are added to and subtracted from clocks: half the range keeps a hostile one from overflowing.
constexpr std::int64_t time_max = std::int64_t{1} << 62;
bool legal_time(std::int64_t t) { return t >= 0 && t <= time_max; }

verdict read(capnp::List<std::uint64_t>::Reader in, const codec_limits& limits, protocol::frontier& out) {
  if (in.size() > limits.frontier_max) return "a frontier has too many lanes";
  out.resize(in.size());
  for (unsigned i = 0; i < in.size(); ++i) out[i] = in[i];
  return fine;
}

verdict read(capnp::List<wire::Extra>::Reader in, const codec_limits& limits, std::vector<protocol::extra>& out) {
  if (in.size() > limits.extras_max) return "too many batches behind gaps";
  out.reserve(in.size());
  for (const auto x : in) out.push_back({x.getSlot(), x.getSeq()});
  return fine;
}

verdict read(wire::Options::Reader in, const codec_limits&, protocol::view_options& out) {
  out.orders = order_set::from_bits(in.getOrders());
  if (out.orders.empty() || out.orders.bits() != in.getOrders()) return "unknown orders";
  if (in.getDefaultOrder() >= order_count) return "an unknown default order";
  if (in.getReads() > static_cast<std::uint8_t>(protocol::read_mode::lease)) return "an unknown way of reading";
  if (in.getSlow() > static_cast<std::uint8_t>(protocol::slow_policy::reject)) return "an unknown policy for slow members";
  for (const auto t : {in.getHeartbeat(), in.getElectionMin(), in.getFailAfter(), in.getRetainTime(), in.getLease(), in.getClockMargin()})
    if (!legal_time(t)) return "a time of the options is out of range";
  if (in.getClockRatePpm() > protocol::clock_rate_ppm_max) return "a clock that errs by more than a tenth";
  out.default_order = static_cast<order>(in.getDefaultOrder());
  out.reads = static_cast<protocol::read_mode>(in.getReads());
  out.slow = static_cast<protocol::slow_policy>(in.getSlow());
  out.minority_multicast = in.getMinority();
  out.shrink = in.getShrink();
  out.min_voters = in.getMinVoters();
  out.min_copies = in.getMinCopies();
  out.heartbeat = protocol::duration(in.getHeartbeat());
  out.election_min = protocol::duration(in.getElectionMin());
  out.fail_after = protocol::duration(in.getFailAfter());
  out.lane_window = in.getLaneWindow();
  out.retain_bytes = in.getRetainBytes();
  out.retain_time = protocol::duration(in.getRetainTime());
  out.durable = !in.getInMemory();
  out.suspect_at = in.getSuspectAt();
  out.clock_rate_ppm = in.getClockRatePpm();
  out.lease = protocol::duration(in.getLease());
  out.clock_margin = protocol::duration(in.getClockMargin());
  out.message_bytes_max = in.getMessageBytesMax();
  return fine;
}

verdict read(wire::View::Reader in, const codec_limits& limits, protocol::view_ptr& out) {
  auto v = std::make_shared<protocol::view>();
  v->number = in.getNumber();
  if (const auto bad = read(in.getOptions(), limits, v->options)) return bad;
  v->kinds = in.getKinds();
  if ((v->kinds & ~3u) != 0 || (protocol::kinds_of(v->options.orders) & ~v->kinds) != 0) return "a view lacks lanes";
  v->admitted = in.getAdmitted();
  if (v->admitted > v->number) return "a view admits members of later ones";
  v->largest_message = in.getLargestMessage();
  if (v->largest_message < v->options.message_bytes_max) return "a view whose largest message is below its limit";
  if (in.getBarred().size() > limits.roster_max) return "a view bars too many members";
  for (const auto m : in.getBarred()) v->barred.push_back(member_id{m});
  if (!std::ranges::is_sorted(v->barred)) return "a view's barred members are not sorted";
  const auto roster = in.getRoster();
  const auto burnt = in.getBurnt();
  const auto notes = in.getNotes();
  if (roster.size() > limits.roster_max || burnt.size() > limits.roster_max || notes.size() > limits.roster_max)
    return "a view names too many members";
  v->roster.reserve(roster.size());
  for (const auto e : roster) {
    protocol::roster_entry to;
    to.id = {member_id{e.getMember()}, e.getIdentity()};
    to.inc = e.getInc();
    to.voter = e.getVoter();
    to.active = e.getActive();
    to.witness = e.getWitness();
    if (to.id.member == no_member) return "a view names no member";
    if (!v->roster.empty() && !(v->roster.back().id < to.id)) return "a view's roster is not sorted";
    v->roster.push_back(to);
  }
  v->burnt.reserve(burnt.size());
  for (const auto b : burnt) {
    const protocol::burnt_entry to{member_id{b.getMember()}, b.getInc()};
    if (!v->burnt.empty() && !(v->burnt.back().member < to.member)) return "a view's incarnations are not sorted";
    v->burnt.push_back(to);
  }
  v->notes.reserve(notes.size());
  for (const auto n : notes) {
    const auto cause = n.getCause();
    if (cause >= protocol::view_causes) return "a view has an unknown cause";
    v->notes.push_back({{member_id{n.getMember()}, n.getIdentity()}, static_cast<protocol::view_cause>(cause)});
  }
  out = std::move(v);
  return fine;
}

verdict read(wire::Append::Reader in, const codec_limits& limits, protocol::append& out) {
  out.term = in.getTerm();
  out.prev_index = in.getPrevIndex();
  out.prev_term = in.getPrevTerm();
  out.commit = in.getCommit();
  if (!legal_time(in.getSendTime())) return "a send time is out of range";
  out.send_time = protocol::instant(in.getSendTime());
  out.min_applied = in.getMinApplied();
  const auto entries = in.getEntries();
  if (entries.size() > limits.entries_max) return "too many entries";
  out.entries.reserve(entries.size());
  for (const auto e : entries) {
    auto& to = out.entries.emplace_back();
    to.index = e.getIndex();
    to.term = e.getTerm();
    const auto kind = e.getKind();
    if (kind > static_cast<std::uint8_t>(protocol::entry_kind::view)) return "an entry of unknown kind";
    to.kind = static_cast<protocol::entry_kind>(kind);
    if (!legal_time(e.getTime())) return "an entry's time is out of range";
    to.time = wall_time(e.getTime());
    if (const auto bad = read(e.getCut(), limits, to.cut)) return bad;
    if (to.kind != protocol::entry_kind::view) continue;
    if (!e.hasNext()) return "a view entry without a view";
    if (const auto bad = read(e.getNext(), limits, to.next)) return bad;
    if (const auto bad = read(e.getExtras(), limits, to.extras)) return bad;
  }
  return fine;
}

verdict read(wire::Ack::Reader in, const codec_limits& limits, protocol::ack& out) {
  out.term = in.getTerm();
  out.inc = in.getInc();
  out.match_term = in.getMatchTerm();
  out.match = in.getMatch();
  out.applied = in.getApplied();
  out.view = in.getView();
  if (!legal_time(in.getEchoTime())) return "an echoed time is out of range";
  out.echo_time = protocol::instant(in.getEchoTime());
  out.no_state = in.getNoState();
  out.reject = in.getReject();
  out.refused_prev = in.getRefusedPrev();
  out.hint = in.getHint();
  out.clock_ahead = in.getClockAhead();
  out.base = in.getBase();
  return read(in.getHave(), limits, out.have);
}

verdict read(wire::Vote::Reader in, const codec_limits&, protocol::vote& out) {
  if (in.getPhase() > static_cast<std::uint8_t>(protocol::vote_phase::real)) return "a vote of unknown phase";
  out.phase = static_cast<protocol::vote_phase>(in.getPhase());
  out.request = in.getRequest();
  out.granted = in.getGranted();
  out.term = in.getTerm();
  out.for_term = in.getForTerm();
  out.last_index = in.getLastIndex();
  out.last_term = in.getLastTerm();
  out.handed_over = in.getHandedOver();
  return fine;
}

verdict read(wire::TakeOver::Reader in, const codec_limits&, protocol::take_over& out) {
  out = {in.getTerm(), in.getForLinks()};
  return fine;
}

verdict read(wire::Probe::Reader in, const codec_limits&, protocol::probe& out) {
  out = {in.getTerm(), member_id(in.getAsker()), member_id(in.getSubject()), protocol::instant(in.getAsked()), in.getAnswered(),
         in.getDeaf(), in.getReset()};
  return fine;
}

verdict read(wire::ComponentControl::Reader in, const codec_limits&, protocol::component_control& out) {
  const auto data = in.getBody();  // once: each look counts towards the limit on what is read of a frame
  const auto body = std::as_bytes(std::span(data.begin(), data.size()));
  out.bytes.assign(body.begin(), body.end());
  return fine;
}

verdict read(wire::CallsOver::Reader in, const codec_limits& limits, protocol::calls_over& out) {
  out.inc = in.getInc();
  const auto numbers = in.getNumbers();
  if (numbers.size() > limits.calls_max) return "too many calls";
  for (const auto n : numbers) out.numbers.push_back(n);
  return fine;
}

verdict read(wire::StateDigest::Reader in, const codec_limits&, protocol::state_digest& out) {
  out = {in.getInc(), in.getPosition(), in.getDigest()};
  return fine;
}

verdict read(wire::Wedge::Reader in, const codec_limits&, protocol::wedge& out) {
  out = {in.getTerm(), in.getAttempt(), in.getView()};
  return fine;
}

verdict read(wire::Report::Reader in, const codec_limits& limits, protocol::report& out) {
  out.term = in.getTerm();
  out.attempt = in.getAttempt();
  out.view = in.getView();
  out.inc = in.getInc();
  out.no_state = in.getNoState();
  if (const auto bad = read(in.getFront(), limits, out.front)) return bad;
  return read(in.getExtras(), limits, out.extras);
}

verdict read(wire::Pull::Reader in, const codec_limits&, protocol::pull& out) {
  if (in.getKind() > static_cast<std::uint8_t>(protocol::lane_kind::causal)) return "a lane of unknown kind";
  out = {in.getView(), in.getSlot(), in.getFrom(), in.getTo(), member_id{in.getOwner()}, in.getInc(),
         static_cast<protocol::lane_kind>(in.getKind())};
  return fine;
}

verdict read(wire::PullChunk::Reader in, const codec_limits&, protocol::pull_chunk& out) {
  out = {in.getIndex(), in.getNumber()};
  return fine;
}

verdict read(wire::Join::Reader in, const codec_limits&, protocol::join& out) {
  out = {in.getInc(), in.getKnown(), in.getHasState(), in.getBurnt(), in.getBarred()};
  return fine;
}

verdict read(wire::Form::Reader in, const codec_limits& limits, protocol::form& out) {
  if (in.getPhase() > static_cast<std::uint8_t>(protocol::form_phase::commit)) return "founding of unknown phase";
  out.phase = static_cast<protocol::form_phase>(in.getPhase());
  out.attempt = in.getAttempt();
  return in.hasFounders() ? read(in.getFounders(), limits, out.founders) : fine;
}

verdict read(wire::ChangeRequest::Reader in, const codec_limits& limits, protocol::change_request& out) {
  if (in.getKind() >= protocol::change_kinds) return "a request for an unknown change";
  out.id = in.getId();
  out.kind = static_cast<protocol::change_kind>(in.getKind());
  out.who = member_id{in.getWho()};
  if (out.kind != protocol::change_kind::options) return fine;
  if (const auto why = read(in.getOptions(), limits, out.options); why) return why;
  return in.hasBasedOn() ? read(in.getBasedOn(), limits, out.based_on.emplace()) : fine;
}

verdict read(wire::ChangeReply::Reader in, const codec_limits&, protocol::change_reply& out) {
  if (in.getWhy() >= protocol::change_refusals) return "a refusal for an unknown reason";
  out = {in.getId(), static_cast<protocol::change_refusal>(in.getWhy())};
  return fine;
}

verdict read(wire::ReadRequest::Reader in, const codec_limits&, protocol::read_request& out) {
  out.id = in.getId();
  return fine;
}

verdict read(wire::ReadReply::Reader in, const codec_limits&, protocol::read_reply& out) {
  out = {in.getId(), in.getRefused(), in.getIndex()};
  return fine;
}

// The spans point into the frame. What the lists claim to be is checked against the memory they stand for: a list of
// structs may pass as a list of numbers, but its bytes are laid out otherwise.
template <class Reader>
verdict read_payload(Reader in, const std::shared_ptr<const void>& owner, protocol::payload& out) {
  const auto sizes = capnp::AnyList::Reader(in.getSizes());
  const auto blob = in.getBlob();
  const auto raw = sizes.getRawBytes();
  if (sizes.size() > 0 && (sizes.getElementSize() != capnp::ElementSize::FOUR_BYTES ||
                           raw.size() / sizeof(std::uint32_t) != sizes.size()))
    return "a list of sizes has another element type";
  const auto* first = reinterpret_cast<const std::uint32_t*>(raw.begin());
  if (reinterpret_cast<std::uintptr_t>(first) % alignof(std::uint32_t) != 0) return "a list of sizes is not aligned";
  out.sizes = std::span(first, sizes.size());
  std::uint64_t sum = 0;
  for (const auto s : out.sizes) sum += s;
  if (sum != blob.size()) return "the sizes do not add up to the payload";
  out.blob = std::as_bytes(std::span(blob.begin(), blob.size()));
  out.owner = owner;
  return fine;
}

struct input {
  std::span<const std::byte> body;
  const codec_limits& limits;
  const std::shared_ptr<const void>& owner;
  std::string* why;
};

template <class Struct, class What>
bool decode_into(const input& in, What& out) {
  return read_struct<Struct>(in.body, in.why, [&](auto root) { return read(root, in.limits, out); });
}

bool decode_batch(const input& in, protocol::batch& out) {
  return read_struct<wire::Batch>(in.body, in.why, [&](wire::Batch::Reader root) -> verdict {
    if (root.getClass() >= order_count) return "a batch of unknown order";
    out.cls = static_cast<order>(root.getClass());
    out.tdep = root.getTdep();
    if (!legal_time(root.getDeadline())) return "a deadline is out of range";
    out.deadline = wall_time(root.getDeadline());
    if (const auto bad = read(root.getDeps(), in.limits, out.deps)) return bad;
    out.view = root.getView();
    out.slot = root.getSlot();
    out.seq = root.getSeq();
    out.stamp = root.getStamp();
    out.owner = member_id{root.getOwner()};
    out.inc = root.getInc();
    out.part = {root.getPart(), root.getMore(), root.getBegun()};
    if (const auto bad = read_payload(root, in.owner, out.what)) return bad;
    return out.part.whole() || out.what.sizes.size() == 1 ? fine : "a part of a message among other messages";
  });
}

bool decode_chunk(const input& in, protocol::chunk& out) {
  return read_struct<wire::Chunk>(in.body, in.why, [&](wire::Chunk::Reader root) {
    out.term = root.getTerm();
    out.index = root.getIndex();
    out.number = root.getNumber();
    out.count = root.getCount();
    return read_payload(root, in.owner, out.data);
  });
}

bool decode_answers(const input& in, protocol::call_answers& out) {
  return read_struct<wire::CallAnswers>(in.body, in.why, [&](wire::CallAnswers::Reader root) -> verdict {
    out.inc = root.getInc();
    out.to = root.getTo();
    const auto items = root.getItems();
    if (items.size() > in.limits.calls_max) return "too many answers";
    for (const auto i : items) out.items.push_back({i.getNumber(), i.getView(), i.getTooLarge() && i.getTotal() == 0, i.getOffset(), i.getTotal()});
    if (const auto bad = read_payload(root, in.owner, out.what)) return bad;
    if (out.what.sizes.size() != out.items.size()) return "a number of answers that is not that of the calls";
    for (const auto& i : out.items)
      if ((i.total > 0 || i.offset > 0) && (out.items.size() > 1 || i.offset >= i.total || out.what.blob.size() > i.total - i.offset))
        return "a part of an answer that is none";
    return fine;
  });
}

bool decode_acks(const input& in, std::vector<decoded>& out) {
  const auto before = out.size();
  const bool good = read_struct<wire::AckSet>(in.body, in.why, [&](wire::AckSet::Reader root) -> verdict {
    const auto acks = root.getAcks();
    if (acks.size() > in.limits.acks_max) return "too many acks";
    for (const auto item : acks) {
      protocol::ack one;
      if (const auto bad = read(item.getAck(), in.limits, one)) return bad;
      out.push_back({item.getGroup(), std::move(one)});
    }
    return fine;
  });
  if (!good) out.resize(before);
  return good;
}

}  // namespace

header_status read_header(std::span<const std::byte> bytes, std::size_t frame_bytes_max, frame_header& out) {
  if (bytes.size() < frame_header_bytes) return header_status::incomplete;
  std::memcpy(&out, bytes.data(), frame_header_bytes);
  const bool legal = out.length >= frame_header_bytes && out.length <= frame_bytes_max && out.length % 8 == 0;
  return legal ? header_status::ok : header_status::malformed;
}

bool frame_intact(std::span<const std::byte> bytes) {
  frame_header head;
  if (read_header(bytes, std::numeric_limits<std::uint32_t>::max(), head) != header_status::ok) return false;
  return head.length == bytes.size() && head.check == static_cast<std::uint32_t>(checksum(bytes.subspan(8), head.length));
}

decode_status decode(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                     const codec_limits& limits, std::vector<decoded>& out, std::string* why) {
  frame_header head;
  if (read_header(bytes, limits.frame_bytes_max, head) != header_status::ok || head.length != bytes.size()) {
    if (why) *why = "the length is wrong";
    return decode_status::malformed;
  }
  const input in{bytes.subspan(frame_header_bytes), limits, owner, why};
  if (head.type == frame_type::ack_set) return decode_acks(in, out) ? decode_status::ok : decode_status::malformed;

  const auto add = [&]<class What>(What what, auto&& read_it) {
    if (!read_it(what)) return decode_status::malformed;
    out.push_back({head.group, std::move(what)});
    return decode_status::ok;
  };
  const auto plain = [&]<class Struct, class What>() {
    return add(What{}, [&](What& what) { return decode_into<Struct>(in, what); });
  };
  switch (head.type) {
    case frame_type::batch: return add(protocol::batch{}, [&](auto& what) { return decode_batch(in, what); });
    case frame_type::chunk: return add(protocol::chunk{}, [&](auto& what) { return decode_chunk(in, what); });
    case frame_type::append: return plain.operator()<wire::Append, protocol::append>();
    case frame_type::vote: return plain.operator()<wire::Vote, protocol::vote>();
    case frame_type::wedge: return plain.operator()<wire::Wedge, protocol::wedge>();
    case frame_type::report: return plain.operator()<wire::Report, protocol::report>();
    case frame_type::pull: return plain.operator()<wire::Pull, protocol::pull>();
    case frame_type::pull_chunk: return plain.operator()<wire::PullChunk, protocol::pull_chunk>();
    case frame_type::join: return plain.operator()<wire::Join, protocol::join>();
    case frame_type::form: return plain.operator()<wire::Form, protocol::form>();
    case frame_type::read_request: return plain.operator()<wire::ReadRequest, protocol::read_request>();
    case frame_type::read_reply: return plain.operator()<wire::ReadReply, protocol::read_reply>();
    case frame_type::take_over: return plain.operator()<wire::TakeOver, protocol::take_over>();
    case frame_type::change_request: return plain.operator()<wire::ChangeRequest, protocol::change_request>();
    case frame_type::change_reply: return plain.operator()<wire::ChangeReply, protocol::change_reply>();
    case frame_type::probe: return plain.operator()<wire::Probe, protocol::probe>();
    case frame_type::component_control: return plain.operator()<wire::ComponentControl, protocol::component_control>();
    case frame_type::call_answers:
      return add(protocol::call_answers{}, [&](auto& what) { return decode_answers(in, what); });
    case frame_type::calls_over: return plain.operator()<wire::CallsOver, protocol::calls_over>();
    case frame_type::state_digest: return plain.operator()<wire::StateDigest, protocol::state_digest>();
    default: return decode_status::unknown_type;
  }
}

}  // namespace cohort::transport
