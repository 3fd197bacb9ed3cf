#pragma once

// Inside transport/ only: what two nodes tell each other before they talk.

#include "transport/endpoint.hpp"

#include <optional>
#include <string>
#include <vector>

namespace cohort::transport {

inline constexpr std::uint32_t unpacks_zstd = 1;

struct hello {
  std::uint32_t version = wire_version;
  std::uint32_t oldest = wire_version_oldest;
  std::string name;
  member_id member = no_member;
  std::uint64_t directory_id = 0;
  std::uint64_t boot_id = 0;
  std::uint64_t epoch = 0;
  std::uint64_t cluster = 0;
  std::vector<founder> founders;
  std::vector<group_config> groups;
  std::uint64_t attempt = 0;
  member_id target = no_member;
  bool dialled = false;
  std::uint32_t unpacks = unpacks_zstd;  ///< bits: compressed frames it takes
};

/// What changed in a node's groups while it is linked.
struct hosted {
  std::vector<group_config> added;
  std::vector<std::uint32_t> dropped;
};

/// Why a connection ends. Numbers are part of the wire format.
enum class refuse_code : std::uint16_t {
  version = 1,     ///< no common version of the wire format
  epoch = 2,       ///< another epoch of the cluster
  founders = 3,    ///< another founders' table
  group = 4,       ///< a group is set up differently
  wrong_node = 5,  ///< not the node that was meant, or this very node
  duplicate = 6,   ///< another connection between the two wins; nothing is wrong
  superseded = 7,  ///< a later process has taken the sender's place
  malformed = 8,   ///< the receiver of this sent what it must not
  overflow = 9,    ///< the receiver of this does not read
};

struct refusal {
  refuse_code code{};
  std::string text;           ///< for the receiver's eyes
  std::uint64_t attempt = 0;  ///< `duplicate`: largest number seen, the next dial must be above it
};

inline constexpr std::uint64_t hello_magic = 0x0000'7472'6f68'6f63;  ///< "cohort"

/// A HELLO's frame never exceeds this; so many bytes are granted to a stranger.
inline constexpr std::size_t hello_bytes_max = 256 * 1024;
inline constexpr std::size_t founders_max = 1024;
inline constexpr std::size_t groups_max = group_places;

/// Digest of the cluster's name, if it has one, and of the founders' table: names and addresses in the order of members.
std::uint64_t cluster_digest(const std::vector<founder>& founders, std::string_view cluster = {});

frame encode_hello(const hello& h);
frame encode_hosted(member_id self, const hosted& what);
frame encode_refusal(member_id self, const refusal& r);

/// False with the reason if it is none: not decodable, wrong magic, too many lines, names that are no names.
/// `bytes` is a whole frame of type `hello`, checksum verified.
bool decode_hello(std::span<const std::byte> bytes, hello& out, std::string& why);
bool decode_hosted(std::span<const std::byte> bytes, hosted& out, std::string& why);
bool decode_refusal(std::span<const std::byte> bytes, refusal& out, std::string& why);

/// What keeps the two nodes apart, told from the point of view of `mine`; nothing if they fit.
std::optional<refusal> compare(const hello& mine, const hello& theirs);
/// Likewise for one group that both host, of node `name`.
std::optional<refusal> compare(const group_config& here, const group_config& there, const std::string& name);

/// Cut to `bytes_max`; control characters become '?'. For text that came from a peer.
std::string printable(std::string_view text, std::size_t bytes_max);

}  // namespace cohort::transport
