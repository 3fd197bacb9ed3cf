#include "transport/frame.hpp"
#include "wire.capnp.h"

#include <capnp/any.h>
#include <capnp/message.h>

#include <bit>
#include <cstring>

namespace cohort::transport {

static_assert(std::endian::native == std::endian::little, "lists of numbers are copied as they are on the wire");

namespace {

void fill(capnp::List<std::uint64_t>::Builder out, const protocol::frontier& in) {
  for (unsigned i = 0; i < in.size(); ++i) out.set(i, in[i]);
}

void fill(capnp::List<wire::Extra>::Builder out, const std::vector<protocol::extra>& in) {
  for (unsigned i = 0; i < in.size(); ++i) {
    out[i].setSlot(in[i].slot);
    out[i].setSeq(in[i].seq);
  }
}

void fill(wire::Options::Builder out, const protocol::view_options& in) {
  out.setOrders(in.orders.bits());
  out.setDefaultOrder(static_cast<std::uint8_t>(in.default_order));
  out.setReads(static_cast<std::uint8_t>(in.reads));
  out.setSlow(static_cast<std::uint8_t>(in.slow));
  out.setMinority(in.minority_multicast);
  out.setShrink(in.shrink);
  out.setMinVoters(in.min_voters);
  out.setMinCopies(in.min_copies);
  out.setHeartbeat(in.heartbeat.count());
  out.setElectionMin(in.election_min.count());
  out.setFailAfter(in.fail_after.count());
  out.setLaneWindow(in.lane_window);
  out.setRetainBytes(in.retain_bytes);
  out.setRetainTime(in.retain_time.count());
  out.setInMemory(!in.durable);
  out.setSuspectAt(in.suspect_at);
  out.setClockRatePpm(in.clock_rate_ppm);
  out.setLease(in.lease.count());
  out.setClockMargin(in.clock_margin.count());
  out.setMessageBytesMax(in.message_bytes_max);
}

void fill(wire::View::Builder out, const protocol::view& in) {
  out.setNumber(in.number);
  fill(out.initOptions(), in.options);
  out.setKinds(in.kinds);
  out.setAdmitted(in.admitted);
  out.setLargestMessage(in.largest_message);
  auto barred = out.initBarred(static_cast<unsigned>(in.barred.size()));
  for (unsigned i = 0; i < in.barred.size(); ++i) barred.set(i, static_cast<std::uint16_t>(in.barred[i]));
  auto roster = out.initRoster(static_cast<unsigned>(in.roster.size()));
  for (unsigned i = 0; i < in.roster.size(); ++i) {
    const auto& e = in.roster[i];
    auto to = roster[i];
    to.setMember(static_cast<std::uint16_t>(e.id.member));
    to.setIdentity(e.id.identity);
    to.setInc(e.inc);
    to.setVoter(e.voter);
    to.setActive(e.active);
    to.setWitness(e.witness);
  }
  auto burnt = out.initBurnt(static_cast<unsigned>(in.burnt.size()));
  for (unsigned i = 0; i < in.burnt.size(); ++i) {
    burnt[i].setMember(static_cast<std::uint16_t>(in.burnt[i].member));
    burnt[i].setInc(in.burnt[i].inc);
  }
  auto notes = out.initNotes(static_cast<unsigned>(in.notes.size()));
  for (unsigned i = 0; i < in.notes.size(); ++i) {
    notes[i].setMember(static_cast<std::uint16_t>(in.notes[i].id.member));
    notes[i].setIdentity(in.notes[i].id.identity);
    notes[i].setCause(static_cast<std::uint8_t>(in.notes[i].cause));
  }
}

void fill(wire::Append::Builder out, const protocol::append& in) {
  out.setTerm(in.term);
  out.setPrevIndex(in.prev_index);
  out.setPrevTerm(in.prev_term);
  out.setCommit(in.commit);
  out.setSendTime(in.send_time.count());
  out.setMinApplied(in.min_applied);
  if (in.entries.empty()) return;
  auto entries = out.initEntries(static_cast<unsigned>(in.entries.size()));
  for (unsigned i = 0; i < in.entries.size(); ++i) {
    const auto& e = in.entries[i];
    auto to = entries[i];
    to.setIndex(e.index);
    to.setTerm(e.term);
    to.setKind(static_cast<std::uint8_t>(e.kind));
    to.setTime(e.time.count());
    if (!e.cut.empty()) fill(to.initCut(static_cast<unsigned>(e.cut.size())), e.cut);
    if (e.next) fill(to.initNext(), *e.next);
    if (!e.extras.empty()) fill(to.initExtras(static_cast<unsigned>(e.extras.size())), e.extras);
  }
}

void fill(wire::Ack::Builder out, const protocol::ack& in) {
  out.setTerm(in.term);
  out.setInc(in.inc);
  out.setMatchTerm(in.match_term);
  out.setMatch(in.match);
  out.setApplied(in.applied);
  out.setView(in.view);
  out.setEchoTime(in.echo_time.count());
  if (!in.have.empty()) fill(out.initHave(static_cast<unsigned>(in.have.size())), in.have);
  out.setNoState(in.no_state);
  out.setReject(in.reject);
  out.setRefusedPrev(in.refused_prev);
  out.setHint(in.hint);
  out.setClockAhead(in.clock_ahead);
  out.setBase(in.base);
}

void fill(wire::Vote::Builder out, const protocol::vote& in) {
  out.setPhase(static_cast<std::uint8_t>(in.phase));
  out.setRequest(in.request);
  out.setGranted(in.granted);
  out.setTerm(in.term);
  out.setForTerm(in.for_term);
  out.setLastIndex(in.last_index);
  out.setLastTerm(in.last_term);
  out.setHandedOver(in.handed_over);
}

void fill(wire::TakeOver::Builder out, const protocol::take_over& in) {
  out.setTerm(in.term);
  out.setForLinks(in.for_links);
}

void fill(wire::Probe::Builder out, const protocol::probe& in) {
  out.setTerm(in.term);
  out.setAsker(static_cast<std::uint16_t>(to_index(in.asker)));
  out.setSubject(static_cast<std::uint16_t>(to_index(in.subject)));
  out.setAsked(in.asked.count());
  out.setAnswered(in.answered);
  out.setDeaf(in.deaf);
  out.setReset(in.reset);
}

void fill(wire::ComponentControl::Builder out, const protocol::component_control& in) {
  auto body = out.initBody(static_cast<unsigned>(in.bytes.size()));
  if (!in.bytes.empty()) std::memcpy(body.begin(), in.bytes.data(), in.bytes.size());
}

void fill(wire::CallsOver::Builder out, const protocol::calls_over& in) {
  out.setInc(in.inc);
  auto numbers = out.initNumbers(static_cast<unsigned>(in.numbers.size()));
  for (unsigned i = 0; i < in.numbers.size(); ++i) numbers.set(i, in.numbers[i]);
}

void fill(wire::StateDigest::Builder out, const protocol::state_digest& in) {
  out.setInc(in.inc);
  out.setPosition(in.position);
  out.setDigest(in.digest);
}

void fill(wire::CallAnswers::Builder out, const protocol::call_answers& in) {
  out.setInc(in.inc);
  out.setTo(in.to);
  auto items = out.initItems(static_cast<unsigned>(in.items.size()));
  auto sizes = out.initSizes(static_cast<unsigned>(in.what.sizes.size()));
  for (unsigned i = 0; i < in.items.size(); ++i) {
    items[i].setNumber(in.items[i].number);
    items[i].setView(in.items[i].view);
    items[i].setTooLarge(in.items[i].too_large || in.items[i].total > 0);
    items[i].setOffset(in.items[i].offset);
    items[i].setTotal(in.items[i].total);
  }
  for (unsigned i = 0; i < in.what.sizes.size(); ++i) sizes.set(i, in.what.sizes[i]);
  auto blob = out.initBlob(static_cast<unsigned>(in.what.blob.size()));
  if (!in.what.blob.empty()) std::memcpy(blob.begin(), in.what.blob.data(), in.what.blob.size());
}

void fill(wire::Wedge::Builder out, const protocol::wedge& in) {
  out.setTerm(in.term);
  out.setAttempt(in.attempt);
  out.setView(in.view);
}

void fill(wire::Report::Builder out, const protocol::report& in) {
  out.setTerm(in.term);
  out.setAttempt(in.attempt);
  out.setView(in.view);
  out.setInc(in.inc);
  out.setNoState(in.no_state);
  fill(out.initFront(static_cast<unsigned>(in.front.size())), in.front);
  if (!in.extras.empty()) fill(out.initExtras(static_cast<unsigned>(in.extras.size())), in.extras);
}

void fill(wire::Pull::Builder out, const protocol::pull& in) {
  out.setView(in.view);
  out.setSlot(in.slot);
  out.setFrom(in.from);
  out.setTo(in.to);
  out.setOwner(static_cast<std::uint16_t>(in.owner));
  out.setInc(in.inc);
  out.setKind(static_cast<std::uint8_t>(in.kind));
}

void fill(wire::PullChunk::Builder out, const protocol::pull_chunk& in) {
  out.setIndex(in.index);
  out.setNumber(in.number);
}

void fill(wire::Join::Builder out, const protocol::join& in) {
  out.setInc(in.inc);
  out.setKnown(in.known);
  out.setHasState(in.has_state);
  out.setBurnt(in.burnt);
  out.setBarred(in.barred);
}

void fill(wire::Form::Builder out, const protocol::form& in) {
  out.setPhase(static_cast<std::uint8_t>(in.phase));
  out.setAttempt(in.attempt);
  if (in.founders) fill(out.initFounders(), *in.founders);
}

void fill(wire::ChangeRequest::Builder out, const protocol::change_request& in) {
  out.setId(in.id);
  out.setKind(static_cast<std::uint8_t>(in.kind));
  out.setWho(static_cast<std::uint16_t>(in.who));
  if (in.kind != protocol::change_kind::options) return;
  fill(out.initOptions(), in.options);
  if (in.based_on) fill(out.initBasedOn(), *in.based_on);
}

void fill(wire::ChangeReply::Builder out, const protocol::change_reply& in) {
  out.setId(in.id);
  out.setWhy(static_cast<std::uint8_t>(in.why));
}

void fill(wire::ReadRequest::Builder out, const protocol::read_request& in) { out.setId(in.id); }

void fill(wire::ReadReply::Builder out, const protocol::read_reply& in) {
  out.setId(in.id);
  out.setRefused(in.refused);
  out.setIndex(in.index);
}

void fill_head(wire::Batch::Builder out, const protocol::batch& in) {
  out.setView(in.view);
  out.setSlot(in.slot);
  out.setSeq(in.seq);
  out.setStamp(in.stamp);
  out.setOwner(static_cast<std::uint16_t>(in.owner));
  out.setInc(in.inc);
  out.setClass(static_cast<std::uint8_t>(in.cls));
  out.setTdep(in.tdep);
  out.setDeadline(in.deadline.count());
  out.setPart(in.part.number);
  out.setMore(in.part.more);
  out.setBegun(in.part.begun);
  if (!in.deps.empty()) fill(out.initDeps(static_cast<unsigned>(in.deps.size())), in.deps);
}

/// Words that `fill_head` takes behind the struct itself.
std::size_t head_words(const protocol::batch& in) { return in.deps.size(); }
std::size_t head_words(const protocol::chunk&) { return 0; }

void fill_head(wire::Chunk::Builder out, const protocol::chunk& in) {
  out.setTerm(in.term);
  out.setIndex(in.index);
  out.setNumber(in.number);
  out.setCount(in.count);
}

}  // namespace

struct encoder::scratch {
  frame_writer writer;
  std::shared_ptr<block_pool> pool = std::make_shared<block_pool>();
};

encoder::encoder(member_id self, codec_limits limits)
    : self_(self), limits_(limits), scratch_(std::make_unique<scratch>()) {}
encoder::~encoder() = default;
encoder::encoder(encoder&&) noexcept = default;

namespace {

// Small structs are built in scratch memory whose size grows with need, then copied behind a header.
template <class Struct, class What>
frame encode_struct(frame_writer& writer, const frame_header& head, std::size_t frame_bytes_max, const What& what) {
  return writer.write(head, frame_bytes_max, [&](capnp::MallocMessageBuilder& m) { fill(m.initRoot<Struct>(), what); });
}

// Payload is copied once, straight into its place in the frame: Cap'n Proto allocates in the order of the calls below,
// so only what it expects to be zero (all but the bytes of the payload) is cleared.
template <class Struct, class What>
frame encode_payload(block_pool& pool, const frame_header& head, std::size_t frame_bytes_max, const What& what,
                     const protocol::payload& data) {
  constexpr std::size_t word = sizeof(capnp::word);
  const std::size_t sizes_words = (data.sizes.size_bytes() + word - 1) / word;
  const std::size_t blob_words = (data.blob.size() + word - 1) / word;
  const std::size_t front_words = 1 + capnp::sizeInWords<Struct>() + head_words(what) + sizes_words;
  const std::size_t words = front_words + blob_words;
  if (words * word + frame_header_bytes > frame_bytes_max) return {};

  auto out = raw_frame::make(words * word, pool);
  kj::ArrayPtr<capnp::word> segment(reinterpret_cast<capnp::word*>(out.body().data()), words);
  std::memset(out.body().data(), 0, front_words * word);
  if (blob_words > 0) std::memset(out.body().last(word).data(), 0, word);
  capnp::FlatMessageBuilder message(segment);
  auto root = message.initRoot<Struct>();
  fill_head(root, what);
  const auto sizes = root.initSizes(static_cast<unsigned>(data.sizes.size()));
  const auto bytes = capnp::AnyList::Reader(sizes.asReader()).getRawBytes();
  if (!data.sizes.empty())  // into our own frame, which Cap'n Proto shows as read-only here
    std::memcpy(const_cast<kj::byte*>(bytes.begin()), data.sizes.data(), data.sizes.size_bytes());
  auto blob = root.initBlob(static_cast<unsigned>(data.blob.size()));
  if (!data.blob.empty()) std::memcpy(blob.begin(), data.blob.data(), data.blob.size());
  message.requireFilled();
  return out.finish(head);
}

}  // namespace

frame encoder::encode(std::uint32_t group, const protocol::message& what) {
  using namespace protocol;
  static_assert(std::variant_size_v<message> == 21, "a new message needs a frame type");
  frame_header head;
  head.type = static_cast<frame_type>(static_cast<std::size_t>(frame_type::batch) + what.index());
  head.sender = static_cast<std::uint16_t>(self_);
  head.group = group;
  const auto max = limits_.frame_bytes_max;
  auto& writer = scratch_->writer;
  struct dispatch {
    encoder& self;
    frame_writer& writer;
    const frame_header& head;
    std::size_t max;
    frame operator()(const batch& m) { return encode_payload<wire::Batch>(*self.scratch_->pool, head, max, m, m.what); }
    frame operator()(const chunk& m) { return encode_payload<wire::Chunk>(*self.scratch_->pool, head, max, m, m.data); }
    frame operator()(const append& m) { return encode_struct<wire::Append>(writer, head, max, m); }
    frame operator()(const ack& m) {
      const group_ack one{head.group, m};
      return self.encode(std::span(&one, 1));
    }
    frame operator()(const vote& m) { return encode_struct<wire::Vote>(writer, head, max, m); }
    frame operator()(const wedge& m) { return encode_struct<wire::Wedge>(writer, head, max, m); }
    frame operator()(const report& m) { return encode_struct<wire::Report>(writer, head, max, m); }
    frame operator()(const pull& m) { return encode_struct<wire::Pull>(writer, head, max, m); }
    frame operator()(const pull_chunk& m) { return encode_struct<wire::PullChunk>(writer, head, max, m); }
    frame operator()(const join& m) { return encode_struct<wire::Join>(writer, head, max, m); }
    frame operator()(const form& m) { return encode_struct<wire::Form>(writer, head, max, m); }
    frame operator()(const read_request& m) { return encode_struct<wire::ReadRequest>(writer, head, max, m); }
    frame operator()(const read_reply& m) { return encode_struct<wire::ReadReply>(writer, head, max, m); }
    frame operator()(const take_over& m) { return encode_struct<wire::TakeOver>(writer, head, max, m); }
    frame operator()(const change_request& m) { return encode_struct<wire::ChangeRequest>(writer, head, max, m); }
    frame operator()(const change_reply& m) { return encode_struct<wire::ChangeReply>(writer, head, max, m); }
    frame operator()(const component_control& m) { return encode_struct<wire::ComponentControl>(writer, head, max, m); }
    frame operator()(const call_answers& m) { return encode_struct<wire::CallAnswers>(writer, head, max, m); }
    frame operator()(const calls_over& m) { return encode_struct<wire::CallsOver>(writer, head, max, m); }
    frame operator()(const state_digest& m) { return encode_struct<wire::StateDigest>(writer, head, max, m); }
    frame operator()(const probe& m) { return encode_struct<wire::Probe>(writer, head, max, m); }
  };
  return std::visit(dispatch{*this, writer, head, max}, what);
}

frame encoder::encode(std::span<const group_ack> acks) {
  frame_header head;
  head.type = frame_type::ack_set;
  head.sender = static_cast<std::uint16_t>(self_);
  return scratch_->writer.write(head, limits_.frame_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto list = m.initRoot<wire::AckSet>().initAcks(static_cast<unsigned>(acks.size()));
    for (unsigned i = 0; i < acks.size(); ++i) {
      list[i].setGroup(acks[i].group);
      fill(list[i].initAck(), acks[i].what);
    }
  });
}

frame encoder::encode(const protocol::pulse& what) { return encode_pulse(scratch_->writer, self_, limits_, what); }

frame encoder::encode(frame_type empty_frame) {
  frame_header head;
  head.type = empty_frame;
  head.sender = static_cast<std::uint16_t>(self_);
  return raw_frame::make(0).finish(head);
}

}  // namespace cohort::transport
