#pragma once

// Inside transport/ only: framing around one Cap'n Proto segment.

#include "transport/block_pool.hpp"
#include "transport/checksum.hpp"
#include "transport/codec.hpp"

#include <capnp/message.h>
#include <kj/exception.h>

#include <cstring>
#include <memory>
#include <vector>

namespace cohort::transport {

/// A frame being written: memory aligned to 8, header and body.
class raw_frame {
public:
  /// `body_bytes` is a multiple of 8; the body is not cleared.
  static raw_frame make(std::size_t body_bytes) {
    raw_frame f;
    f.length_ = frame_header_bytes + body_bytes;
    auto memory = std::make_shared_for_overwrite<std::uint64_t[]>(f.length_ / 8);
    f.bytes_ = reinterpret_cast<std::byte*>(memory.get());
    f.memory_ = std::move(memory);
    return f;
  }
  /// For payload, whose frames are large.
  static raw_frame make(std::size_t body_bytes, block_pool& pool) {
    raw_frame f;
    f.length_ = frame_header_bytes + body_bytes;
    auto memory = pool.take(f.length_);
    f.bytes_ = memory.get();
    f.memory_ = std::move(memory);
    return f;
  }
  std::span<std::byte> body() { return all().subspan(frame_header_bytes); }
  /// Writes length and checksum; `head.length` and `head.check` are ignored.
  frame finish(frame_header head) {
    const auto bytes = all();
    head.length = static_cast<std::uint32_t>(length_);
    put(bytes, head);
    head.check = static_cast<std::uint32_t>(checksum(bytes.subspan(8), head.length));
    put(bytes, head);
    return frame{memory_, bytes, head.type};
  }

private:
  std::span<std::byte> all() { return {bytes_, length_}; }
  static void put(std::span<std::byte> to, const frame_header& head) {
    static_assert(sizeof(frame_header) == frame_header_bytes);
    std::memcpy(to.data(), &head, sizeof head);
  }
  std::shared_ptr<const void> memory_;
  std::byte* bytes_ = nullptr;
  std::size_t length_ = 0;
};

/// Builds small frames: Cap'n Proto works in scratch memory that is cleared as it goes (technology: the builder clears
/// what it used when it is destroyed), the finished segment is copied.
class frame_writer {
public:
  template <class Fill>
  frame write(const frame_header& head, std::size_t frame_bytes_max, Fill&& fill) {
    for (;;) {
      std::size_t needed = 0;
      {
        capnp::MallocMessageBuilder message(
            kj::arrayPtr(reinterpret_cast<capnp::word*>(scratch_.data()), scratch_.size()));
        fill(message);
        const auto segments = message.getSegmentsForOutput();
        for (const auto& s : segments) needed += s.size();
        if (needed * sizeof(capnp::word) + frame_header_bytes > frame_bytes_max) return {};
        if (segments.size() == 1) {
          const auto bytes = segments[0].asBytes();
          auto out = raw_frame::make(bytes.size());
          std::memcpy(out.body().data(), bytes.begin(), bytes.size());
          return out.finish(head);
        }
      }
      // It did not fit into one segment, and a frame has one. Far pointers take room, too: what was needed is enough.
      scratch_.assign(2 * needed, 0);
    }
  }

private:
  std::vector<std::uint64_t> scratch_ = std::vector<std::uint64_t>(1024);  // capnp::word cannot be copied
};

/// In pulse_codec.cpp.
frame encode_pulse(frame_writer& writer, member_id self, const codec_limits& limits, const protocol::pulse& what);

/// Reads a frame's segment as `Struct` and hands it to `use`; the reader lives only during the call. False with the
/// reason if Cap'n Proto or `use` objects. Nothing is thrown.
template <class Struct, class Use>
bool read_struct(std::span<const std::byte> body, std::string* why, Use&& use) {
  const auto fail = [&](const char* text) {
    if (why) *why = text;
    return false;
  };
  if (body.size() % sizeof(capnp::word) != 0 || reinterpret_cast<std::uintptr_t>(body.data()) % 8 != 0)
    return fail("the body is not aligned to 8 bytes");
  if (body.empty()) return fail("the body is empty");
  const auto segment =
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(body.data()), body.size() / sizeof(capnp::word));
  capnp::ReaderOptions options;
  // Every field is read once, so honest frames stay below their own size; the slack is for the root.
  options.traversalLimitInWords = segment.size() + 64;
  options.nestingLimit = 8;
  try {
    const kj::ArrayPtr<const capnp::word> segments[] = {segment};
    capnp::SegmentArrayMessageReader message(segments, options);
    if (const char* text = use(message.getRoot<Struct>())) return fail(text);
    return true;
  } catch (const kj::Exception& e) {
    if (why) *why = std::string("not decodable: ") + e.getDescription().cStr();
    return false;
  }
}

}  // namespace cohort::transport
