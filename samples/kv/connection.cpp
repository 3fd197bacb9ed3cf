#include "samples/kv/connection.hpp"

#include "samples/kv/resp_render.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace kv {

namespace {

constexpr std::size_t read_min = 16 * 1024, read_max = 256 * 1024;
/// Commands are smaller than the messages that carry them by at most this.
constexpr std::size_t message_margin = 64;

}  // namespace

connection::connection(int fd, std::uint64_t id, std::string address, std::string local_address,
                       connection_owner& owner)
    : owner_(owner),
      fd_(fd),
      parser_(owner.options().gateway.message_bytes_max - message_margin),
      read_size_(read_min) {
  who_.id = id;
  who_.address = std::move(address);
  who_.local_address = std::move(local_address);
  interest_ = EPOLLIN;
  owner_.events().add(fd_, interest_, *this);
}

connection::~connection() {
  owner_.events().remove(fd_);
  close(fd_);
}

void connection::set_interest(std::uint32_t events) {
  if (events == interest_) return;
  interest_ = events;
  owner_.events().modify(fd_, interest_);
}

void connection::on_ready(std::uint32_t events) {
  if (dead_) return;
  owner_.touched(*this);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    dead_ = true;  // both directions are gone: nobody would read an answer
    return;
  }
  if ((events & EPOLLOUT) != 0) write_out();
  if ((events & EPOLLIN) == 0 || dead_) return;
  if (closing_ || waiting_ || throttled()) {
    // The bytes stay in the socket, so that the client's own side fills up. `proceed` looks again.
    set_interest(interest_ & ~static_cast<std::uint32_t>(EPOLLIN));
    return;
  }
  read_some();
  process();
}

void connection::read_some() {
  const auto wanted = std::clamp(std::max(read_size_, parser_.missing()), read_min, std::size_t{4} << 20);
  const auto room = parser_.room(wanted);
  const auto size = recv(fd_, room.data(), room.size(), 0);
  if (size > 0) {
    parser_.fill(static_cast<std::size_t>(size));
    const bool all = static_cast<std::size_t>(size) == room.size();
    if (all) read_size_ = std::min(2 * read_size_, read_max);
  } else if (size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
    // Commands before the end were dispatched; a half one is dropped. A client that only closed its sending side still
    // gets its answers.
    if (size != 0) dead_ = true;
    closing_ = true;
  }
}

bool connection::throttled() const {
  const auto& limits = owner_.options();
  return output_.size() - written_ + ready_bytes_ > limits.output_soft_bytes ||
         slots_.size() >= limits.commands_in_flight_max;
}

bool connection::process() {
  if (!waiting_ && parser_.pending() == 0) return false;
  while (!dead_ && !deaf_) {
    if (throttled()) return true;
    if (!waiting_) {
      switch (parser_.next()) {
        case resp_parser::result::need_more:
          return false;
        case resp_parser::result::command:
          who_.last = std::chrono::steady_clock::now();
          owner_.count_command();
          break;
        case resp_parser::result::oversized:
          queue_error("ERR the command is larger than the 16 MiB that one message of the group can carry; "
                      "it was not executed");
          continue;
        case resp_parser::result::broken:
          reply_error(parser_.error());
          closing_ = deaf_ = true;
          return false;
      }
    }
    waiting_ = !dispatch();
    if (who_.quit) closing_ = deaf_ = true;
    if (waiting_) return false;
  }
  return false;
}

void connection::proceed() {
  if (dead_) return;
  // Commands that were read already are reported by no descriptor: go on until they wait for an answer or a reader.
  bool cut_short = true;
  flush_ready();
  while (cut_short && !dead_ && !throttled()) {
    cut_short = process();
    flush_ready();
    write_out();
  }
  if (dead_) return;
  write_out();
  if (!closing_ && !waiting_ && !throttled()) set_interest(interest_ | EPOLLIN);
  if (closing_ && !waiting_ && slots_.empty() && output_.empty()) dead_ = true;
}

void connection::shrink() {
  parser_.shrink();
  if (parser_.pending() == 0) read_size_ = read_min;
  if (output_.empty() && output_.capacity() > read_min) std::string().swap(output_);
}

// ---- answers --------------------------------------------------------------------------------------------------------

connection::slot& connection::open_slot(stage at, kind what) {
  auto& s = slots_.emplace_back();
  s.at = at;
  s.what = what;
  s.protocol = static_cast<std::uint8_t>(who_.protocol);
  pending_writes_ += at == stage::write;
  pending_reads_ += at == stage::read;
  pending_watches_ += what == kind::watch;
  return s;
}

void connection::answered(std::uint64_t number, std::string_view reply) {
  if (dead_ || number < first_slot_ || number - first_slot_ >= slots_.size()) return;
  auto& s = slots_[number - first_slot_];
  if (s.at == stage::ready) return;
  pending_writes_ -= s.at == stage::write;
  pending_reads_ -= s.at == stage::read;
  pending_watches_ -= s.what == kind::watch;
  s.at = stage::ready;
  finish_slot(s, reply);
  ready_bytes_ += s.reply.size();
  owner_.touched(*this);
}

void connection::reply_now(std::string_view neutral) {
  auto& s = open_slot(stage::ready, kind::plain);
  render(neutral, s.protocol, s.reply);
  ready_bytes_ += s.reply.size();
}

void connection::reply_error(std::string_view text) {
  std::string reply;
  reply_writer(reply).error(text);
  reply_now(reply);
}

void connection::flush_ready() {
  for (; !slots_.empty() && slots_.front().at == stage::ready; ++first_slot_) {
    auto& reply = slots_.front().reply;
    ready_bytes_ -= reply.size();
    if (output_.empty()) output_ = std::move(reply);
    else output_.append(reply);
    slots_.pop_front();
  }
  if (output_.size() - written_ + ready_bytes_ > owner_.options().output_hard_bytes) dead_ = true;
}

void connection::write_out() {
  while (written_ < output_.size()) {
    const auto size = send(fd_, output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
    if (size > 0) {
      written_ += static_cast<std::size_t>(size);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (written_ > output_.size() / 2) {
        output_.erase(0, written_);
        written_ = 0;
      }
      return set_interest(interest_ | EPOLLOUT);
    } else if (errno != EINTR) {
      dead_ = true;
      return;
    }
  }
  output_.clear();
  written_ = 0;
  if (output_.capacity() > read_max) std::string().swap(output_);
  set_interest(interest_ & ~static_cast<std::uint32_t>(EPOLLOUT));
}

}  // namespace kv
