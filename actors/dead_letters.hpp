#pragma once

// Inside actors/ only: includes CAF.
#include "actors/bulk.hpp"
#include "actors/inbox.hpp"

#include "persistence/letter_box.hpp"

#include <cohort/supervisor.hpp>

#include <map>
#include <mutex>
#include <optional>

namespace cohort::detail {

/// Messages put aside, with what they did: on disk as far as they can be written, else for as long as the process lives.
/// Any thread. Putting one aside does not wait for the disk, or the restart of its receiver would; all other calls wait until
/// what was put aside before is there.
class dead_letters {
public:
  explicit dead_letters(caf::actor_system& system) : system_(system) {}
  /// Where they are kept, once the data directory is this node's; called before there is a child. Without it nothing survives
  /// the process. What replicas put aside before goes there, too.
  void keep_in(const std::filesystem::path& file);

  ~dead_letters() { settle(); }
  /// `then` is called with the letter's number on a thread of the box.
  void put(const std::string& path, inbox_item poison, const life_note& how, std::function<void(std::uint64_t)> then);
  std::vector<dead_letter> list() const;
  /// The letter's child and message; the letter stays until `drop`. `why` tells what is wrong with none.
  std::optional<caf::message> open(std::uint64_t number, std::string& path, std::string& why);
  bool drop(std::uint64_t number);
  /// Of the disk; does not wait.
  std::string trouble() const { return box_->trouble(); }

  /// For readers of a file beside the node. False if the bytes are no letter.
  static bool decode(std::span<const std::byte> bytes, dead_letter& out, std::vector<char>* content = nullptr);

private:
  void settle() const;

  caf::actor_system& system_;
  std::unique_ptr<persistence::letter_box> box_ = std::make_unique<persistence::letter_box>(std::filesystem::path());
  mutable std::mutex mutex_;  // guards the map
  std::map<std::uint64_t, caf::message> messages_;  ///< of this process
  mutable bulk_worker writer_;
};

}  // namespace cohort::detail
