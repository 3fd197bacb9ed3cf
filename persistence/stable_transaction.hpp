#pragma once

#include "persistence/stable_copy.hpp"

#include <map>
#include <string>
#include <vector>

namespace cohort::persistence {

/// One transaction on one copy, made of batches; its rows are then written to the other copy as they are. Knows stores,
/// logs, tokens and quotas. Begun and ended by its owner.
class stable_transaction {
public:
  stable_transaction(stable_copy& on, const stable_layout::commit_record& before, std::uint64_t store_bytes_max);

  /// Refused before anything of the batch was done, but for `full`, after which the transaction has to be given up.
  stable_result apply(const stable_batch& batch);
  /// Writes what was kept back, and returns the commit record.
  stable_layout::commit_record finish();
  bool changed() const { return !rows_.empty() || !summaries_.empty(); }

  struct row {
    std::string key;
    std::optional<std::string> stored;  ///< absent: erased
  };
  const std::vector<row>& rows() const { return rows_; }

private:
  struct damaged {
    std::string key;
  };
  std::optional<stable_layout::record> sound(const std::string& key);
  void write(std::string_view store, const std::string& key, std::string_view bytes);
  void remove(std::string_view store, const std::string& key);
  stable_layout::summary& summary_of(std::string_view store);
  stable_log_range& range_of(std::string_view store, std::string_view log);
  stable_result check(const stable_batch& batch);
  void execute(const stable_batch::op& what);
  void write_row(const std::string& key, std::string_view bytes, std::uint64_t sum_before, bool was_there);

  stable_copy& on_;
  stable_layout::commit_record next_;
  const std::uint64_t store_bytes_max_;
  std::vector<row> rows_;
  std::map<std::string, stable_layout::summary, std::less<>> summaries_;
  std::map<std::string, std::pair<std::string, stable_log_range>, std::less<>> ranges_;  ///< by key: store, range
};

/// Empty, or what is wrong with the names and sizes in a batch.
std::string check_bounds(const stable_batch& batch);

}  // namespace cohort::persistence
