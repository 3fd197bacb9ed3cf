#include "counter_hall.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <future>

namespace {

constexpr int look_around_ms = 200;  // how soon a thread notices that the hall closes

/// Waits for the one answer that is due; every submission and query gets one.
cohort::completion await(cohort::group_port& port, cohort::completion_batch& done) {
  while (!port.take(done)) std::this_thread::sleep_for(std::chrono::microseconds(200));
  return done[0];
}

bool send_all(int to, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto sent = ::send(to, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

counter_hall::counter_hall(cohort::node& where, std::string group, std::uint16_t tcp_port)
    : where_(where), group_(std::move(group)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(tcp_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, buyers_max) != 0) {
    const auto why = std::string(std::strerror(errno));
    ::close(listener_);
    throw cohort::node_error("buyers' port " + std::to_string(tcp_port) + ": " + why + "; choose another one with --buyers PORT");
  }
  acceptor_ = std::thread([this] { accept_all(); });
}

counter_hall::~counter_hall() {
  closing_ = true;
  acceptor_.join();
  while (buyers_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::close(listener_);
}

void counter_hall::accept_all() {
  while (!closing_) {
    pollfd ready{listener_, POLLIN, 0};
    if (::poll(&ready, 1, look_around_ms) <= 0) continue;
    const int buyer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (buyer < 0) continue;
    if (buyers_ >= buyers_max) {
      send_all(buyer, "REFUSED too many buyers\n");
      ::close(buyer);
      continue;
    }
    ++buyers_;
    std::thread([this, buyer] {
      serve(buyer);
      ::close(buyer);
      --buyers_;
    }).detach();
  }
}

void counter_hall::serve(int buyer) {
  auto port = where_.port(group_);
  cohort::completion_batch done;
  std::string input;
  char bytes[512];
  while (!closing_) {
    pollfd ready{buyer, POLLIN, 0};
    if (::poll(&ready, 1, look_around_ms) <= 0) continue;
    const auto got = ::recv(buyer, bytes, sizeof bytes, 0);
    if (got <= 0) return;
    input.append(bytes, static_cast<std::size_t>(got));
    for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
      if (!send_all(buyer, answer_to(input.substr(0, end), port, done) + "\n")) return;
      input.erase(0, end + 1);
    }
    if (input.size() > line_max) return;
  }
}

std::string counter_hall::answer_to(const std::string& line, cohort::group_port& port, cohort::completion_batch& done) {
  if (line == "PRIMARY") {
    const auto p = where_.primary(group_);
    return "PRIMARY " + std::to_string(cohort::to_index(p.primary)) + " " + std::to_string(p.office) + " " +
           std::to_string(p.executes) + " " + std::to_string(p.accepted) + " " + std::to_string(p.dropped);
  }
  const bool sells = line.starts_with("BUY ") && line.size() > 4 && line.find_first_of(" :", 4) == std::string::npos;
  if (!sells && line != "SOLD") return "REFUSED say BUY ORDER (an order has neither blank nor colon), SOLD or PRIMARY";
  if (sells)
    port.submit(std::as_bytes(std::span(line).subspan(4)), 1);
  else
    port.query({}, cohort::reads::linearizable, 1);
  port.flush();
  const auto answer = await(port, done);
  if (answer.outcome == cohort::outcome::replied) return {reinterpret_cast<const char*>(answer.reply.data()), answer.reply.size()};
  return cohort::refused(answer.outcome) ? std::string("REFUSED ") + to_string(answer.outcome) : "UNKNOWN";
}
