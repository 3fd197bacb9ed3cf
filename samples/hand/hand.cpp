// One hand on a device: each line read from stdin, at any member, is given to the device by whichever member is in office.
// The device listens at $DEVICE (host:port). It is sent "TOKEN POSITION LINE", answers with a number, and refuses tokens that are
// older than one it has seen with "old".
#include <cohort/node.hpp>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <thread>

class hand final : public cohort::singleton {
  int device_ = -1;
  cohort::fencing_token token_ = 0;

  void started(cohort::fencing_token token) override { token_ = token; }

  // What it throws ends this instance, and another one is given the message again, here or elsewhere.
  void handle(const cohort::delivery& message, cohort::reply& answer) override {
    if (device_ < 0) reach();
    const std::string line(reinterpret_cast<const char*>(message.payload.data()), message.payload.size());
    const auto order = std::to_string(token_) + ' ' + std::to_string(message.position) + ' ' + line + '\n';
    char said[64];
    if (::send(device_, order.data(), order.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("the device is gone");
    const auto size = ::recv(device_, said, sizeof said, 0);
    if (size <= 1) throw std::runtime_error("the device does not answer");
    answer.write(std::string_view(said, static_cast<std::size_t>(size - 1)));
  }

  void reach() {
    const std::string where = std::getenv("DEVICE") ? std::getenv("DEVICE") : "127.0.0.1:7900";
    const auto colon = where.rfind(':');
    addrinfo want{}, *found = nullptr;
    want.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(where.substr(0, colon).c_str(), where.substr(colon + 1).c_str(), &want, &found) != 0)
      throw std::runtime_error("no device is at " + where);
    device_ = ::socket(found->ai_family, SOCK_STREAM, 0);
    const timeval patience{2, 0};
    ::setsockopt(device_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const bool reached = ::connect(device_, found->ai_addr, found->ai_addrlen) == 0;
    ::freeaddrinfo(found);
    if (!reached) throw std::runtime_error("the device at " + where + " does not listen");
  }

public:
  ~hand() override {
    if (device_ >= 0) ::close(device_);
  }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  node.host_singleton("hand", [] { return std::make_unique<hand>(); },
                      cohort::contract{}.with(&cohort::contract::outcome_bound, std::chrono::seconds(30)));
  node.start();
  auto port = node.port("hand");
  cohort::completion_batch answers;
  for (std::string line; std::getline(std::cin, line);) {
    do {  // what was refused had no effect; what is unknown may still be done
      port.submit(std::as_bytes(std::span(line)), 0);
      port.flush();
      while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (refused(answers[0].outcome));
    const auto& r = answers[0].reply;
    std::cout << (answers[0].outcome == cohort::outcome::replied ? std::string(reinterpret_cast<const char*>(r.data()), r.size()) : "unknown")
              << std::endl;
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
