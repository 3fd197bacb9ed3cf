#pragma once

#include "framework/catalogue/node_table.hpp"
#include "framework/protocol/group_number.hpp"
#include "framework/protocol/messages.hpp"
#include "transport/address.hpp"
#include "transport/codec.hpp"
#include "transport/loop.hpp"
#include "transport/unsent_bound.hpp"

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cohort::transport {

/// A line of the founders' table, the same on all nodes; HELLO compares it.
struct founder {
  member_id member = no_member;
  std::string name;
  std::string where;  ///< `host:port`, as written in the configuration
  bool operator==(const founder&) const = default;
};

/// A node to be linked with, and where it may be found (which may differ from the founders' table: proxies, tests).
struct peer_config {
  member_id member = no_member;
  std::vector<place> places;
  std::string name = {};  ///< empty: as the founders' table has it
};

/// A group of this node as shown to peers.
struct group_config {
  std::uint32_t index = 0;     ///< number on the wire, the same on all nodes that host the group; one at a place (`place_of`)
  std::string name;
  std::uint64_t hash = 0;      ///< of the contract and whatever else must agree; different hashes refuse each other
  std::uint64_t identity = 0;  ///< protocol::voter_id::identity: directory id (durable) or boot id (volatile)
  bool blank = true;           ///< nothing is known of the group here (decision PA2); see `endpoint::set_blank`
  std::uint64_t founding_hash = 0;  ///< of what those must agree on, too, to whom the group is new; later its log holds it
};

struct endpoint_config {
  std::string name;            ///< of this node
  member_id member = no_member;
  std::uint64_t directory_id = 0;  ///< of the data directory
  std::uint64_t boot_id = 0;       ///< of this process, random; 0 = drawn by the endpoint
  std::uint64_t epoch = 0;         ///< of the cluster; nodes of different epochs refuse each other
  address listen{"127.0.0.1", 0};  ///< links are not encrypted: anything but loopback needs a trusted network
  std::vector<founder> founders;   ///< with this node, ascending by member
  std::string cluster;             ///< name of the cluster; nodes of different ones refuse each other. May be empty
  std::vector<peer_config> peers;  ///< without this node
  std::vector<address> name_servers;  ///< asked for names and SRV records; empty: those of the system
  std::vector<group_config> groups;

  bool compress = false;       ///< payload to peers that can unpack it: for links slower than what zstd packs, some 400 MB/s

  codec_limits limits;
  std::size_t control_queue_bytes = 8u << 20;   ///< per link; beyond it the link is closed
  std::size_t payload_queue_bytes = 32u << 20;  ///< per link; beyond it payload is dropped (and pulled again later)
  unsent_limits unsent;        ///< what the kernel may hold unsent per link (TCP_NOTSENT_LOWAT)
  std::size_t strangers_max = 64;               ///< connections that have not said HELLO; beyond it the oldest goes
  std::chrono::milliseconds hello_timeout{2000};
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds retry_first{5};     ///< back-off between dials, doubled each time, with jitter ...
  std::chrono::milliseconds retry_max{800};     ///< ... up to this
  std::chrono::milliseconds ping_after{1000};   ///< silence after which a link is probed
  std::chrono::milliseconds silence_max{3000};  ///< silence after which it is closed and dialled anew
};

enum class link_event_kind : std::uint8_t {
  up,           ///< HELLO done
  down,         ///< was up; `text` says why
  unreachable,  ///< dialling fails; once per outage, not per attempt
  refused,      ///< this node and the peer do not fit; `text` says what differs. Once per difference, not per attempt
  stranger,     ///< a connection closed before HELLO was done: garbage, too slow, too many; `text` says which
  malformed,    ///< a linked peer sent what it must not; the link was closed
  dropped,      ///< payload was dropped because the peer does not read fast enough; once per congestion
  trouble,      ///< the listener cannot accept (no descriptors); it goes on later
};

/// Something an operator wants to read.
struct link_event {
  link_event_kind kind{};
  member_id member = no_member;  ///< if known
  std::string text;              ///< one line: what, where, and what to do
};

/// Receives what the endpoint learns. Called on the loop's thread. May call any member of the endpoint.
class endpoint_handler {
public:
  /// A message from a linked peer. Its sender is who the link belongs to (rule M3).
  virtual void on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) = 0;
  /// A link is up; called for each group which both nodes host.
  virtual void on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) = 0;
  /// The peer does not host the group any more, or this node does not; the link stays.
  virtual void on_group_down(std::uint32_t, member_id) {}
  /// A link went down. `reset`: the other side closed or reset it, or came back as a new process. Called once per link,
  /// before an `on_link_up` for its successor.
  virtual void on_link_down(member_id peer, bool reset) = 0;
  /// The heartbeat of a linked node. Handlers without groups to keep alive need it not.
  virtual void on_pulse(member_id, const protocol::pulse&) {}
  virtual void on_event(const link_event& what) = 0;

protected:
  ~endpoint_handler() = default;
};

/// Counters since the start.
struct endpoint_stats {
  std::uint64_t frames_sent = 0, bytes_sent = 0, writes = 0;
  std::uint64_t frames_received = 0, bytes_received = 0, reads = 0;
  std::uint64_t payload_dropped = 0, payload_dropped_bytes = 0;
  std::uint64_t payload_waited = 0;     ///< batches that were to be sent again while they still waited for the link
  std::uint64_t packed_frames = 0;      ///< sent compressed ...
  std::uint64_t packed_from_bytes = 0, packed_to_bytes = 0;  ///< ... their size before and after, counted once for all links
  std::uint64_t unpacked_frames = 0;    ///< received compressed
  std::uint64_t links_up = 0, links_down = 0, dials = 0, accepted = 0;
  std::uint64_t refused = 0, malformed = 0, strangers_closed = 0, unknown_frames = 0, oversized = 0;
  std::uint64_t events_suppressed = 0;  ///< `stranger` events beyond 10 a second
};

/// One look at a link.
struct link_status {
  member_id member = no_member;
  bool up = false;
  std::uint64_t identity = 0;       ///< directory id the peer said ...
  std::uint64_t boot_id = 0;        ///< ... and its process
  std::size_t control_queued = 0;   ///< bytes
  std::size_t payload_queued = 0;
  std::string trouble;              ///< why it is not up; empty if up or not tried yet
};

/// A node's end of its links: listens, dials, keeps one link to every peer (docs/transport.md, links), and writes what a
/// pass produced with one call per link. Everything a peer sends is bounded and checked.
///
/// Lives on one loop's thread; all members are called there. Registers a pass hook at `loop::order_write`.
class endpoint {
public:
  endpoint(loop& where, endpoint_config config, endpoint_handler& handler);
  /// Closes everything without further calls to the handler.
  ~endpoint();
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  /// Binds and begins to dial. Empty text in return means success, otherwise it says what failed, where, and what to
  /// do; nothing is left open then. May block for a look-up if `listen.host` is a name.
  std::string start();
  /// Closes all links and the listener, without calls to `on_link_down`.
  void stop();

  /// The port actually bound.
  std::uint16_t port() const;

  /// Sends to the targets' links at the end of this pass: control before payload, each in order. Without a link the
  /// message is dropped: the protocol repeats what matters. This node itself among the targets is ignored.
  void send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what);
  /// An encoded frame to one peer. False if there is no link or the frame was dropped.
  bool send(member_id target, const frame& what);
  /// This node's heartbeat to one peer; likewise.
  bool send(member_id target, const protocol::pulse& what);
  /// Bytes of payload that wait to be written to it; SIZE_MAX without a link.
  std::size_t payload_queued(member_id peer) const;

  /// Where `peer` may be found, too: tried before the places of the configuration, in place of what was proposed before.
  /// At most `places_max` count. A link that is up stays; a peer without one is dialled afresh, at once.
  void propose(member_id peer, std::vector<place> places);
  static constexpr std::size_t places_max = 16;

  /// `peer` is a node of the cluster, found at `places` instead of those it was found at before. A new one is dialled at once; a
  /// link that is up stays.
  void know(member_id peer, const std::string& name, std::vector<place> places);
  /// `peer` is none any more: its link is closed, `on_link_down` told, and whoever says that he is it is refused.
  void forget(member_id peer);
  /// What processes are told that ask for the cluster's nodes; nobody is before.
  void tell_nodes(catalogue::node_table nodes);

  /// From now on this node hosts the group, too; peers that are linked learn of it, and `on_link_up` is called for those that host it
  /// likewise. Its place (`place_of`) has no other one, and its number is none of those before.
  void host(group_config what);
  /// From now on it does not: frames of the group are unknown ones. The number is not used again.
  void drop(std::uint32_t group);

  /// From now on HELLO says so. Existing links are not told.
  void set_blank(std::uint32_t group, bool blank);

  bool linked(member_id peer) const;
  std::vector<link_status> links() const;
  const endpoint_stats& stats() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort::transport
