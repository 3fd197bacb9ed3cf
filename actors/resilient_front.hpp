#pragma once

// Inside actors/ only: includes CAF.
#include "actors/group_actor.hpp"
#include "actors/resilient_process.hpp"

#include "framework/resilience/replicated.hpp"

#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace cohort::detail {

/// From the replica in office.
struct released_effects {
  fencing_token activation = 0;
  std::vector<resilience::effect> effects;
};
struct acks_gathered {};

/// A replicated process as an actor of this node: submits what it is given to the group and answers what the group answered;
/// where the process is active, hands its effects to their receivers and the receipts to the group.
class resilient_front final : public caf::event_based_actor {
public:
  resilient_front(caf::actor_config& config, std::shared_ptr<resilient_home::impl> home, std::string name,
                  std::shared_ptr<const group_entry> group, std::function<group_port(port_wake)> open);

  const char* name() const override { return "cohort.resilient"; }

private:
  struct asked {
    caf::response_promise promise;
    std::uint64_t receipt = 0;  ///< not 0: what the sender wants to hear
  };
  struct under_way {
    resilience::effect what;
    bool received = false;
  };
  struct lane {
    std::deque<under_way> messages;  ///< those in front are not acknowledged; numbers have no gaps
    std::size_t given = 0;           ///< of them, to the receiver
    std::uint64_t oldest = 0;        ///< at the last look
  };

  caf::behavior make_behavior() override;
  caf::response_promise take(const resilience::message& in);
  void replay(const resilience::message& in);
  void completed(const completion& c);
  void answer(asked& who, const completion& c);
  void released(released_effects& r);
  void give(const std::string& to, lane& of);
  void acknowledged(const std::string& to, std::uint64_t number);
  void undelivered(const std::string& to, std::uint64_t number, const caf::error& why);
  void submit_acks();
  void look();
  void arm();
  void forget();
  bool in_office() const;

  const std::shared_ptr<resilient_home::impl> home_;
  const std::string name_;
  const std::shared_ptr<const group_entry> group_;
  const std::function<group_port(port_wake)> open_;
  group_port port_;
  completion_batch done_;
  std::uint64_t next_tag_ = 1;
  std::unordered_map<std::uint64_t, asked> asked_;

  fencing_token activation_ = 0;  ///< to which all below belongs
  std::map<std::string, lane> lanes_;
  std::map<std::string, std::uint64_t> acks_;  ///< not submitted yet
  std::unordered_map<std::uint64_t, std::vector<resilience::acknowledgement>> acks_under_way_;  ///< by tag
  bool gathering_ = false, timer_ = false;
};

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::released_effects)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::acks_gathered)
