#include "persistence/stable.hpp"

#include "persistence/stable_pair.hpp"
#include "persistence/stable_transaction.hpp"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

namespace cohort::persistence {
namespace {

constexpr std::size_t transaction_bytes = 8u << 20;

/// Whether there can be a record of that name.
bool possible(std::string_view name, std::size_t bytes_max) { return !name.empty() && name.size() <= bytes_max; }

/// The storage behind the interface: one thread writes, and mends.
class stable_storage final : public stable_store {
public:
  stable_storage(const stable_options& options, std::unique_ptr<stable_pair> pair)
      : options_(options), pair_(std::move(pair)), trouble_(pair_->trouble), copies_(pair_->count()) {
    thread_ = std::thread([this] { run(); });
  }
  ~stable_storage() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    thread_.join();
  }

  void commit(stable_batch batch, std::function<void(const stable_result&)> done) override;
  stable_result commit(stable_batch batch) override;
  std::optional<std::string> get(std::string_view store, std::string_view key) override;
  void scan(std::string_view store, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) override;
  stable_log_range log_range(std::string_view store, std::string_view log) override;
  void read_log(std::string_view store, std::string_view log, std::uint64_t from,
                const std::function<bool(std::uint64_t, std::string_view)>& visit) override;
  std::uint64_t token(std::string_view store) override;
  stable_scrub scrub() override;
  stable_statistics stats() const override;

private:
  struct waiting {
    stable_batch batch;
    std::function<void(const stable_result&)> done;
    stable_result result;
    bool decided = false;
  };
  void run();
  void commit_all(std::vector<waiting>& all);
  bool attempt(std::vector<waiting>& all);
  bool failed(std::size_t copy, const store_failure& f);
  stable_scrub scrub_now();
  void trouble(const std::string& text);
  std::size_t copies_in_use() {
    const std::shared_lock lock(pair_mutex_);
    return pair_->count();
  }
  std::optional<std::string> read(const std::string& key);
  std::optional<std::string> read_once(const std::string& key, bool& doubtful);

  const stable_options options_;
  mutable std::shared_mutex pair_mutex_;  ///< shared by readers, exclusive while a copy is dropped
  std::unique_ptr<stable_pair> pair_;
  bool stopped_ = false;  ///< writer thread only: no copy can be written

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::vector<waiting> queue_;
  std::size_t queued_bytes_ = 0;
  std::vector<std::promise<stable_scrub>> scrubs_;
  bool stop_ = false;
  stable_statistics counted_;
  std::string trouble_;
  std::size_t copies_;

  std::thread thread_;
};

// ---- writing --------------------------------------------------------------------------------------------------------

void stable_storage::commit(stable_batch batch, std::function<void(const stable_result&)> done) {
  if (!done) done = [](const stable_result&) {};
  if (auto bad = check_bounds(batch); !bad.empty()) return done({stable_code::invalid, bad});
  {
    const std::lock_guard lock(mutex_);
    if (!stop_ && queued_bytes_ + batch.bytes() <= options_.queue_bytes_max) {
      queued_bytes_ += batch.bytes();
      queue_.push_back({std::move(batch), std::move(done), {}, false});
      done = {};
    }
  }
  work_.notify_one();
  if (done)
    done({stable_code::busy,
          "more than " + std::to_string(options_.queue_bytes_max >> 10) + " KiB wait for the disk; try again"});
}

stable_result stable_storage::commit(stable_batch batch) {
  std::promise<stable_result> result;
  commit(std::move(batch), [&](const stable_result& r) { result.set_value(r); });
  return result.get_future().get();
}

void stable_storage::run() {
  while (true) {
    std::vector<waiting> taken;
    std::vector<std::promise<stable_scrub>> scrubs;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return stop_ || !queue_.empty() || !scrubs_.empty(); });
      std::size_t bytes = 0, n = 0;
      while (n < queue_.size() && bytes < transaction_bytes) bytes += queue_[n++].batch.bytes();
      taken.assign(std::make_move_iterator(queue_.begin()),
                   std::make_move_iterator(queue_.begin() + static_cast<std::ptrdiff_t>(n)));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(n));
      queued_bytes_ -= bytes;
      scrubs.swap(scrubs_);
      if (stop_ && taken.empty() && scrubs.empty()) return;
    }
    if (!taken.empty()) commit_all(taken);
    for (auto& s : scrubs) s.set_value(scrub_now());
  }
}

void stable_storage::commit_all(std::vector<waiting>& all) {
  while (!stopped_ && !attempt(all)) {
  }
  std::uint64_t done = 0, refused = 0;
  for (auto& w : all) {
    if (stopped_ && !w.decided)
      w.result = {stable_code::stopped,
                  "stable storage cannot be written any more; repair the disk and restart the node"};
    ++(w.result ? done : refused);
  }
  {
    const std::lock_guard lock(mutex_);
    counted_.batches += done;
    counted_.refused += refused;
    counted_.commits += done > 0;
  }
  for (auto& w : all) w.done(w.result);
}

/// One transaction over all that is not refused yet. False: something was refused or a copy dropped, begin again.
bool stable_storage::attempt(std::vector<waiting>& all) {
  std::size_t at = 0;  // the copy being written
  bool half = false;   // the first copy has it
  stable_layout::commit_record record;
  try {
    auto& first = pair_->copy(0);
    first.begin();
    stable_transaction t(first, pair_->newest(), options_.store_bytes_max);
    bool mend = false;
    for (auto& w : all) {
      if (w.decided) continue;
      w.result = t.apply(w.batch);
      if (w.result) continue;
      if (w.result.code == stable_code::damaged && pair_->count() == 2 && !std::exchange(mend, true)) {
        first.abort();
        scrub_now();
        first.begin();
        stable_transaction again(first, pair_->newest(), options_.store_bytes_max);
        w.decided = again.apply(w.batch).code == stable_code::damaged;
        first.abort();
        return false;
      }
      w.decided = true;
      if (w.result.code == stable_code::full || w.result.code == stable_code::damaged) {
        first.abort();
        return false;
      }
    }
    if (!t.changed()) {
      first.abort();
      for (auto& w : all) w.decided = true;
      return true;
    }
    record = t.finish();
    if (pair_->count() == 2) {
      // Into the pages of the second copy before the first one's commit: a full disk is noticed while nothing is done.
      at = 1;
      auto& second = pair_->copy(1);
      second.begin();
      for (const auto& row : t.rows()) {
        if (row.stored)
          second.put(row.key, *row.stored);
        else
          second.erase(row.key);
      }
    }
    at = 0;
    first.commit(record);
    if (pair_->count() == 2) {
      at = 1;
      half = true;
      pair_->copy(1).commit(record);
    }
    pair_->committed(record);
    for (auto& w : all) w.decided = true;
    return true;
  } catch (const store_failure& f) {
    for (std::size_t i = 0; i < pair_->count(); ++i) pair_->copy(i).abort();
    if (f.is_full() && !half) {
      const std::string text = "stable storage " + pair_->copy(at).file().string() + ": " + f.text() +
                               "; erase something, or make room on its file system";
      for (auto& w : all)
        if (!std::exchange(w.decided, true)) w.result = {stable_code::full, text};
      return true;
    }
    if (half) {
      // The first copy has it, and that is enough; the second is behind from here on.
      pair_->committed(record);
      for (auto& w : all) w.decided = true;
    }
    const bool goes_on = failed(at, f);
    if (!goes_on && !half)
      for (auto& w : all)
        if (!std::exchange(w.decided, true))
          w.result = {stable_code::unknown, f.text() + "; whether it was written is told by a restart"};
    return half || !goes_on;
  }
}

/// A copy that cannot be written is not used any more: a flush that failed once may report success when tried again,
/// with the pages lost. True if there is another one to go on with.
bool stable_storage::failed(std::size_t copy, const store_failure& f) {
  std::string text = "stable storage " + pair_->copy(copy).file().string() + ": " + f.text();
  bool other = false;
  {
    const std::unique_lock lock(pair_mutex_);
    other = pair_->drop(copy);
  }
  stopped_ = !other;
  trouble(text + (other ? "; going on with the other copy alone, repair the disk and restart the node"
                        : "; nothing is written any more, repair the disk and restart the node"));
  return other;
}

stable_scrub stable_storage::scrub_now() {
  stable_scrub found;
  try {
    found = pair_->scrub();
  } catch (const store_failure& f) {
    found.damage.push_back("stable storage " + pair_->copy(0).file().string() + ": " + f.text());
  }
  if (!found.damage.empty()) trouble(found.damage.front());
  const std::lock_guard lock(mutex_);
  counted_.repaired += found.repaired;
  return found;
}

void stable_storage::trouble(const std::string& text) {
  const std::lock_guard lock(mutex_);
  trouble_ = text;
  copies_ = stopped_ ? 0 : pair_->count();
}

stable_scrub stable_storage::scrub() {
  std::future<stable_scrub> result;
  {
    const std::lock_guard lock(mutex_);
    result = scrubs_.emplace_back().get_future();
  }
  work_.notify_one();
  return result.get();
}

stable_statistics stable_storage::stats() const {
  std::unique_lock lock(mutex_);
  auto s = counted_;
  s.queued_bytes = queued_bytes_;
  s.copies = static_cast<unsigned>(copies_);
  s.trouble = trouble_;
  lock.unlock();
  const std::shared_lock pair_lock(pair_mutex_);
  s.file_bytes = pair_->copy(0).file_bytes();
  return s;
}

// ---- reading --------------------------------------------------------------------------------------------------------

/// `doubtful`: a copy is broken, or the two do not agree although no commit explains it.
std::optional<std::string> stable_storage::read_once(const std::string& key, bool& doubtful) {
  const std::shared_lock lock(pair_mutex_);
  // The second copy, which follows the first, is looked at first: what it has, the first one must have.
  std::optional<stable_copy::reader> second;
  if (pair_->count() == 2) second.emplace(pair_->copy(1));
  stable_copy::reader first(pair_->copy(0));
  const auto stored = first.find(key);
  const auto here = stored ? stable_layout::decode(key, *stored) : std::nullopt;
  doubtful = stored.has_value() && !here;
  if (second) {
    const auto other = second->find(key);
    const auto behind = second->commit().serial;
    const bool newer_here = here && here->version > behind;
    const bool may_be_erased = !stored && first.commit().serial > behind;
    doubtful |= other != stored && !newer_here && !may_be_erased;
    doubtful |= other && !stable_layout::decode(key, *other);
  }
  if (!here) return std::nullopt;
  return std::string(here->bytes);
}

std::optional<std::string> stable_storage::read(const std::string& key) {
  try {
    bool doubtful = false;
    auto bytes = read_once(key, doubtful);
    if (!doubtful) return bytes;
    stable_scrub found;
    if (copies_in_use() == 2) {
      found = scrub();
      bytes = read_once(key, doubtful);
      if (!doubtful) return bytes;
    }
    throw stable_damage("stable storage " + options_.directory.string() + ": " + stable_layout::describe(key) +
                        " is broken" + (found.damage.empty() ? "" : " (" + found.damage.front() + ")") +
                        "; put back a sound copy of the file");
  } catch (const store_failure& f) {
    throw stable_damage("stable storage " + options_.directory.string() + ": " + f.text());
  }
}

std::optional<std::string> stable_storage::get(std::string_view store, std::string_view key) {
  if (!possible(store, stable_name_bytes_max) || !possible(key, stable_key_bytes_max)) return std::nullopt;
  return read(stable_layout::value_key(store, key));
}

void stable_storage::scan(std::string_view store, std::string_view from,
                          const std::function<bool(std::string_view, std::string_view)>& visit) {
  if (!possible(store, stable_name_bytes_max) || from.size() > stable_key_bytes_max) return;
  const auto prefix = stable_layout::prefix(store, stable_layout::kind::value);
  std::string next = prefix + std::string(from);
  try {
    for (bool more = true; more;) {
      // In slices, each its own read transaction: a long one would keep pages from being used again.
      constexpr std::size_t slice = 256;
      std::vector<std::string> keys;
      {
        const std::shared_lock lock(pair_mutex_);
        stable_copy::reader r(pair_->copy(0));
        stable_walk w(r, next);
        for (; !w.at_end() && w.key().starts_with(prefix) && keys.size() < slice; w.next()) keys.emplace_back(w.key());
        more = !w.at_end() && w.key().starts_with(prefix);
        if (more) next = w.key();
      }
      for (const auto& key : keys) {
        const auto value = read(key);
        if (value && !visit(std::string_view(key).substr(prefix.size()), *value)) return;
      }
    }
  } catch (const store_failure& f) {
    throw stable_damage("stable storage " + options_.directory.string() + ": " + f.text());
  }
}

stable_log_range stable_storage::log_range(std::string_view store, std::string_view log) {
  if (!possible(store, stable_name_bytes_max) || !possible(log, stable_name_bytes_max)) return {};
  const auto bytes = read(stable_layout::log_key(store, log));
  return bytes ? stable_layout::decode_range(*bytes).value_or(stable_log_range{}) : stable_log_range{};
}

void stable_storage::read_log(std::string_view store, std::string_view log, std::uint64_t from,
                              const std::function<bool(std::uint64_t, std::string_view)>& visit) {
  const auto range = log_range(store, log);
  if (range.first == 0) return;
  for (auto n = std::max(from, range.first); n <= range.last; ++n) {
    const auto record = read(stable_layout::entry_key(store, log, n));
    if (!record) {
      if (n < log_range(store, log).first || log_range(store, log).first == 0) continue;  // trimmed meanwhile
      throw stable_damage("stable storage " + options_.directory.string() + ": " +
                          stable_layout::describe(stable_layout::entry_key(store, log, n)) + " is missing");
    }
    if (!visit(n, *record)) return;
  }
}

std::uint64_t stable_storage::token(std::string_view store) {
  if (!possible(store, stable_name_bytes_max)) return 0;
  const auto bytes = read(stable_layout::summary_key(store));
  const auto s = bytes ? stable_layout::decode_summary(*bytes) : std::nullopt;
  return s ? s->token : 0;
}

}  // namespace

stable_opened open_stable(const stable_options& wanted) {
  try {
    if (!wanted.mirror.empty() &&
        std::filesystem::weakly_canonical(wanted.mirror) == std::filesystem::weakly_canonical(wanted.directory))
      return {nullptr,
              "stable storage: the mirror is the directory itself; give it one of its own, best on another disk"};
    auto pair = std::make_unique<stable_pair>(wanted);
    if (auto error = pair->open(); !error.empty()) return {nullptr, error};
    return {std::make_unique<stable_storage>(wanted, std::move(pair)), {}};
  } catch (const store_failure& f) {
    return {nullptr, "stable storage " + (wanted.directory / stable_layout::data_file).string() + ": " + f.text()};
  } catch (const std::filesystem::filesystem_error& e) {
    return {nullptr, std::string("stable storage: ") + e.what()};
  }
}

}  // namespace cohort::persistence
