#include "transport/compression.hpp"

#include "transport/frame.hpp"

#include <zstd.h>

#include <cstring>
#include <new>

namespace cohort::transport {

namespace {

constexpr int level = 1;                        // the fastest that is worth its time on links above 100 Mbit/s
constexpr std::size_t smallest_packed = 1024;   // below it there is little to gain

/// Behind the header of a packed frame.
struct packed_head {
  std::uint32_t plain_length;   // of the whole plain frame
  std::uint32_t packed_length;  // of what follows, without the padding
};

template <class T>
T* or_throw(T* context) {
  if (!context) throw std::bad_alloc();
  return context;
}

}  // namespace

frame_packer::frame_packer(std::shared_ptr<block_pool> pool) : pool_(std::move(pool)), context_(or_throw(ZSTD_createCCtx())) {}

frame_packer::~frame_packer() { ZSTD_freeCCtx(context_); }

frame frame_packer::pack(const frame& plain) {
  if (plain.bytes.size() < smallest_packed) return {};
  const auto body = plain.bytes.subspan(frame_header_bytes);
  const auto allowed = body.size() - body.size() / 8;
  if (scratch_.size() < allowed) scratch_.resize(allowed);
  // Too little room is how zstd says that packing does not pay.
  const auto length = ZSTD_compressCCtx(context_, scratch_.data(), allowed, body.data(), body.size(), level);
  if (ZSTD_isError(length)) return {};
  auto out = raw_frame::make((sizeof(packed_head) + length + 7) / 8 * 8, *pool_);
  const packed_head lengths{static_cast<std::uint32_t>(plain.bytes.size()), static_cast<std::uint32_t>(length)};
  auto to = out.body();
  std::memcpy(to.data(), &lengths, sizeof lengths);
  std::memcpy(to.data() + sizeof lengths, scratch_.data(), length);
  std::memset(to.data() + sizeof lengths + length, 0, to.size() - sizeof lengths - length);
  frame_header head;
  std::memcpy(&head, plain.bytes.data(), sizeof head);
  head.flags |= packed_flag;
  return out.finish(head);
}

frame_unpacker::frame_unpacker(std::shared_ptr<block_pool> pool) : pool_(std::move(pool)), context_(or_throw(ZSTD_createDCtx())) {}

frame_unpacker::~frame_unpacker() { ZSTD_freeDCtx(context_); }

frame frame_unpacker::unpack(std::span<const std::byte> packed, std::size_t frame_bytes_max, std::string& why) {
  const auto malformed = [&](const char* text) {
    why = std::string("a packed frame ") + text;
    return frame{};
  };
  packed_head lengths;
  if (packed.size() < frame_header_bytes + sizeof lengths) return malformed("is too short");
  std::memcpy(&lengths, packed.data() + frame_header_bytes, sizeof lengths);
  const auto content = packed.subspan(frame_header_bytes + sizeof lengths);
  if (lengths.packed_length > content.size() || content.size() - lengths.packed_length >= 8)
    return malformed("does not hold what it says");
  if (lengths.plain_length <= frame_header_bytes || lengths.plain_length > frame_bytes_max || lengths.plain_length % 8 != 0)
    return malformed("has a length out of bounds");
  auto memory = pool_->take(lengths.plain_length);
  const std::span<std::byte> plain(memory.get(), lengths.plain_length);
  const auto body = plain.subspan(frame_header_bytes);
  const auto length = ZSTD_decompressDCtx(context_, body.data(), body.size(), content.data(), lengths.packed_length);
  if (ZSTD_isError(length) || length != body.size()) return malformed("cannot be unpacked");
  frame_header head;
  std::memcpy(&head, packed.data(), sizeof head);
  head.length = lengths.plain_length;
  head.check = 0;
  head.flags &= static_cast<std::uint8_t>(~packed_flag);
  std::memcpy(plain.data(), &head, sizeof head);
  return {std::move(memory), plain, head.type};
}

}  // namespace cohort::transport
