#pragma once

#include "actors/log.hpp"
#include "actors/member_file.hpp"
#include "framework/catalogue/node_table.hpp"
#include "transport/file_watch.hpp"

#include <cohort/node.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cohort::detail {

/// A source of addresses, as `node_config::discover` names it.
struct discovery_source {
  std::filesystem::path file;  ///< `file:PATH`
  std::string service;         ///< `srv:NAME`; exactly one of the two is set
};

/// Throws `node_error` if the text names none.
discovery_source parse_source(std::string_view text);

/// Whether the address of a member is left to the sources alone.
inline bool is_discovered(std::string_view address) { return catalogue::is_left_to_sources(address); }
/// Whether it does not name one host and port.
inline bool is_elsewhere(std::string_view address) { return is_discovered(address) || address.starts_with("srv:"); }

/// Where the member `name` may be found, by the configuration alone. Throws `node_error`.
std::vector<transport::place> configured_places(const node_config& config, const member_config& member);

/// Watches the files a configuration names and proposes what they say. A hint, never an authority: who is a member is
/// decided elsewhere, and who answers at an address by HELLO.
///
/// A file that cannot be read or parsed changes nothing, nor does an entry for its member: what it said last stays. A
/// member that is no longer in a file loses what that file said of it. All of that is logged, with file and line.
class discovery {
public:
  /// Called on the threads of the watches, one call at a time.
  using proposer = std::function<void(const std::string& name, std::vector<transport::place> places)>;

  /// `nodes`: names of the cluster's nodes; this one may be among them.
  discovery(const node_config& config, const std::vector<std::string>& nodes, logger& log, proposer propose);
  /// Afterwards nothing is proposed any more.
  ~discovery();
  /// These are the cluster's nodes from now on. What a file has said of one that is new is proposed now. Any thread.
  void nodes_are(const std::vector<std::string>& nodes);

private:
  using hints = std::map<std::string, std::vector<transport::place>>;
  void read(std::size_t source, const std::string& file, const transport::file_reading& what);
  void publish();
  void take(const std::vector<std::string>& nodes);

  std::string self_;
  logger& log_;
  const proposer propose_;
  std::mutex mutex_;  // guards what follows, but the watches
  std::vector<std::string> members_;  ///< without the node itself
  std::vector<hints> by_source_;      ///< also of names that are no member's yet
  hints proposed_;
  std::vector<std::unique_ptr<transport::file_watch>> watches_;
};

}  // namespace cohort::detail
