// Buys tickets: tickets-client PORT[,PORT...] ORDER... Asks one node after the other until one knows the outcome; an order that
// is asked for again is not sold again, so nothing is bought twice whatever failed in between.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

/// One line for one line; empty if the node cannot be asked or does not answer within 3 s.
std::string ask(int port, const std::string& line) {
  const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{3, 0};
  ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const auto text = line + "\n";
  if (::connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(s, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size())) {
    char bytes[512];
    for (ssize_t got; (got = ::recv(s, bytes, sizeof bytes, 0)) > 0;) {
      answer.append(bytes, static_cast<std::size_t>(got));
      if (answer.ends_with('\n')) break;
    }
  }
  ::close(s);
  if (!answer.ends_with('\n')) return {};
  answer.pop_back();
  return answer;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> ports;
  std::istringstream list(argc > 1 ? argv[1] : "");
  for (std::string one; std::getline(list, one, ',');) ports.push_back(std::atoi(one.c_str()));
  if (ports.empty() || argc < 3) {
    std::cerr << "tickets-client PORT[,PORT...] ORDER...\n";
    return 2;
  }
  std::size_t next = 0;
  for (int i = 2; i < argc; ++i) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      const auto answer = ask(ports[next % ports.size()], "BUY " + std::string(argv[i]));
      if (answer.starts_with("SEAT") || answer.starts_with("SOLD-OUT")) {
        std::cout << argv[i] << ": " << answer << std::endl;
        break;
      }
      if (std::chrono::steady_clock::now() > end) {
        std::cerr << argv[i] << ": no node knows the outcome (last answer: \"" << answer << "\"); ask again later, it is not sold twice\n";
        return 1;
      }
      ++next;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  return 0;
}
