#pragma once

#include "framework/protocol/inspect.hpp"
#include "framework/simulation/disk.hpp"

#include <memory>
#include <string>
#include <vector>

namespace cohort::sim {

/// One life of one member's process, from its start to its crash.
struct life {
  unsigned node = 0;                ///< also its member number
  std::uint64_t number = 0;         ///< lives are counted over all nodes
  protocol::voter_id id;
  bool durable = true;
  const disk* storage = nullptr;
  member_id member() const { return id.member; }
};

/// An operation of a simulated client.
struct operation {
  enum class kind : std::uint8_t { write, swap, read, other, request };
  enum class outcome : std::uint8_t {
    open,     ///< still under way, or given up: it may have happened, or may happen yet
    done,     ///< answered
    refused,  ///< never sent: it has not happened
    lost,     ///< sent, reported as delivered nowhere
  };
  std::uint64_t number = 0;
  unsigned client = 0, node = 0, key = 0;
  kind what{};
  outcome result = outcome::open;
  std::uint64_t value = 0;          ///< written
  std::uint64_t read = 0;           ///< answered, by swap and read
  protocol::instant called{}, returned = protocol::never;
  std::uint64_t message_hash = 0;   ///< of the bytes submitted; unique for write and swap
  std::vector<std::byte> reply;     ///< of a session's request
  std::uint64_t position = 0;       ///< in the total order; reads: of the last message that was applied
};

/// Watches the world for one property and never influences it. The first violation is kept.
class checker {
public:
  virtual ~checker() = default;
  /// The property's name, as in docs/protocol.md.
  virtual const char* property() const = 0;
  const std::string& broken() const { return broken_; }

  virtual void started(const life&, const disk::found&) {}
  virtual void stopped(const life&) {}
  /// Of a node that does not run; the next life begins with another one.
  virtual void disk_lost(unsigned node) { (void)node; }
  /// A message leaves the process (the driver has held it back for as long as it had to).
  virtual void sent(const life&, const protocol::message&) {}
  virtual void persisted(const life&, const protocol::persist_op&) {}
  /// The core took a message to be multicast; the hash is `hash_payload` of the message alone.
  virtual void submitted(const life&, order, std::uint64_t message_hash) { (void)message_hash; }
  /// A member is asked for other rules of the group, by somebody who saw `based_on` in force there.
  virtual void asked(const life&, std::uint64_t id, const protocol::view_options& wanted, const protocol::view_options& based_on) {
    (void)id, (void)wanted, (void)based_on;
  }
  /// A message that the core took is reported as delivered nowhere (O10).
  virtual void undelivered(const life&, order, std::uint64_t message_hash) { (void)message_hash; }
  /// A batch whose deadline is over is delivered nowhere.
  virtual void expired(const life&, const protocol::deliver_void&) {}
  /// A batch that ends no message, or one that is void because it was interrupted (L11): had, and nothing comes of it.
  virtual void part(const life&, const protocol::lane_name&, sequence, const protocol::message_part&) {}
  /// A batch of any order; a large message as if it had come in one batch, its last one.
  virtual void delivered(const life&, const protocol::deliver_batch&) {}
  virtual void installed(const life&, const protocol::deliver_view&) {}
  virtual void restored(const life&, const protocol::mark&) {}
  virtual void happened(const life&, const protocol::event&) {}
  /// After every pass of the driver.
  virtual void passed(const life&, const protocol::inspector::inside&) {}
  /// The replica has applied everything up to `position` of the total order.
  virtual void state_reached(const life&, std::uint64_t position, std::uint64_t digest) { (void)position, (void)digest; }
  virtual void called(const operation&) {}
  virtual void returned(const operation&) {}
  /// A message of the total order at `position` is this operation.
  virtual void ordered(const operation&, std::uint64_t position) { (void)position; }
  /// From here on the links of `members` processes stay as they are, however bad, and nothing else fails; 0: no longer.
  virtual void steady(unsigned members) { (void)members; }
  /// True time, before every event.
  virtual void time(protocol::instant) {}
  /// The run is over, the group has been healed and is quiet.
  virtual void finished(const std::vector<operation>&) {}

protected:
  void fail(std::string why) {
    if (broken_.empty()) broken_ = std::move(why);
  }

private:
  std::string broken_;
};

using checkers = std::vector<std::unique_ptr<checker>>;

/// All checkers of `check/`.
checkers make_checkers();

}  // namespace cohort::sim
