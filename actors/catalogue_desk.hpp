#pragma once

#include "actors/bulk.hpp"
#include "actors/group_entry.hpp"
#include "actors/known_nodes.hpp"

#include "framework/catalogue/machine.hpp"

#include <cohort/group_port.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace cohort::detail {

/// The group that holds the catalogue. It is hosted by every node of a cluster that keeps one, beside the application's groups,
/// and reached by nobody but this desk.
inline constexpr const char* catalogue_group = "cohort.catalogue";

/// Its entry, which replicates the table and tells `nodes` of it.
std::shared_ptr<group_entry> catalogue_entry(const transport::cluster_nodes& founders, std::shared_ptr<known_nodes> nodes,
                                             std::function<void(const catalogue::group_table&)> groups_changed);

/// Brings changes into the catalogue, one after the other. Any thread.
class catalogue_desk {
public:
  using open_port = std::function<group_port()>;
  /// Says what a command lacks, on the desk's thread before it is given. Nothing: it is whole; an empty text: not known yet; any other
  /// refuses it.
  using completion = std::function<std::optional<std::string>(catalogue::command&)>;

  explicit catalogue_desk(open_port open) : open_(std::move(open)) {}
  /// From now on nothing is done, and what is under way ends with the next answer. The destructor drops what has not begun.
  void stop() { ending_.store(true, std::memory_order_relaxed); }
  ~catalogue_desk() { stop(); }

  /// Ready within about 10 s, also where no quorum is; broken if the desk was dropped first. What is done is told once `seen` holds,
  /// or a few seconds later.
  std::future<change_result> ask(catalogue::command what, completion complete = {}, std::function<bool()> seen = {});

private:
  change_result carry_out(catalogue::command& what, const completion& complete);

  const open_port open_;
  std::atomic<bool> ending_{false};
  bulk_worker worker_;
};

}  // namespace cohort::detail
