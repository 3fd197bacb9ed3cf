#pragma once

#include "framework/protocol/group_number.hpp"
#include "framework/protocol/types.hpp"

#include <vector>

namespace cohort::protocol {

/// What a process says of its part in a group, until it says otherwise (rule Q2).
enum class vouch_kind : std::uint8_t {
  none = 0,
  leads = 1,    ///< it leads in `term`
  follows = 2,  ///< it follows the leader of `term`, and is in no later one
};

/// Members that can be told; those beyond have heartbeats of their own.
inline constexpr std::size_t vouch_members_max = 64;

struct vouch {
  vouch_kind kind = vouch_kind::none;
  term_number term = 0;
  std::uint64_t to = 0;  ///< whom it is told, a bit per member: by a leader those it feeds, by a follower its leader
  bool operator==(const vouch&) const = default;
};

/// One change of what a process says, as it travels.
struct vouch_change {
  std::uint32_t group = 0;
  vouch_kind kind{};
  term_number term = 0;
  bool operator==(const vouch_change&) const = default;
};

/// The heartbeat of a node, one per link and H for all groups together (rules Q1 to Q4).
struct pulse {
  std::uint64_t number = 0;        ///< of this pulse on its link, counted from 1
  instant send_time{};             ///< the sender's clock
  instant echo_time{};             ///< largest `send_time` which the sender counted on this link
  std::uint64_t first_change = 1;  ///< number of the first change below; all that the receiver has not acknowledged follow
  std::uint64_t known = 0;         ///< changes of the receiver's that the sender has applied
  bool complete = true;            ///< false: there are more changes than fit, so it vouches for nothing
  std::vector<vouch_change> changes;
};

/// What a group's core learns of a peer's node.
struct node_contact {
  vouch_kind kind = vouch_kind::none;
  term_number term = 0;
  instant heard = instant::min();  ///< when its newest pulse arrived which said so
  instant echo{};                  ///< newest pulse of ours that it had when it said so
  bool live = false;               ///< both are recent; somebody tells the group when that ends (rule Q6)
  instant awake = instant::min();  ///< end of our own node's newest stall (V22)
};

struct pulse_options {
  duration interval = std::chrono::milliseconds(50);       ///< H
  duration silence_max = std::chrono::milliseconds(150);   ///< without a pulse: a peer is not live any more (E_min / 2)
  duration echo_age_max = std::chrono::milliseconds(300);  ///< without an echo (E_min)
  std::size_t changes_max = 4096;                          ///< per pulse
};

/// Told of groups whose contact changes, before it does.
class pulse_host {
public:
  /// Gives the group's core what `pulses::contact` says now, and lets the group have a pass.
  virtual void touch(std::uint32_t group) = 0;

protected:
  ~pulse_host() = default;
};

/// A node's side of the heartbeats between nodes. They vouch for all groups at once, so that a group with nothing to do
/// needs none of its own. Every link carries a numbered sequence of changes each way; a pulse counts only where all
/// changes before it are known, so what it says of a group is what was true when it left (rule Q3).
///
/// Pure, like a core: driven by inputs, one thread at a time.
class pulses {
public:
  /// `places`: of groups (`place_of` their numbers); what is said of others is not kept.
  pulses(const pulse_options& options, std::size_t places, pulse_host& host);

  /// From now on these hold.
  void configure(const pulse_options& options) { options_ = options; }
  /// Makes room for more of them.
  void resize(std::size_t places);

  /// A link came up: nothing that was said on an earlier one holds any more.
  void link_up(member_id peer);
  /// The link is gone. The host has given all cores their contact before (Q5).
  void link_down(member_id peer);

  /// What the group's core says after its pass. A group at a place that another one had comes after that one's last word, which was `none`.
  void say(std::uint32_t group, const vouch& what);

  void receive(member_id from, const pulse& what, instant now);
  /// What the peer's node says of the group.
  node_contact contact(member_id peer, std::uint32_t group) const;

  /// Notices silence, own stalls included: touches the groups that relied on a peer. At the begin of every pass.
  /// Returns how long this process stood still, if it did (V22).
  duration check(instant now);
  /// Pulses are to be sent now.
  bool due(instant now) const { return now >= next_send_; }
  /// The pulse for a linked peer. Behind all cores' passes: it must say what is true now (Q3).
  const pulse& compose(member_id peer, instant now);
  /// All linked peers have got theirs.
  void sent(instant now);
  /// When `check` and sending are due; `never` without links.
  instant next_deadline() const;

  bool linked(member_id peer) const;
  std::vector<member_id> linked_peers() const;

private:
  struct said {
    std::uint32_t group = 0;  ///< its number; another one at the place is none of whom it was said
    vouch_kind kind = vouch_kind::none;
    term_number term = 0;
  };
  struct own_word {
    std::uint32_t group = 0;
    vouch what;
  };
  struct link {
    bool up = false;
    // What we say.
    std::uint64_t number = 0;
    std::uint64_t acked = 0;                ///< changes the peer knows
    std::vector<vouch_change> unacked;      ///< those behind them
    // What the peer says.
    std::uint64_t newest = 0;               ///< number of its newest pulse
    std::uint64_t known = 0;                ///< its changes which are applied
    std::vector<said> theirs;               ///< by place
    instant counted{};                      ///< send time of the newest pulse that counts
    instant heard = instant::min();
    instant echo{};
    bool live = false;
  };
  link* find(member_id peer);
  const link* find(member_id peer) const;
  bool fresh(const link& l, instant now) const;
  static void change(link& l, std::uint32_t group, const vouch& what, bool told);

  pulse_options options_;
  pulse_host& host_;
  std::vector<own_word> ours_;  ///< by place
  std::vector<link> links_;   ///< by member
  instant next_send_{};
  instant checked_{};
  bool watching_ = false;     ///< since `checked_` nothing but time has made a pass due
  instant awake_ = instant::min();
  pulse out_;
};

}  // namespace cohort::protocol
