#pragma once

#include "framework/resilience/state.hpp"

#include <cohort/primary_backup.hpp>

#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// A resilient process that a group holds: its journal is the group's log, its checkpoints are the group's. The member in
/// office executes it (framework/primary_backup), which makes an activation: it begins at a place of the total order, with
/// the view in which the member took office, and ends where another one begins. That view makes its fencing token.
///
/// R7  Records and acknowledgements of an activation are dropped where another one is in office (A15).
/// R8  An effect leaves only at the member in office, from the state all have agreed upon, with the activation's token.
/// R9  An input that was put aside, since it ended processes or threw each time, is refused wherever it comes again, until it is
///     pardoned: which ones, is part of the agreed state. One that threw only if it has a number: without, it is another input.
namespace cohort::resilience {

constexpr fencing_token activation_of(view_number office) { return office + 1; }

/// What is submitted to the group: an input, or what receivers have acknowledged to an activation.
std::string input_request(const message& in);
/// An input that was put aside is executed again when it comes again.
std::string pardon_request(const message& in);
/// An input that was put aside, once more: also where its sender has gone on without it (R10).
std::string replay_request(const message& in);
std::string acks_request(fencing_token activation, const std::vector<acknowledgement>& acks);

enum class outcome_kind : std::uint8_t {
  replied,    ///< applied, now or before; the reply follows
  outdated,   ///< applied before, and the reply is not kept any more
  gap,        ///< not taken: a message before it is missing
  full,       ///< not taken: too much waits for its receivers, or too many senders are known
  failed,     ///< not taken: the machine threw; what, follows
  malformed,  ///< not taken: it is no request
  deadly,     ///< not taken: it has ended the whole process too often; what is known of that, follows
  refused,    ///< never taken, however often it comes: it was put aside before; why, follows
};
/// The group's answer to a request.
struct request_answer {
  outcome_kind what = outcome_kind::malformed;
  std::string_view body;
};
request_answer read_answer(std::span<const std::byte> bytes);
/// What is submitted as an input, also to be replayed, else nothing. Views into the bytes.
std::optional<message> peek_input(std::span<const std::byte> request);

/// Called on the replica's thread.
struct replicated_calls {
  /// At the member in office: these may leave.
  std::function<void(fencing_token activation, std::vector<effect>&& effects)> release;
  /// An input has thrown so often, or has `ended` so many processes, that it is given up.
  std::function<void(const message& in, bool ended, unsigned times, const std::string& why)> put_aside;
  /// At the member in office: the agreed state as it is, and whether the activation begins.
  std::function<void(fencing_token activation, const process_state& state, bool begins)> tell;
};

class replicated_process final : public primary_service {
public:
  /// `poison_after`  executions of one input that throw, in one office.
  replicated_process(resilient_factory make, memory_limits how, unsigned poison_after, replicated_calls calls);

  void execute(const delivery& request, state_update& change, reply& answer) override;
  void perform(std::span<const std::byte> change, reply& answer) override;
  void apply(std::span<const std::byte> change) override;
  /// An input that changes nothing, answered from the agreed state; one that would is answered as `malformed`.
  void query(std::span<const std::byte> question, reply& answer) const override;
  void checkpoint(sink& out) const override;
  void restore(source& in) override;
  void promoted(view_number office) override { activation_ = activation_of(office); }
  void act(view_number office) override;
  after_failure failed(const delivery& request, unsigned times, const std::string& why, state_update& change, reply& answer) override;
  after_failure ended_process(const delivery& request, unsigned times, state_update& change, reply& answer) override;

  const process_state& state() const { return state_; }

private:
  void take(const message& in, wall_time now, state_update& change, reply& answer) const;
  bool take_verdict(std::span<const std::byte> change);
  struct condemned {
    std::uint64_t digest = 0;
    bool ended = false;  ///< whole processes; else it threw
  };
  const condemned* refused(const message& in) const;

  const resilient_factory make_;
  const memory_limits limits_;
  const unsigned poison_after_;
  const replicated_calls calls_;
  process_state state_;
  std::deque<condemned> refused_;  ///< inputs (R9), oldest first
  fencing_token activation_ = 0;  ///< of the executing copy
  fencing_token acted_for_ = 0;   ///< of the agreed copy: the activation it released effects for
};

}  // namespace cohort::resilience
