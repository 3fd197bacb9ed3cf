#pragma once

#include "framework/simulation/explore/member.hpp"

#include <deque>
#include <unordered_map>

namespace cohort::sim::explore {

/// What a member can do next, looked at once per member state.
struct abilities {
  bool up = false, elect = false, suspect = false, ended = false, lapse = false, expire = false, submit = false, leads = false, complete = false, new_view = false;
  std::uint32_t unsynced = 0;
};

struct step_result {
  std::uint32_t next = 0;
  bool idle = false;  ///< neither the member nor anything else has changed
  std::vector<std::uint32_t> sent;
};

/// Every member and every letter that was met, by number. A member's step depends on itself and its input alone, so each is
/// executed by the production core once and looked up ever after.
class known_members {
public:
  explicit known_members(const scope& s) : scope_(s), options_(options_of(s)) {}

  std::uint32_t name(std::unique_ptr<member> m);
  std::uint32_t name(const letter& l);
  const step_result& step_of(std::uint32_t who, input what);

  const member& at(std::uint32_t number) const { return *members_[number]; }
  abilities can(std::uint32_t number) const { return abilities_[number]; }
  const letter& letter_at(std::uint32_t number) const { return letters_[number]; }
  std::size_t size() const { return members_.size(); }
  std::size_t letters() const { return letters_.size(); }
  const protocol::core_options& options() const { return options_; }

private:
  struct fingerprint_hash {
    std::size_t operator()(const protocol::fingerprint& f) const { return f.high ^ f.low; }
  };

  const scope& scope_;
  const protocol::core_options options_;
  std::vector<std::unique_ptr<member>> members_;
  std::vector<abilities> abilities_;
  std::unordered_map<protocol::fingerprint, std::uint32_t, fingerprint_hash> member_names_;
  std::deque<letter> letters_;
  std::unordered_map<protocol::fingerprint, std::uint32_t, fingerprint_hash> letter_names_;
  std::unordered_map<std::uint64_t, step_result> steps_;  ///< by member and input
};

}  // namespace cohort::sim::explore
