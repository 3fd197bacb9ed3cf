#pragma once

// Inside transport/client/ only: includes KJ and the gateway's schema through its .cpp files.
#include <cohort/client.hpp>

#include <kj/async-io.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace cohort::client_detail {

struct wires;            ///< an open connection, in wires.hpp
struct gateway_answer;
struct gateway_stream;

/// What is known of one connection: whether anything is awaited over it, and when something came.
struct line_use {
  explicit line_use(kj::Timer& t) : clock(t), heard(t.now()) {}
  kj::Timer& clock;
  kj::TimePoint heard;
  unsigned awaited = 0;  ///< answers
  unsigned writes = 0;   ///< that the connection has not taken yet
  bool pinging = false;
};

/// An answer is awaited as long as this is there.
class awaiting {
public:
  explicit awaiting(std::shared_ptr<line_use> use) : use_(std::move(use)) {
    if (use_->awaited++ == 0) use_->heard = use_->clock.now();
  }
  awaiting(awaiting&&) = default;
  awaiting& operator=(awaiting&&) = delete;
  ~awaiting() {
    if (use_) --use_->awaited;
  }

private:
  std::shared_ptr<line_use> use_;
};

/// Whether a node has a part in the client's group.
enum class part : std::uint8_t { unknown, has, none };

/// One node's gateway.
struct place {
  std::string address;
  std::string node;              ///< its member; empty: not known yet
  std::shared_ptr<wires> open;   ///< null: not connected
  bool connecting = false;
  part of_group = part::unknown;  ///< as it said last
  unsigned failures = 0;         ///< in a row
  kj::TimePoint closed_until = kj::origin<kj::TimePoint>();  ///< the breaker: left alone until then
};
using place_ptr = std::shared_ptr<place>;

/// The gateways of a group: finds them, connects, prefers the leader's, leaves those alone that failed (circuit breaker).
class places {
public:
  places(const client_options& how, kj::AsyncIoContext& io, std::mt19937_64& random);

  /// A connected one that is fit to be asked: the leader's if it is, else any; with `but`, another than that. Null: none at the
  /// moment, and connections are being made. One of a node without a part in the group is chosen only if nobody else is left who may
  /// have one: then its refusal is the answer.
  place_ptr choose(const place* but = nullptr);
  /// Resolved soon after a connection was made, or could not be.
  kj::Promise<void> changed();
  void failed(const place_ptr& p, bool disconnect);
  /// To be kept with whatever waits for an answer of `p`, which is connected: if it falls silent, the connection breaks.
  awaiting await(place& p);
  void worked(place& p) { p.failures = 0; }
  /// It is not the one to ask now (no quorum's leader, ...): look anew who leads.
  void doubt() { doubtful_ = true; }
  /// It refused for having no such group. True if that is news: another one is to be asked.
  bool has_no_part(place& p);

private:
  void connect(const place_ptr& p);
  kj::Promise<void> greet(place_ptr p);
  kj::Promise<void> look(place_ptr p);
  void add(const std::string& address);
  void tell();
  void keep_listening();
  void listen();
  void ping(const place_ptr& p);

  const client_options how_;
  kj::Network& network_;
  kj::Timer& timer_;
  std::mt19937_64& random_;
  std::vector<place_ptr> all_;
  std::string leader_;           ///< its node
  std::size_t turn_ = 0;
  bool doubtful_ = false;
  bool listening_ = false;
  kj::TimePoint listened_ = kj::origin<kj::TimePoint>();
  kj::TimePoint looked_ = kj::origin<kj::TimePoint>();
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> waiting_;
  struct quiet : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&&) override {}
  } quiet_;
  kj::TaskSet tasks_;
};

}  // namespace cohort::client_detail
