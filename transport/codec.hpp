#pragma once

#include "framework/protocol/messages.hpp"
#include "framework/protocol/pulse.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cohort::transport {

/// Version of the wire format this library speaks, and the oldest it still understands (docs/transport.md, versions).
inline constexpr std::uint32_t wire_version = 3;
inline constexpr std::uint32_t wire_version_oldest = 3;

/// Kind of a frame. Numbers are part of the wire format: new ones at the end, none is ever reused. A frame of an unknown
/// kind is counted and dropped (rule M1).
enum class frame_type : std::uint8_t {
  hello = 1,
  refuse = 2,
  ping = 3,  ///< header only; answered by `pong`
  pong = 4,
  pulse = 5,  ///< a node's heartbeat for all its groups (docs/protocol.md, Q1)
  ask_nodes = 6,  ///< a process that is no member yet asks for the cluster's nodes
  nodes = 7,      ///< the answer
  hosted = 8,     ///< groups which a linked node hosts from now on, or does not any more
  batch = 16,
  append = 17,
  ack_set = 18,
  vote = 19,
  wedge = 20,
  report = 21,
  pull = 22,
  pull_chunk = 23,
  chunk = 24,
  join = 25,
  form = 26,
  read_request = 27,
  read_reply = 28,
  take_over = 29,
  change_request = 30,
  change_reply = 31,
  probe = 32,
  component_control = 33,
  call_answers = 34,
  calls_over = 35,
  state_digest = 36,
};

/// Payload may wait and may be dropped under pressure, all else is control and goes first.
constexpr bool is_payload(frame_type t) {
  return t == frame_type::batch || t == frame_type::chunk || t == frame_type::call_answers;
}

/// First 16 bytes of every frame, little endian.
struct frame_header {
  std::uint32_t length = 0;  ///< of the whole frame with this header, a multiple of 8
  std::uint32_t check = 0;   ///< low half of XXH3-64 of the bytes from 8 on, seeded with `length`
  frame_type type{};
  std::uint8_t flags = 0;    ///< `packed_flag`; others: senders write 0, receivers ignore them
  std::uint16_t sender = 0;  ///< member id (rule M3)
  std::uint32_t group = 0;   ///< index in the group table of HELLO
};
inline constexpr std::size_t frame_header_bytes = 16;

/// The body is compressed; only sent to who said in HELLO that it unpacks this, and only around payload.
inline constexpr std::uint8_t packed_flag = 1;

/// What a decoder takes at most. All of it is checked before memory is spent on it.
struct codec_limits {
  std::size_t frame_bytes_max = 18u << 20;  ///< whole frame; see `frame_bytes_for`
  std::size_t roster_max = 1024;
  std::size_t entries_max = 4096;           ///< per APPEND
  std::size_t frontier_max = 1024;          ///< components; = lanes of a view
  std::size_t acks_max = 4096;              ///< groups in one AckSet
  std::size_t extras_max = 1u << 16;        ///< batches behind gaps that a report or a view's entry names
  std::size_t changes_max = 8192;           ///< in one pulse
  std::size_t calls_max = 1u << 16;         ///< answers, or numbers of calls, in one frame
};

/// Frame limit that lets every batch of a core with these options through: a nearly full batch, one largest message on
/// top of it, and four bytes of length for each message.
constexpr std::size_t frame_bytes_for(std::size_t message_bytes_max, std::size_t batch_bytes) {
  return (message_bytes_max + 5 * batch_bytes + 64 * 1024 + 7) / 8 * 8;
}

/// One encoded frame, shared by all links that send it. Immutable.
struct frame {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  frame_type type{};
  std::uint64_t name = 0;  ///< of a batch: the same in every frame that holds it, and in no other; else 0
  explicit operator bool() const { return !bytes.empty(); }
};

/// An ack with the group it belongs to.
struct group_ack {
  std::uint32_t group = 0;
  protocol::ack what;
};

/// Turns messages into frames. Holds scratch memory: one thread at a time.
class encoder {
public:
  explicit encoder(member_id self, codec_limits limits = {});
  ~encoder();
  encoder(encoder&&) noexcept;

  /// Empty if the frame would exceed the limit (a batch too large for it is a bug in the options, see
  /// `frame_bytes_for`). An ack makes an AckSet of one.
  frame encode(std::uint32_t group, const protocol::message& what);
  /// The acks of all groups in one frame.
  frame encode(std::span<const group_ack> acks);
  frame encode(const protocol::pulse& what);
  /// `ping` or `pong`.
  frame encode(frame_type empty_frame);

private:
  struct scratch;
  member_id self_;
  codec_limits limits_;
  std::unique_ptr<scratch> scratch_;
};

enum class header_status : std::uint8_t { ok, incomplete, malformed };

/// Looks at the first bytes of a stream. `incomplete`: fewer than 16 bytes. `malformed`: the length is below 16, above
/// `frame_bytes_max` or no multiple of 8; nothing behind it can be trusted.
header_status read_header(std::span<const std::byte> bytes, std::size_t frame_bytes_max, frame_header& out);

/// A decoded message and its group.
struct decoded {
  std::uint32_t group = 0;
  protocol::message what;
};

enum class decode_status : std::uint8_t {
  ok,
  unknown_type,  ///< a newer sender's; drop and count it
  malformed,     ///< the peer is broken or hostile: close the link
};

/// Decodes one whole frame (kinds from `batch` on) whose first byte is aligned to 8. Payloads are not copied: they point
/// into `bytes` and hold `owner`. Appends to `out` (an AckSet gives several). With `malformed`, `why` (if given) says
/// what was wrong and `out` is as before. Does not throw.
decode_status decode(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                     const codec_limits& limits, std::vector<decoded>& out, std::string* why = nullptr);

/// Decodes a whole frame of type `pulse`; false with the reason if it is malformed.
bool decode(std::span<const std::byte> bytes, const codec_limits& limits, protocol::pulse& out, std::string& why);

/// The checksum of a whole frame is right.
bool frame_intact(std::span<const std::byte> bytes);

}  // namespace cohort::transport
