#pragma once

#include "actors/kept_file.hpp"
#include "framework/catalogue/node_table.hpp"
#include "transport/nodes.hpp"

#include <cohort/node.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace cohort::detail {

/// The table of the cluster's nodes as this node knows it; what gives members their names. Any thread.
class known_nodes {
public:
  /// Founders alone; they are numbered in this order.
  explicit known_nodes(const std::vector<member_config>& founders);

  /// "?" if there never was such a node.
  std::string name_of(member_id number) const;
  std::string address_of(member_id number) const;
  catalogue::node_table now() const;
  std::size_t size() const;
  /// The number of a node that is present.
  std::optional<member_id> number_of(std::string_view name) const;

  /// Takes the table if it is newer, writes it down and tells.
  void update(const catalogue::node_table& newer);
  /// Called behind a change, by whoever made it; empty: nobody is told. Calls under way have ended when it returns.
  void on_change(std::function<void()> tell);
  /// From now on changes are written down in this file, with what else a node that is no founder needs to start.
  void keep_in(const std::filesystem::path& file, transport::cluster_nodes facts);

private:
  void write_down();

  mutable std::mutex mutex_;  // guards what follows
  catalogue::node_table table_;
  std::unique_ptr<kept_file> file_;
  transport::cluster_nodes facts_;  ///< without the table
  std::mutex telling_;              // guards what follows
  std::function<void()> tell_;
};

/// What `keep_in` wrote there last. Nothing if there is no such file, or nothing sound in it: `trouble` tells.
std::optional<transport::cluster_nodes> read_known_nodes(const std::filesystem::path& file, std::string& trouble);

}  // namespace cohort::detail
