#pragma once

// Nodes of one group as threads of this process: loopback ports, directories of their own, real disks.
#include "actors/node_impl.hpp"

#include <cohort/node.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace cohort::test {

/// Waits until `true_now` holds; false after `bound`.
template <class Predicate>
bool eventually(Predicate true_now, std::chrono::milliseconds bound = std::chrono::seconds(15)) {
  auto end = std::chrono::steady_clock::now() + bound;
  while (!true_now()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// So many ports of loopback on which nobody listens.
std::vector<int> free_ports(int count);

/// A list of all messages, in order; what a replica of it holds can be compared. "boom", applied or found in a
/// checkpoint, makes it throw as often as `explosions` says; "where?" as a query answers the number of messages.
struct journal_of_messages {
  std::mutex mutex;
  std::vector<std::string> messages;
  std::vector<std::thread::id> threads;
  int explosions = 0;
  int lives = 0;
  int restores = 0;  ///< of a state that was not empty
};

class recorder final : public state_machine {
public:
  explicit recorder(std::shared_ptr<journal_of_messages> out) : out_(std::move(out)) {
    std::lock_guard guard(out_->mutex);
    out_->messages.clear();
    ++out_->lives;
  }
  void apply(const delivery& d, reply& answer) override;
  void query(std::span<const std::byte> question, reply& answer) const override;
  void checkpoint(sink& out) const override;
  void restore(source& in) override;

private:
  std::shared_ptr<journal_of_messages> out_;
};

/// N nodes, each startable and killable.
class cluster {
public:
  using hosting = std::function<void(node& n, int i)>;
  /// Each node hosts "room": a recorder with contract `how`, or what `host` says.
  cluster(int size, contract how, hosting host = {});
  ~cluster();

  void start(int i, std::uint64_t epoch = 0, restart_limits limits = {});
  void start_all(std::uint64_t epoch = 0) {
    for (int i = 0; i < size_; ++i) start(i, epoch);
  }
  /// Ends without drain or goodbye.
  void kill(int i);
  void stop(int i);
  void wipe(int i);

  node& at(int i) { return *nodes_[i]; }
  bool running(int i) const { return nodes_[i] != nullptr; }
  std::shared_ptr<journal_of_messages> seen(int i) { return seen_[i]; }
  std::vector<std::string> messages(int i) {
    std::lock_guard guard(seen_[i]->mutex);
    return seen_[i]->messages;
  }
  bool serves(int i) { return nodes_[i] && nodes_[i]->status("room").primary && nodes_[i]->status("room").active; }
  bool all_serve() {
    for (int i = 0; i < size_; ++i)
      if (nodes_[i] && !serves(i)) return false;
    return true;
  }
  std::string group(int g) const { return g == 0 ? "room" : "room-" + std::to_string(g); }
  bool all_groups_serve();
  /// Passes of group cores at node `i` so far.
  std::uint64_t passes(int i) const { return nodes_[i]->internals().passes(); }
  outcome submit_to(int i, int g, const std::string& text);
  /// Submits one message and waits for what became of it.
  outcome submit(int i, const std::string& text, std::string* reply = nullptr);
  /// Submits until it was taken.
  outcome insist(int i, const std::string& text);
  outcome ask(int i, const std::string& question, reads how, std::string& answer);

  /// From the next start on all nodes, or this one only, have gateways for clients; where.
  std::vector<std::string> serve_clients(int only = -1);

  std::vector<std::string> witnesses;  ///< of the nodes' configurations
  std::chrono::milliseconds stop_limit = node_config().stop_limit;
  int groups = 1;                      ///< hosted: "room", and others whose replicas nobody looks at

private:
  int size_;
  contract how_;
  hosting host_;
  std::filesystem::path folder_;
  std::vector<member_config> members_, gateways_;
  std::vector<std::shared_ptr<journal_of_messages>> seen_;
  std::vector<std::unique_ptr<node>> nodes_;
};

}  // namespace cohort::test
