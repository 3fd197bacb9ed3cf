// A node's heartbeat on the wire.
#include "transport/frame.hpp"
#include "wire.capnp.h"

namespace cohort::transport {

frame encode_pulse(frame_writer& writer, member_id self, const codec_limits& limits, const protocol::pulse& what) {
  frame_header head;
  head.type = frame_type::pulse;
  head.sender = static_cast<std::uint16_t>(self);
  return writer.write(head, limits.frame_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::Pulse>();
    out.setNumber(what.number);
    out.setSendTime(what.send_time.count());
    out.setEchoTime(what.echo_time.count());
    out.setFirstChange(what.first_change);
    out.setKnown(what.known);
    out.setComplete(what.complete);
    if (what.changes.empty()) return;
    auto changes = out.initChanges(static_cast<unsigned>(what.changes.size()));
    for (unsigned i = 0; i < what.changes.size(); ++i) {
      changes[i].setGroup(what.changes[i].group);
      changes[i].setKind(static_cast<std::uint8_t>(what.changes[i].kind));
      changes[i].setTerm(what.changes[i].term);
    }
  });
}

bool decode(std::span<const std::byte> bytes, const codec_limits& limits, protocol::pulse& out, std::string& why) {
  // Times are added to and subtracted from clocks: half the range keeps a hostile one from overflowing.
  constexpr std::int64_t time_max = std::int64_t{1} << 62;
  return read_struct<wire::Pulse>(bytes.subspan(frame_header_bytes), &why, [&](wire::Pulse::Reader in) {
    const auto legal = [](std::int64_t t) { return t >= 0 && t <= time_max; };
    if (!legal(in.getSendTime()) || !legal(in.getEchoTime())) return "a pulse has an impossible time";
    const auto changes = in.getChanges();
    if (changes.size() > limits.changes_max) return "a pulse has too many changes";
    out.number = in.getNumber();
    out.send_time = protocol::instant(in.getSendTime());
    out.echo_time = protocol::instant(in.getEchoTime());
    out.first_change = in.getFirstChange();
    out.known = in.getKnown();
    out.complete = in.getComplete();
    out.changes.clear();
    for (const auto c : changes) {
      if (c.getKind() > static_cast<std::uint8_t>(protocol::vouch_kind::follows)) return "a pulse vouches for an unknown part";
      out.changes.push_back({c.getGroup(), static_cast<protocol::vouch_kind>(c.getKind()), c.getTerm()});
    }
    return static_cast<const char*>(nullptr);
  });
}

}  // namespace cohort::transport
