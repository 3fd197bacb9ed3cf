#pragma once

// Inside transport/ only: one TCP connection that carries frames.

#include "transport/hello.hpp"
#include "transport/loop.hpp"
#include "transport/receive_buffer.hpp"
#include "transport/send_queue.hpp"
#include "transport/socket.hpp"
#include "transport/unsent_bound.hpp"

#include <string>

namespace cohort::transport {

enum class link_state : std::uint8_t {
  connecting,  ///< dialled, TCP is not up yet
  greeting,    ///< TCP is up, HELLO is awaited
  up,
  closed,
};

/// Why a connection ended, as the operating system or the frame decoder sees it.
struct link_end {
  bool by_peer = false;     ///< closed or reset by the other side
  bool hostile = false;     ///< it sent what cannot be a frame
  bool silent = false;      ///< closed before a single byte came
  std::string text;
};

class link;

/// What a connection tells. Any call may close the connection (`link::close`), never destroy it.
class link_owner {
public:
  virtual void on_connected(link& l) = 0;
  /// A whole frame with the right checksum.
  virtual void on_frame(link& l, std::span<const std::byte> bytes, const frame_header& head) = 0;
  /// Nothing follows. Not called after `close`.
  virtual void on_end(link& l, link_end&& why) = 0;

protected:
  ~link_owner() = default;
};

/// One connection: bytes in, frames out, and back. Knows nothing of peers but what its owner writes into the public
/// fields.
class link final : fd_handler {
public:
  link(loop& where, link_owner& owner, unique_fd fd, link_state start, std::shared_ptr<block_pool> pool,
       endpoint_stats& stats);
  ~link();

  /// Queues; written by `flush`.
  void push(const frame& f) { queue_.push(f); }
  /// One sendmsg, or more while the socket takes all that is offered. Text in return: the connection broke, end it.
  /// Does not call the owner.
  std::string flush();
  void close();

  link_state state() const { return state_; }
  void established(std::size_t frame_bytes_max, const unsent_limits& unsent);
  const send_queue& queue() const { return queue_; }
  const std::shared_ptr<const void>& block() { return buffer_.owner(); }
  instant heard() const { return heard_; }
  bool heard_anything() const { return heard_anything_; }
  int fd() const { return fd_.get(); }

  // The endpoint's notes.
  hello peer;                    ///< once its HELLO came
  std::uint64_t groups_told = 0; ///< which state of this node's groups its HELLO told, or a frame behind it
  /// The peer's identities in the groups which both nodes host, by place.
  struct shared_group {
    std::uint32_t number = 0;
    std::uint64_t identity = 0;  ///< 0: none at that place
  };
  std::vector<shared_group> shared;
  std::uint64_t& identity_in(std::uint32_t group) {
    const auto place = place_of(group);
    if (place >= shared.size()) shared.resize(place + 1);
    if (shared[place].number != group) shared[place] = {group, 0};
    return shared[place].identity;
  }
  /// 0: not hosted by both.
  std::uint64_t identity_of(std::uint32_t group) const {
    const auto place = place_of(group);
    return place < shared.size() && shared[place].number == group ? shared[place].identity : 0;
  }
  member_id member = no_member;  ///< whom this connection is for, or belongs to
  std::string where;             ///< the other end's address
  std::uint64_t attempt = 0;
  bool dialled = false;          ///< by this node
  bool congested = false;        ///< payload was dropped since the queue was last empty
  instant deadline = no_deadline;  ///< of connecting or greeting
  instant since{};               ///< up since
  instant pinged{};

private:
  void on_ready(std::uint32_t events) override;
  void receive();
  bool take_frames();
  void end(link_end&& why);
  void want(std::uint32_t events);

  loop& loop_;
  link_owner& owner_;
  unique_fd fd_;
  link_state state_;
  endpoint_stats& stats_;
  receive_buffer buffer_;
  send_queue queue_;
  unsent_bound unsent_{unsent_limits{}};
  std::uint32_t wanted_ = 0;
  bool blocked_ = false;  // the socket took less than offered; EPOLLOUT will tell
  instant heard_{};
  bool heard_anything_ = false;
};

}  // namespace cohort::transport
