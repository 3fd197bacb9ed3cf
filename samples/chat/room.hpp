#pragma once

#include <cohort/partitionable.hpp>

#include <compare>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace chat {

/// Place of a line in everybody's history. `number` is one more than the largest its author had seen, so the order of
/// keys agrees with who knew what (Lamport, 1978), and it is the same at all members however the lines came in. Whoever
/// crashed may use a number again that others have seen: never in the same view.
struct line_key {
  std::uint64_t number = 0;
  std::string author;
  cohort::incarnation life = 0;
  cohort::view_number view = 0;
  auto operator<=>(const line_key&) const = default;
};

/// What this member knows: all lines, and who is there. Any thread.
class room {
public:
  explicit room(std::vector<std::string> members) : members_(std::move(members)) {}

  /// A line of ours as a message.
  std::vector<std::byte> compose(const std::string& text);
  /// False if it was known.
  bool add(const line_key& key, const std::string& text);
  std::map<line_key, std::string> lines() const;
  void replace(std::map<line_key, std::string> lines);
  void present(std::vector<std::string> names);
  std::vector<std::string> present() const;
  std::vector<std::string> absent() const;
  const std::string& name_of(cohort::member_id m) const { return members_.at(to_index(m)); }

private:
  const std::vector<std::string> members_;
  mutable std::mutex mutex_;
  std::map<line_key, std::string> lines_;
  std::uint64_t largest_ = 0;
  std::vector<std::string> present_;
};

/// Follows the group on the application's thread and tells `say` what people at a terminal want to know.
class visitor final : public cohort::component_listener, public cohort::mergeable {
public:
  visitor(room& where, std::function<void(const std::string&)> say) : room_(where), say_(std::move(say)) {}

  void deliver(const cohort::delivery_batch& batch) override;
  void component_changed(const cohort::component_view& view) override;
  void checkpoint(cohort::sink& out) const override;
  void restore(cohort::source& in) override;
  void reconcile(std::span<const cohort::merge_side> sides) override;

private:
  room& room_;
  std::function<void(const std::string&)> say_;
};

/// What a terminal may be shown: no control characters, which could make it do things.
std::string shown(const std::string& text);

}  // namespace chat
