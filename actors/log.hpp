#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace cohort::detail {

enum class log_level { trace, debug, info, warn, error };

/// One line per event, for people and for grep: time, level, node, then `key=value` pairs and a sentence. Thread-safe.
class logger {
public:
  /// `level` as in `node_config::log_level`; `file` empty = stderr. Throws `std::runtime_error` with a clear text.
  logger(const std::string& node, const std::string& level, const std::string& file);
  ~logger();

  bool wants(log_level level) const;
  void write(log_level level, std::string_view line);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// True if the text names a level (`off` included).
bool is_log_level(std::string_view text);

}  // namespace cohort::detail
