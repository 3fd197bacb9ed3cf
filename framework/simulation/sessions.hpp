#pragma once

#include "framework/simulation/world.hpp"

#include <cohort/session.hpp>

#include <map>
#include <string>
#include <vector>

namespace cohort::sim {

/// What sessions promise (F2 to F4), held against what replicas do and what callers are told: each request is executed at one
/// position of the total order at most, its answer is the one of that execution however often it is given, and what was given up
/// is never executed.
class session_ledger final : public checker {
public:
  const char* property() const override { return "F2 exactly once"; }
  using checker::fail;
  /// A caller's request, told apart from all others by its bytes.
  void requested(std::span<const std::byte> payload);
  /// A replica applied a message, maybe once more while it redoes its log.
  void executed(std::span<const std::byte> payload, std::uint64_t position, std::span<const std::byte> answer);
  void answered(std::span<const std::byte> payload, const session_reply& told);
  void given_up(std::span<const std::byte> payload);

private:
  struct request {
    std::uint64_t number = 0;
    std::uint64_t position = 0;  ///< 0: not executed
    std::vector<std::byte> answer;
    bool never = false;
  };
  std::map<std::vector<std::byte>, request> requests_;
};

/// Another workload's application behind a table of sessions, as a node puts it there.
class session_workload final : public workload {
public:
  session_workload(const workload& app, session_ledger& ledger) : app_(app), ledger_(ledger) {}
  std::unique_ptr<state_machine> make() const override;
  std::vector<std::byte> write(unsigned key, std::uint64_t value) const override { return app_.write(key, value); }
  std::vector<std::byte> swap(unsigned key, std::uint64_t value) const override { return app_.swap(key, value); }
  std::vector<std::byte> question(unsigned key) const override { return app_.question(key); }
  std::vector<std::byte> other(random& chance) const override { return app_.other(chance); }
  std::optional<std::uint64_t> swapped(std::span<const std::byte> reply) const override { return app_.swapped(reply); }
  std::optional<std::uint64_t> answered(std::span<const std::byte> reply) const override { return app_.answered(reply); }
  std::uint64_t digest(const state_machine& machine) const override;

private:
  const workload& app_;
  session_ledger& ledger_;
};

/// Callers with sessions: they send copies of a request under one number through any member until it is answered, give some up,
/// pause until their session is over, and now and then send a copy again that was answered long ago.
class session_clients {
public:
  session_clients(world& w, const workload& app, session_ledger& ledger, unsigned first_client);
  void begin();
  bool owns(const operation& o) const { return o.client >= first_client_; }
  void returned(const operation& o);
  /// No new requests; those that are open go on.
  void finish() { finishing_ = true; }
  bool idle() const;

private:
  struct request {
    std::uint64_t number = 0;
    std::vector<std::byte> payload;
    bool cancel = false;
    unsigned copies = 0;
  };
  struct caller {
    session_name name;
    session_limits limits;
    std::uint64_t next = 1, eras = 0;
    std::map<std::uint64_t, request> open;
    request old;  ///< answered before
  };
  enum class asked : std::uint8_t { open, call, cancel, old_call };
  struct copy {
    unsigned caller = 0;
    std::uint64_t era = 0, number = 0;
    asked what{};
    unsigned nth = 0;  ///< copy of this request; only the newest is followed by another
  };

  void work(unsigned c);
  void renew(unsigned c);
  void send(unsigned c, std::uint64_t number);
  void send(const copy& what, std::vector<std::byte> bytes);
  void again(const copy& what, protocol::duration after);
  void settled(const copy& what, const session_reply& told);

  world& world_;
  const workload& app_;
  session_ledger& ledger_;
  const unsigned first_client_;
  random chance_;
  std::vector<caller> callers_;
  std::map<std::uint64_t, copy> copies_;  ///< by operation
  std::uint64_t values_ = std::uint64_t{1} << 40;
  bool finishing_ = false;
};

}  // namespace cohort::sim
