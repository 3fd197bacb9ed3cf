#pragma once

// Endpoints on loopback in one process and on one loop, and a raw socket to be rude with.

#include "transport/endpoint.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace transport_nodes {

using namespace cohort;
using namespace cohort::transport;
namespace protocol = cohort::protocol;

/// Runs the loop until `done`, at most `limit`. False if time ran out.
bool run_until(loop& l, const std::function<bool()>& done,
               std::chrono::milliseconds limit = std::chrono::milliseconds(5000));
/// Runs the loop for a while, to see that something does not happen.
void run_for(loop& l, std::chrono::milliseconds how_long);

/// A port nobody listens on right now.
std::uint16_t free_port();

/// One node's endpoint that writes down what it is told.
class node : public endpoint_handler {
public:
  struct got {
    std::uint32_t group;
    protocol::voter_id from;
    protocol::message what;
  };
  struct up {
    std::uint32_t group;
    protocol::voter_id peer;
    bool blank;
  };
  struct down {
    member_id peer;
    bool reset;
    instant when;
  };

  node(loop& l, endpoint_config c) : config(std::move(c)), loop_(l) {}
  std::string start();
  /// Like kill -9 and a restart: another process, the same address.
  std::string restart();
  void kill() { link.reset(); }

  void on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) override;
  void on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) override;
  void on_group_down(std::uint32_t group, member_id peer) override { parted.push_back({group, peer}); }
  void on_link_down(member_id peer, bool reset) override;
  void on_event(const link_event& what) override { events.push_back(what); }

  bool linked(unsigned m) const { return link && link->linked(member_id{static_cast<std::uint16_t>(m)}); }
  std::size_t count(link_event_kind kind) const;
  /// Text of the newest event of this kind; empty if none.
  std::string text(link_event_kind kind) const;

  endpoint_config config;
  std::unique_ptr<endpoint> link;
  std::deque<got> messages;
  std::vector<up> ups;
  std::vector<down> downs;
  std::vector<std::pair<std::uint32_t, member_id>> parted;
  std::vector<link_event> events;
  std::function<void(const got&)> on_got;
  bool keep = true;  ///< messages

private:
  loop& loop_;
};

/// Configurations of `n` nodes n1, n2, ... that know each other, with one group "g" at index 1.
std::vector<endpoint_config> cluster(std::size_t n);

/// A plain client socket, blocking with a time limit.
class raw_socket {
public:
  explicit raw_socket(std::uint16_t port);
  ~raw_socket();
  raw_socket(const raw_socket&) = delete;
  bool send(std::span<const std::byte> bytes);
  bool send(const std::string& text) { return send(std::as_bytes(std::span(text))); }
  /// Non-blocking: true once the other side has closed; takes and counts what it sent.
  bool closed();
  std::string received;
  int fd = -1;
};

}  // namespace transport_nodes
