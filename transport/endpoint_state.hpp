#pragma once

// Inside transport/ only: what an endpoint consists of. Split over endpoint.cpp (sending, care), dialling.cpp
// (connections come and go) and greeting.cpp (HELLO),
// and hosting.cpp (which groups both ends of a link host).

#include "transport/compression.hpp"
#include "transport/endpoint.hpp"
#include "transport/hello.hpp"
#include "transport/link.hpp"
#include "transport/resolver.hpp"

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace cohort::transport {

/// Another node: at most one link to it, at most one attempt at one.
struct peer_slot {
  member_id member = no_member;
  std::string name;
  std::vector<place> configured, proposed;
  bool gone = false;              ///< no node of the cluster any more

  std::unique_ptr<link> current;  ///< up
  std::unique_ptr<link> dialling; ///< connecting or greeting
  std::uint64_t attempt = 0;      ///< largest number of a connection seen between the two nodes
  std::vector<std::uint64_t> retired_boots;  ///< processes that a later one replaced, newest last

  std::unique_ptr<timer> retry;
  std::chrono::nanoseconds back_off{};

  // A round: each address of each place is dialled in turn, as it becomes known. Between rounds there is the back-off.
  std::uint64_t round = 0;        ///< answers for an earlier one are dropped
  std::size_t resolving = 0;      ///< places without their last answer
  std::vector<endpoint_address> candidates;
  std::size_t next = 0;           ///< of them to be dialled
  std::vector<std::string> notes; ///< what went wrong in this round, and where
  std::string worked;             ///< the address that was last dialled with success; goes first

  instant failing_since = no_deadline;
  bool unreachable_told = false;
  std::vector<std::string> refusals_told;
  std::string trouble;
};

struct endpoint::impl final : link_owner, fd_handler {
  impl(loop& where, endpoint_config config, endpoint_handler& handler);
  ~impl();

  // endpoint.cpp
  std::string start();
  void stop();
  void send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what);
  bool send(peer_slot& to, const frame& what);
  frame pack(const frame& plain);
  void flush();
  void flush_acks();
  void end_later(link& l, std::string text);
  void end_doomed();
  void care();
  void plan_care();
  instant care_for_link(peer_slot& p);
  void tell(link_event_kind kind, member_id member, std::string text);
  void tell_later(link_event_kind kind, member_id member, std::string text);
  peer_slot* find(member_id m);

  // dialling.cpp
  void dial(peer_slot& p);
  void learn(peer_slot& p, std::uint64_t round, resolved&& part);
  void dial_next(peer_slot& p);
  bool dial_address(peer_slot& p, const endpoint_address& to);
  void failed(peer_slot& p, const std::string& where, const std::string& trouble);
  void retry_later(peer_slot& p);
  void know(member_id peer, const std::string& name, std::vector<place> places);
  void forget(peer_slot& p);
  peer_slot& add_slot(member_id member, std::string name, std::vector<place> places);
  void dial_afresh(peer_slot& p);
  void propose(peer_slot& p, std::vector<place> places);
  void on_ready(std::uint32_t events) override;  // of the listener
  void accept_one(unique_fd fd, const endpoint_address& from);
  void pause_listening(int error);
  void on_connected(link& l) override;
  void on_end(link& l, link_end&& why) override;
  void stranger_left(link& l, const std::string& why);
  std::unique_ptr<link> take(link& l);
  void bury(std::unique_ptr<link> l);

  // greeting.cpp
  void on_frame(link& l, std::span<const std::byte> bytes, const frame_header& head) override;
  void on_message_frame(link& l, std::span<const std::byte> bytes, const frame_header& head);
  void on_greeting(link& l, std::span<const std::byte> bytes, const frame_header& head);
  void on_stranger_hello(link& l, hello&& theirs);
  void on_question(link& l, std::span<const std::byte> bytes);
  void on_answer(link& l, hello&& theirs);
  void on_refusal(link& l, refusal&& r);
  void refuse(link& l, const refusal& for_them, const refusal& for_us, member_id member);
  bool wins(peer_slot& p, const hello& theirs, refusal& why_not) const;
  void adopt(peer_slot& p, link& l, hello&& theirs);
  void violated(link& l, const std::string& what);
  void tell_refused(peer_slot* p, member_id member, const std::string& text);
  hello make_hello(member_id target, std::uint64_t attempt, bool dialled) const;
  std::string label(const link& l) const;

  // hosting.cpp
  void host(group_config what);
  void drop(std::uint32_t group);
  std::vector<std::pair<std::uint32_t, bool>> match_groups(link& l) const;
  void tell_groups(peer_slot& p, const hosted& what);
  void catch_up_groups(peer_slot& p);
  void on_hosted(link& l, std::span<const std::byte> bytes);
  bool match(peer_slot& p, const group_config& here, const group_config& there);
  void part(link& l, std::uint32_t group);

  loop& loop_;
  endpoint_config config_;
  endpoint_handler& handler_;
  endpoint_stats stats_;
  encoder encoder_;
  std::shared_ptr<block_pool> pool_ = std::make_shared<block_pool>();
  std::unique_ptr<frame_packer> packer_;  // only if asked for
  frame_unpacker unpacker_{pool_};
  std::unique_ptr<resolver> resolver_;
  std::minstd_rand random_;
  std::uint64_t cluster_ = 0;
  std::uint64_t groups_state_ = 0;       ///< grows with each change of the groups
  std::vector<std::uint32_t> dropped_;   ///< of the groups once hosted the last one at each place

  std::optional<catalogue::node_table> nodes_;  ///< for strangers who ask

  bool running_ = false;
  unique_fd listener_;
  std::uint64_t hook_ = 0;
  std::vector<std::unique_ptr<peer_slot>> peers_;
  std::vector<peer_slot*> by_member_;
  std::vector<std::unique_ptr<link>> strangers_;  // oldest first
  std::vector<std::unique_ptr<link>> buried_;     // closed, may still be on the call stack
  struct doomed_link {
    link* which;
    std::string text;
  };
  std::vector<link_event> told_later_;
  std::vector<doomed_link> doomed_;  // to be ended outside of `send` and the write hook
  timer care_timer_;
  timer listen_timer_;

  struct pass_ack {
    group_ack what;
    std::vector<member_id> targets;
  };
  std::vector<pass_ack> acks_;
  std::size_t acks_used_ = 0;
  struct {
    std::vector<group_ack> chosen;
    std::vector<std::size_t> picked, picked_before;
  } ack_scratch_;
  std::vector<decoded> decoded_;
  protocol::pulse pulse_;

  instant told_second_{};  // strangers' events are limited by the second
  std::size_t told_in_second_ = 0;
  std::vector<std::string> refusals_told_;  // to nodes without a slot
};

}  // namespace cohort::transport
