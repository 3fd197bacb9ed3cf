#include "transport/link.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cohort::transport {

namespace {

constexpr std::size_t stranger_block_bytes = 4096;
constexpr std::size_t receive_bytes_per_pass = 1u << 20;  // then the other links have their turn
constexpr std::size_t send_bytes_per_call = 1u << 20;
constexpr std::size_t send_bytes_per_pass = 4u << 20;
constexpr std::size_t parts_max = 128;

}  // namespace

link::link(loop& where, link_owner& owner, unique_fd fd, link_state start, std::shared_ptr<block_pool> pool,
           endpoint_stats& stats)
    : loop_(where), owner_(owner), fd_(std::move(fd)), state_(start), stats_(stats), buffer_(std::move(pool)) {
  buffer_.limit(hello_bytes_max);
  buffer_.start_small(stranger_block_bytes);
  heard_ = loop_.now();
  wanted_ = start == link_state::connecting ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;
  loop_.add(fd_.get(), wanted_, *this);
}

link::~link() { close(); }

void link::close() {
  if (state_ == link_state::closed) return;
  state_ = link_state::closed;
  loop_.remove(fd_.get());
  fd_.reset();
}

void link::end(link_end&& why) {
  close();
  owner_.on_end(*this, std::move(why));
}

void link::established(std::size_t frame_bytes_max, const unsent_limits& unsent) {
  state_ = link_state::up;
  since = loop_.now();
  buffer_.limit(frame_bytes_max);
  unsent_ = unsent_bound(unsent);
}

void link::want(std::uint32_t events) {
  if (std::exchange(wanted_, events) != events) loop_.modify(fd_.get(), events);
}

void link::on_ready(std::uint32_t events) {
  if (state_ == link_state::connecting) {
    if (const int error = connect_result(fd_.get()); error != 0) {
      end({.by_peer = error == ECONNREFUSED || error == ECONNRESET, .text = std::strerror(error)});
      return;
    }
    if (!(events & EPOLLOUT)) return;
    state_ = link_state::greeting;
    want(EPOLLIN | EPOLLRDHUP);
    owner_.on_connected(*this);
    return;
  }
  if (events & EPOLLOUT) blocked_ = false;  // written at the end of the pass, control first
  // Also on EPOLLERR and EPOLLHUP: what came before the end is read first, then recv tells how it ended.
  if (events & ~static_cast<std::uint32_t>(EPOLLOUT)) receive();
}

void link::receive() {
  for (std::size_t taken = 0; taken < receive_bytes_per_pass;) {
    const auto room = buffer_.room();
    const auto count = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      end({.by_peer = errno == ECONNRESET || errno == EPIPE,
           .text = std::string("the connection broke: ") + std::strerror(errno)});
      return;
    }
    ++stats_.reads;
    if (count == 0) {
      end({.by_peer = true,
           .silent = !heard_anything_,
           .text = buffer_.pending() > 0 ? "the other side closed the connection within a frame"
                                         : "the other side closed the connection"});
      return;
    }
    stats_.bytes_received += static_cast<std::size_t>(count);
    taken += static_cast<std::size_t>(count);
    heard_ = loop_.now();
    heard_anything_ = true;
    buffer_.filled(static_cast<std::size_t>(count));
    if (!take_frames()) return;
    if (static_cast<std::size_t>(count) < room.size()) return;  // drained: spares the call that finds nothing
  }
}

bool link::take_frames() {
  for (;;) {
    std::span<const std::byte> bytes;
    switch (buffer_.next(bytes)) {
      case header_status::incomplete: return true;
      case header_status::malformed:
        ++stats_.oversized;
        end({.hostile = true, .text = "a frame's length is out of bounds"});
        return false;
      case header_status::ok: break;
    }
    ++stats_.frames_received;
    if (!frame_intact(bytes)) {
      end({.hostile = true, .text = "a frame's checksum is wrong"});
      return false;
    }
    frame_header head;
    (void)read_header(bytes, bytes.size(), head);
    owner_.on_frame(*this, bytes, head);
    if (state_ == link_state::closed) return false;
  }
}

std::string link::flush() {
  if (state_ != link_state::greeting && state_ != link_state::up) return {};
  std::size_t sent = 0;
  while (!blocked_ && !queue_.empty()) {
    iovec parts[parts_max];
    const auto count = queue_.gather(parts, send_bytes_per_call);
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) offered += parts[i].iov_len;
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const auto done = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (done < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        blocked_ = true;
        break;
      }
      blocked_ = true;
      // What the peer sent before it died is still to be read; EPOLLERR or EPOLLHUP reports the end in the next pass.
      if (errno == ECONNRESET || errno == EPIPE) break;
      return std::string("the connection broke: ") + std::strerror(errno);
    }
    ++stats_.writes;
    stats_.bytes_sent += static_cast<std::size_t>(done);
    stats_.frames_sent += queue_.written(static_cast<std::size_t>(done));
    sent += static_cast<std::size_t>(done);
    if (static_cast<std::size_t>(done) < offered || (sent >= send_bytes_per_pass && !queue_.empty())) blocked_ = true;
  }
  want(EPOLLIN | EPOLLRDHUP | (blocked_ ? EPOLLOUT : 0u));
  if (unsent_.written(loop_.now(), sent)) limit_unsent(fd_.get(), unsent_.bytes());
  return {};
}

}  // namespace cohort::transport
