#pragma once

#include "persistence/checkpoints.hpp"
#include "persistence/directory.hpp"

#include <atomic>
#include <thread>

namespace cohort::persistence {

/// What an operation counts for in queues.
std::size_t operation_bytes(const protocol::persist_op& op);

/// The journal behind the interface: the protocol thread appends to a queue, the journal thread commits what waits.
/// Members are grouped by who may touch them.
class journal_writer final : public journal {
public:
  journal_writer(options wanted, callbacks calls, directory_lock lock, std::unique_ptr<store> disk, tenants who);
  ~journal_writer() override;
  /// Enters groups that are new to the directory, lists checkpoints, starts the thread. Empty, or why not.
  std::string start();

  const persistence::identity& identity() const override { return tenants_.owner; }
  void add(const group_options& group, told done) override;
  std::vector<held_group> held() const override;
  void forget(std::uint32_t group, const std::string& name, told done) override;
  group_contents read_group(std::uint32_t group, recovery_reader& into) override;
  bool append(std::uint32_t group, std::span<protocol::persist_op> ops) override;
  void mark_founded(std::uint32_t group, std::function<void()> done) override;
  std::shared_ptr<checkpoint_writer> store_checkpoint(std::uint32_t group, const protocol::mark& at, bool on_disk) override;
  std::optional<checkpoint_info> newest_checkpoint(std::uint32_t group) override;
  protocol::payload load_chunk(std::uint32_t group, log_index index, std::uint32_t number, std::string* damage) override;
  statistics stats() const override;

private:
  struct queued {
    std::uint32_t group = 0;
    protocol::persist_op op;
  };
  struct founding {
    std::uint32_t group = 0;
    std::function<void()> done;
  };
  /// A group that comes or goes.
  struct tenancy {
    group_options group;
    told done;
    std::string refusal;
  };
  struct doomed {
    std::uint32_t group = 0;
    log_index index = 0;
    bool operator==(const doomed&) const = default;
  };
  /// A checkpoint that arrives in the operation stream.
  struct arriving {
    log_index index = 0;
    std::map<std::uint32_t, protocol::payload> memory;  ///< volatile groups
  };
  /// What one transaction did beyond the file, to be made true when it has committed.
  struct effects {
    std::size_t operations = 0;
    std::size_t foundings = 0;
    std::size_t entered = 0;
    std::vector<std::uint32_t> marked, left;  ///< groups: the file says that they leave, nothing is left of them
    std::map<std::uint32_t, protocol::journal_position> durable;
    std::vector<std::pair<std::uint32_t, checkpoint_info>> installed;
    std::vector<std::pair<checkpoint_queue*, std::size_t>> taken;
    std::vector<checkpoint_queue*> completed;
    std::optional<doomed> gone;
    bool wrote = false;
  };

  // ---- any thread
  bool keep_in_memory(std::uint32_t group, std::span<protocol::persist_op> ops);
  void wake();
  bool takes(std::uint32_t group) const { return !departing_[group] && tenants_.groups.contains(group); }  ///< under `mutex_`
  std::filesystem::path data_file() const { return options_.directory / layout::data_file; }

  // ---- journal thread
  void run();
  void linger();
  void collect();
  bool has_work() const;
  bool commit_pass();
  effects execute(std::size_t bytes_max);
  void execute(queued& q, effects& e);
  void execute_checkpoints(effects& e);
  void execute_entries(effects& e);
  void execute_departures(effects& e);
  void make_tenancies_true(effects& e);
  void begin_departures(std::vector<tenancy> all);
  void refuse_tenancies(const std::string& why);
  void execute_trims(effects& e);
  void make_true(effects& e);
  void announce(const std::map<std::uint32_t, protocol::journal_position>& durable);
  void flush_late();
  void check_quota();
  void on_failure(const store_failure& f);
  bool recover_from_full();
  void stop_for_good(const std::string& text);
  void fail_checkpoints(const std::string& text);
  void end_checkpoints();

  // Set before the thread starts, then constant.
  options options_;
  callbacks calls_;
  directory_lock lock_;
  std::unique_ptr<store> store_;

  mutable std::mutex mutex_;

  // Changed by the journal thread under `mutex_`, so that it may read without.
  tenants tenants_;
  std::map<std::uint32_t, std::string> damage_;

  // Under `mutex_`.
  std::condition_variable work_;
  std::vector<queued> waiting_;
  std::vector<founding> waiting_foundings_;
  std::vector<doomed> waiting_doomed_;
  std::vector<tenancy> waiting_entries_, waiting_departures_;
  std::array<bool, layout::groups_max> departing_{};  ///< groups of which nothing is taken any more
  std::vector<std::shared_ptr<checkpoint_queue>> waiting_checkpoints_;
  std::size_t waiting_bytes_ = 0;
  std::array<protocol::journal_position, layout::groups_max> appended_{};  ///< newest position taken
  std::array<bool, layout::groups_max> fresh_{};  ///< nothing was appended since the start
  std::map<std::uint32_t, arriving> volatile_arriving_;
  bool woken_ = false, pressing_ = false, stop_ = false, overflow_ = false, refusing_ = false, ended_ = false;
  std::string trouble_;
  statistics counted_;
  std::array<std::uint32_t, 512> latencies_us_{};
  mutable std::chrono::steady_clock::time_point used_at_{};
  mutable std::uint64_t used_bytes_ = 0;

  // Any thread, guards itself.
  checkpoint_catalogue catalogue_;

  // Journal thread only.
  std::vector<queued> batch_;
  std::size_t next_ = 0;  ///< first operation of `batch_` not yet committed
  std::vector<founding> foundings_;
  std::vector<tenancy> entries_, departures_;  ///< groups that come, and those of which the file still holds something ...
  std::array<bool, layout::groups_max> marked_{};  ///< ... and says that they leave
  std::vector<std::shared_ptr<checkpoint_queue>> checkpoints_;
  std::map<std::uint32_t, arriving> arriving_;
  std::array<protocol::journal_position, layout::groups_max> trim_below_{};
  std::array<bool, layout::groups_max> trimming_{};
  std::vector<doomed> doomed_;
  std::map<std::uint32_t, protocol::journal_position> unannounced_;  ///< one_flush: committed, not flushed
  bool unflushed_ = false, stopping_ = false;
  enum class condition : std::uint8_t { well, full, stopped } condition_ = condition::well;
  std::chrono::milliseconds retry_after_{0};

  std::thread thread_;
};

}  // namespace cohort::persistence
