#include "persistence/writer.hpp"

#include "framework/protocol/assert.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace cohort::persistence {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::size_t transaction_bytes = 8u << 20;  // so that one commit never takes long, nor exhausts LMDB's lists
constexpr std::size_t transaction_bytes_when_full = 256u << 10;
constexpr std::size_t transaction_operations = 16'384;
constexpr std::size_t trim_rows = 1000, doomed_rows = 1000;
// Chunks of checkpoints in one transaction: beside operations that somebody waits for, and alone.
constexpr std::size_t chunks_beside = 1, chunks_alone = 4;
constexpr auto retry_first = 100ms, retry_last = 1000ms;
// A batch's order follows it within a round trip. A commit begun for the batch alone would make the order, which somebody
// waits for, wait for two flushes in a row.
constexpr auto order_follows_within = 150us;

}  // namespace

std::size_t operation_bytes(const protocol::persist_op& op) {
  if (const auto* b = std::get_if<protocol::persist_batch>(&op.what)) return b->what.what.bytes() + 64;
  if (const auto* c = std::get_if<protocol::persist_chunk>(&op.what)) return c->data.bytes() + 64;
  return 128;
}

void journal_writer::run() {
  while (true) {
    linger();
    collect();
    if (condition_ == condition::full && !recover_from_full()) {
      const std::lock_guard lock(mutex_);
      if (stop_) break;
      continue;
    }
    if (condition_ == condition::stopped || !has_work()) {
      end_checkpoints();
      if (condition_ == condition::well && unflushed_) flush_late();
      std::unique_lock lock(mutex_);
      if (stop_ && (condition_ == condition::stopped || (waiting_.empty() && waiting_foundings_.empty() && waiting_entries_.empty()))) break;
      work_.wait(lock, [&] { return woken_ || stop_; });
      woken_ = false;
      continue;
    }
    commit_pass();
  }
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    std::ranges::move(waiting_checkpoints_, std::back_inserter(checkpoints_));
    waiting_checkpoints_.clear();
  }
  refuse_tenancies("the journal was closed");
  fail_checkpoints("the journal was closed");
  for (auto& q : checkpoints_) q->detach();
  end_checkpoints();
}

/// Waits a moment while nothing but payload is to be written.
void journal_writer::linger() {
  if (next_ < batch_.size() || condition_ != condition::well) return;
  std::unique_lock lock(mutex_);
  if (waiting_.empty()) return;
  work_.wait_for(lock, order_follows_within, [&] { return pressing_ || stop_; });
}

void journal_writer::collect() {
  bool overflow = false;
  std::vector<tenancy> going;
  {
    const std::lock_guard lock(mutex_);
    if (next_ == batch_.size()) {
      batch_.clear();
      next_ = 0;
      batch_.swap(waiting_);
      pressing_ = false;
    } else if (condition_ == condition::full) {
      // Held operations may wait for a trim that was appended behind them.
      std::ranges::move(waiting_, std::back_inserter(batch_));
      waiting_.clear();
    }
    std::ranges::move(waiting_foundings_, std::back_inserter(foundings_));
    waiting_foundings_.clear();
    std::ranges::move(waiting_doomed_, std::back_inserter(doomed_));
    waiting_doomed_.clear();
    std::ranges::move(waiting_checkpoints_, std::back_inserter(checkpoints_));
    waiting_checkpoints_.clear();
    std::ranges::move(waiting_entries_, std::back_inserter(entries_));
    waiting_entries_.clear();
    going.swap(waiting_departures_);
    overflow = std::exchange(overflow_, false);
    stopping_ = stop_;
  }
  if (!going.empty()) begin_departures(std::move(going));
  if (condition_ == condition::stopped) refuse_tenancies("the journal has stopped");
  if (overflow && condition_ != condition::stopped)
    stop_for_good("more than " + std::to_string(options_.queue_bytes_max >> 20) +
                  " MiB wait for the disk: it is full or far too slow; the node takes no further part, make room and "
                  "restart it");
  if (condition_ != condition::well) fail_checkpoints("the journal cannot be written");
}

bool journal_writer::has_work() const {
  if (next_ < batch_.size() || !foundings_.empty() || !entries_.empty()) return true;
  if (stopping_) return false;  // the rest can wait for the next start
  if (!doomed_.empty() || !departures_.empty()) return true;
  if (std::ranges::find(trimming_, true) != trimming_.end()) return true;
  return std::ranges::any_of(checkpoints_, [](const auto& q) {
    const auto s = q->look();
    return (s == checkpoint_queue::standing::has_chunks || s == checkpoint_queue::standing::complete) && !q->failed();
  });
}

bool journal_writer::commit_pass() {
  try {
    check_quota();
    const auto before = clock::now();
    store_->begin();
    auto done = execute(condition_ == condition::full ? transaction_bytes_when_full : transaction_bytes);
    // Checkpoints of groups that are kept in memory stay there: nothing was written, so nothing needs a flush.
    if (done.wrote)
      store_->commit();
    else
      store_->abort();
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - before);
    {
      const std::lock_guard lock(mutex_);
      latencies_us_[counted_.commits++ % latencies_us_.size()] = static_cast<std::uint32_t>(took.count());
      counted_.operations += done.operations;
      counted_.file_bytes = store_->file_pages() * store_->page_bytes();
      counted_.map_bytes = store_->map_bytes();
    }
    make_true(done);
    return true;
  } catch (const store_failure& f) {
    store_->abort();
    on_failure(f);
    return false;
  }
}

// ---- one transaction ------------------------------------------------------------------------------------------------

journal_writer::effects journal_writer::execute(std::size_t bytes_max) {
  effects e;
  std::size_t bytes = 0;
  while (next_ + e.operations < batch_.size() && e.operations < transaction_operations && bytes < bytes_max) {
    auto& q = batch_[next_ + e.operations];
    bytes += operation_bytes(q.op);
    execute(q, e);
    ++e.operations;
  }
  for (; e.foundings < foundings_.size(); ++e.foundings) {
    auto record = tenants_.groups.at(foundings_[e.foundings].group);
    record.founded = true;
    store_->put_group(record);
  }
  e.wrote = e.operations > 0 || e.foundings > 0;
  execute_entries(e);
  execute_departures(e);
  execute_trims(e);
  execute_checkpoints(e);
  return e;
}

void journal_writer::execute(queued& q, effects& e) {
  const auto group = q.group;
  e.durable[group] = q.op.position;
  if (!store_->extent(group)->journaled) store_->open_journal(group);  // it has been in memory until now
  if (std::holds_alternative<protocol::persist_state>(q.op.what)) {
    store_->put_state(group, q.op);
  } else if (const auto* c = std::get_if<protocol::persist_chunk>(&q.op.what)) {
    auto& a = arriving_[group];
    if (a.index != c->index) {
      if (a.index != 0 && !catalogue_.find(group, a.index)) doomed_.push_back({group, a.index});
      std::erase_if(doomed_, [&](const doomed& d) { return d.group == group && d.index == c->index; });
      a.index = c->index;
    }
    store_->put_chunk({group, c->index, c->number, 0}, c->data.blob);
  } else if (const auto* i = std::get_if<protocol::persist_install>(&q.op.what)) {
    store_->put_chunk({group, i->at.index, 0, 0}, protocol::encode_mark(i->at, i->chunks, checksum));
    store_->put_record(group, q.op);
    e.installed.push_back({group, {i->at, i->chunks}});
  } else if (const auto* t = std::get_if<protocol::persist_trim>(&q.op.what)) {
    trim_below_[group] = std::max(trim_below_[group], t->below);
    trimming_[group] = true;
  } else {
    store_->put_record(group, q.op);
  }
}

void journal_writer::execute_trims(effects& e) {
  for (std::uint32_t g = 0; g < layout::groups_max; ++g)
    if (trimming_[g]) e.wrote |= store_->trim(g, trim_below_[g], trim_rows) > 0;
  if (doomed_.empty()) return;
  e.wrote = true;
  const auto d = doomed_.back();
  if (store_->drop_checkpoint(d.group, d.index, doomed_rows) < doomed_rows) e.gone = d;
}

void journal_writer::execute_checkpoints(effects& e) {
  std::size_t room = e.operations > 0 ? chunks_beside : chunks_alone;
  for (const auto& q : checkpoints_) {
    if (q->failed() || q->look() == checkpoint_queue::standing::abandoned) continue;
    // The same state is there already: keep that one, its chunks must not be rewritten under a transfer.
    const bool write = q->on_disk && !catalogue_.on_disk(q->group, q->at.index);
    if (q->taken == 0) std::erase(doomed_, doomed{q->group, q->at.index});
    std::size_t n = 0;
    for (; room > 0; --room, ++n) {
      const auto* chunk = q->chunk(n);
      if (!chunk) break;
      if (write) store_->put_chunk({q->group, q->at.index, q->taken + static_cast<std::uint32_t>(n) + 1, 0}, *chunk);
    }
    if (n > 0) e.taken.emplace_back(q.get(), n);
    e.wrote |= write && n > 0;
    if (!q->ends_after(n)) continue;
    // The head comes last: it is what makes the checkpoint complete, in one transaction.
    const auto chunks = q->taken + static_cast<std::uint32_t>(n);
    e.wrote |= write;
    if (write) store_->put_chunk({q->group, q->at.index, 0, 0}, protocol::encode_mark(q->at, chunks, checksum));
    e.completed.push_back(q.get());
  }
}

// ---- after it -------------------------------------------------------------------------------------------------------

void journal_writer::make_true(effects& e) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < e.operations; ++i) {
    bytes += operation_bytes(batch_[next_ + i].op);
    batch_[next_ + i].op.what = protocol::persist_trim{};  // lets go of the payload
  }
  next_ += e.operations;
  if (e.gone) std::erase(doomed_, *e.gone);
  const auto keep = [&](std::uint32_t group, complete_checkpoint c) {
    for (const auto gone : catalogue_.add(group, std::move(c))) doomed_.push_back({group, gone});
  };
  for (auto& [group, info] : e.installed) {
    arriving_.erase(group);
    keep(group, {info, {}});
  }
  for (auto& [queue, n] : e.taken) {
    if (!queue->on_disk) queue->keep(n);
    queue->took(n);
  }
  for (std::uint32_t g = 0; g < layout::groups_max; ++g)
    if (trimming_[g])
      trimming_[g] = store_->extent(g)->rows > 0 && store_->extent(g)->first < trim_below_[g];
  std::vector<founding> founded(std::make_move_iterator(foundings_.begin()),
                                std::make_move_iterator(foundings_.begin() + static_cast<std::ptrdiff_t>(e.foundings)));
  foundings_.erase(foundings_.begin(), foundings_.begin() + static_cast<std::ptrdiff_t>(e.foundings));
  {
    const std::lock_guard lock(mutex_);
    waiting_bytes_ -= std::min(waiting_bytes_, bytes);
    for (const auto& f : founded) tenants_.groups.at(f.group).founded = true;
  }
  make_tenancies_true(e);
  const bool late = options_.mode == durability::one_flush;
  if (late) {
    // This commit's flush carried the meta page of the one before to the disk: that one is safe now, this one is not.
    announce(std::exchange(unannounced_, std::move(e.durable)));
    unflushed_ = true;
    if (!e.completed.empty() || !founded.empty()) flush_late();
  } else {
    announce(e.durable);
  }
  for (auto& f : founded)
    if (f.done) f.done();
  for (auto* q : e.completed) {
    const auto found = catalogue_.find(q->group, q->at.index);
    const bool known = found && (!q->on_disk || catalogue_.on_disk(q->group, q->at.index));
    const auto chunks = known ? found->chunks : q->taken;
    if (!known) keep(q->group, {{q->at, chunks}, std::move(q->memory)});
    q->close(chunks, {});
    std::erase_if(checkpoints_, [&](const auto& p) { return p.get() == q; });
  }
  end_checkpoints();
}

void journal_writer::announce(const std::map<std::uint32_t, protocol::journal_position>& durable) {
  if (!calls_.on_durable) return;
  for (const auto& [group, up_to] : durable) calls_.on_durable(group, up_to);
}

void journal_writer::flush_late() {
  try {
    store_->flush();
    unflushed_ = false;
    announce(std::exchange(unannounced_, {}));
  } catch (const store_failure& f) {
    // The kernel may have dropped the page it could not write, and would report success next time.
    stop_for_good("journal " + data_file().string() + ": " + f.text() +
                  "; what was not reported durable may be lost; check the disk and restart the node");
  }
}

void journal_writer::end_checkpoints() {
  for (std::size_t i = 0; i < checkpoints_.size();) {
    auto q = checkpoints_[i];
    const auto standing = q->look();
    const bool over = standing == checkpoint_queue::standing::abandoned ||
                      (q->failed() && standing == checkpoint_queue::standing::complete);
    if (!over) {
      ++i;
      continue;
    }
    checkpoints_.erase(checkpoints_.begin() + static_cast<std::ptrdiff_t>(i));
    if (q->taken > 0 && q->on_disk && !catalogue_.on_disk(q->group, q->at.index))
      doomed_.push_back({q->group, q->at.index});
    q->close(0, "abandoned");
  }
}

void journal_writer::fail_checkpoints(const std::string& text) {
  for (const auto& q : checkpoints_)
    if (!q->failed()) q->close(0, text);
}

// ---- trouble --------------------------------------------------------------------------------------------------------

void journal_writer::check_quota() {
  if (next_ == batch_.size()) return;
  const auto page = store_->page_bytes();
  if (store_->file_pages() * page <= options_.quota_bytes) return;
  const auto used = (store_->file_pages() - store::reader(*store_).free_pages()) * page;
  // Operations before a trim must be let through, or the space it frees would never come back.
  const bool relief = std::ranges::any_of(batch_.begin() + static_cast<std::ptrdiff_t>(next_), batch_.end(), [](auto& q) {
    return std::holds_alternative<protocol::persist_trim>(q.op.what);
  });
  if (used > options_.quota_bytes && !relief)
    throw store_failure{EDQUOT, "write: the quota of " + std::to_string(options_.quota_bytes >> 20) + " MiB is used up"};
}

void journal_writer::on_failure(const store_failure& f) {
  if (f.is_map_full() && store_->grow_map()) return;
  const std::string file = data_file().string();
  bool full = f.is_full();
  if (f.code == EIO) {
    // LMDB reports a short write as EIO. Whether the disk is full or broken is told by its free space.
    struct statvfs s {};
    full = ::statvfs(options_.directory.c_str(), &s) == 0 &&
           static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize < 2 * transaction_bytes;
  }
  if (!full) {
    stop_for_good("journal " + file + ": " + f.text() +
                  "; nothing is promised any more; check the disk and restart the node");
    return;
  }
  const bool news = condition_ != condition::full;
  condition_ = condition::full;
  retry_after_ = news ? std::chrono::milliseconds(retry_first) : std::min<std::chrono::milliseconds>(2 * retry_after_, retry_last);
  if (!news) return;
  const std::string text = "journal " + file + ": " + f.text() +
                           "; nothing new is promised until it can be written: make room on its file system or raise the quota";
  {
    const std::lock_guard lock(mutex_);
    trouble_ = text;
  }
  fail_checkpoints(text);
  if (calls_.on_trouble) calls_.on_trouble({trouble::kind::full, text});
}

bool journal_writer::recover_from_full() {
  {
    std::unique_lock lock(mutex_);
    work_.wait_for(lock, retry_after_, [&] { return stop_ || overflow_; });
    if (stop_ || overflow_) return false;
  }
  try {
    // Deleting still works on a full disk. What it frees can be used from the transaction after the next, hence the
    // empty one.
    effects e;
    store_->begin();
    execute_departures(e);
    execute_trims(e);
    store_->commit();
    make_true(e);
    store_->begin();
    store_->commit();
  } catch (const store_failure& f) {
    store_->abort();
    on_failure(f);
    return false;
  }
  if (!commit_pass()) return false;
  condition_ = condition::well;
  {
    const std::lock_guard lock(mutex_);
    trouble_.clear();
  }
  if (calls_.on_trouble)
    calls_.on_trouble({trouble::kind::resumed, "journal " + data_file().string() + " can be written again"});
  return true;
}

void journal_writer::stop_for_good(const std::string& text) {
  condition_ = condition::stopped;
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    trouble_ = text;
    waiting_.clear();
    waiting_bytes_ = 0;
  }
  batch_.clear();
  next_ = 0;
  foundings_.clear();
  fail_checkpoints(text);
  if (calls_.on_trouble) calls_.on_trouble({trouble::kind::fatal, text});
}

}  // namespace cohort::persistence
