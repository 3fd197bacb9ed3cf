#pragma once

#include <cohort/types.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cohort::primary_backup {

/// The first byte of each message of a primary/backup group: what a port submitted, what its primary did, or what a primary's
/// process died of, told by the one that follows it.
enum class frame : std::uint8_t { request = 0, update = 1, tale = 2 };

/// What all requests of an update have in common.
struct update_head {
  view_number office = 0;       ///< of the primary that executed: the view it took office in
  std::uint64_t attempt = 0;    ///< number of the executing copy, unique in a life of the primary
  std::uint64_t start = 0;      ///< updates accepted when that copy was made of the agreed one
  std::uint64_t base = 0;       ///< updates accepted before this one
  std::uint32_t count = 0;      ///< requests
};

/// One request that an update settles.
struct settled_request {
  std::uint64_t position = 0;  ///< in the total order
  std::span<const std::byte> change;
  std::span<const std::byte> answer;
};

/// The process that held this office ended while it executed the request at this position.
struct death_tale {
  view_number office = 0;
  std::uint64_t position = 0;
  bool operator==(const death_tale&) const = default;
};
std::vector<std::byte> encode(const death_tale& t);
/// With its frame byte. Nothing if the bytes are no tale.
std::optional<death_tale> read_tale(std::span<const std::byte> message);

/// Writes an update into a buffer that is reused.
class update_writer {
public:
  void begin(const update_head& head);
  void add(const settled_request& one);
  /// The message; valid until `begin`.
  std::span<const std::byte> finish();
  std::size_t size() const { return bytes_.size(); }
  std::uint32_t count() const { return count_; }

private:
  void put(std::uint64_t value, unsigned bytes);

  std::vector<std::byte> bytes_;
  std::uint32_t count_ = 0;
};

/// Reads one, with its frame byte. Another member's bytes are not trusted: empty if they are no update.
class update_reader {
public:
  static std::optional<update_head> read(std::span<const std::byte> message, std::vector<settled_request>& into);
};

}  // namespace cohort::primary_backup
