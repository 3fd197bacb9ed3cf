#pragma once

// Inside transport/ only: frames that travel packed over slow links.

#include "transport/block_pool.hpp"
#include "transport/codec.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace cohort::transport {

/// Packs whole frames with zstd. One thread at a time.
class frame_packer {
public:
  explicit frame_packer(std::shared_ptr<block_pool> pool);
  ~frame_packer();
  frame_packer(const frame_packer&) = delete;
  frame_packer& operator=(const frame_packer&) = delete;

  /// The frame in its packed form (`packed_flag`); empty if that would not save at least an eighth.
  frame pack(const frame& plain);

private:
  std::shared_ptr<block_pool> pool_;
  ZSTD_CCtx_s* context_;
  std::vector<std::byte> scratch_;
};

/// Turns a packed frame into what the plain one was. The bytes are a peer's: the length they claim is bounded by
/// `frame_bytes_max` before memory is taken, and must be met exactly. One thread at a time.
class frame_unpacker {
public:
  explicit frame_unpacker(std::shared_ptr<block_pool> pool);
  ~frame_unpacker();
  frame_unpacker(const frame_unpacker&) = delete;
  frame_unpacker& operator=(const frame_unpacker&) = delete;

  /// Memory and bytes of the plain frame (its `check` is not filled in); empty with the reason if it is malformed.
  frame unpack(std::span<const std::byte> packed, std::size_t frame_bytes_max, std::string& why);

private:
  std::shared_ptr<block_pool> pool_;
  ZSTD_DCtx_s* context_;
};

}  // namespace cohort::transport
