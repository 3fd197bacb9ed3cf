#pragma once

// A name server on loopback that answers what the test says, also what no sound server would.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace transport_nodes {

class name_server {
public:
  struct service {
    unsigned priority = 0, weight = 0;
    std::uint16_t port = 0;
    std::string target;
  };

  name_server();
  ~name_server();
  std::uint16_t port() const { return port_; }
  unsigned asked() const { return asked_; }

  /// From now on; an empty list is "no such name".
  void host(const std::string& name, std::vector<std::string> ipv4);
  void records(const std::string& name, std::vector<service> list);
  /// Questions for this name get no answer.
  void silent(const std::string& name);
  /// Each answer is handed to `change` before it leaves.
  void mangle(std::function<void(std::string&)> change);

private:
  void serve();
  std::string answer(const std::string& question);

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ended_{false};
  std::atomic<unsigned> asked_{0};
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> hosts_;
  std::map<std::string, std::vector<service>> services_;
  std::vector<std::string> silent_;
  std::function<void(std::string&)> mangle_;
  std::thread thread_;
};

}  // namespace transport_nodes
