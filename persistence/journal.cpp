#include "persistence/journal.hpp"

#include "framework/protocol/assert.hpp"
#include "persistence/writer.hpp"

#include <algorithm>
#include <utility>

namespace cohort::persistence {
namespace {

std::string check_options(const options& o) {
  const auto bad_name = [](const std::string& n) { return n.empty() || n.size() > layout::name_bytes_max; };
  if (o.directory.empty()) return "no data directory is given";
  if (bad_name(o.node)) return "the node's name must have 1 to 255 bytes";
  for (const auto& g : o.groups) {
    if (g.index >= layout::groups_max) return "group number " + std::to_string(g.index) + " is above " + std::to_string(layout::groups_max - 1);
    if (bad_name(g.name)) return "the name of group " + std::to_string(g.index) + " must have 1 to 255 bytes";
    for (const auto& other : o.groups)
      if (&other != &g && (other.index == g.index || other.name == g.name))
        return "group \"" + g.name + "\" has the number or the name of another group";
  }
  return {};
}

/// X3: what is written says that nothing of it counts.
protocol::hard_state without_promises() {
  protocol::hard_state nothing;
  nothing.valid_from = 0;
  return nothing;
}

bool departs(const tenants& all, std::uint32_t group) {
  const auto known = all.groups.find(group);
  return known != all.groups.end() && known->second.leaves;
}

std::unique_ptr<store> open_store(const options& o, const inspection& found) {
  const std::uint64_t wanted = std::max<std::uint64_t>(o.map_bytes, found.file_bytes + (64u << 20));
  return std::make_unique<store>(o.directory / layout::data_file, o.mode, wanted,
                                 std::max(wanted, o.quota_bytes + (std::uint64_t{1} << 30)), false);
}

}  // namespace

open_result open(const options& wanted, callbacks calls) {
  if (auto error = check_options(wanted); !error.empty()) return {nullptr, error};
  const auto file = wanted.directory / layout::data_file;
  try {
    directory_lock lock;
    if (auto error = prepare(wanted, lock); !error.empty()) return {nullptr, error};
    inspection found;
    if (auto error = inspect_file(file, found); !error.empty()) return {nullptr, error};
    auto disk = open_store(wanted, found);
    tenants who;
    if (auto error = read_tenants(*disk, file, who); !error.empty()) return {nullptr, error};
    if (auto error = admit(wanted, who); !error.empty()) return {nullptr, error};
    auto result = std::make_unique<journal_writer>(wanted, std::move(calls), std::move(lock), std::move(disk), std::move(who));
    if (auto error = result->start(); !error.empty()) return {nullptr, error};
    return {std::move(result), {}};
  } catch (const store_failure& f) {
    return {nullptr, "journal " + file.string() + ": " + f.text()};
  }
}

verify_result verify(const std::filesystem::path& directory) {
  verify_result result;
  const auto file = directory / layout::data_file;
  std::error_code code;
  if (const auto found = std::filesystem::status(directory, code); !std::filesystem::is_directory(found)) {
    const bool absent = found.type() == std::filesystem::file_type::not_found;
    result.damage = "data directory " + directory.string() + ": " +
                    (absent ? "no such directory" : code ? code.message() : "not a directory") + "; is the path right?";
    return result;
  }
  if (!std::filesystem::is_regular_file(file, code)) {
    result.damage = "data directory " + directory.string() + " holds no journal; is the path right?";
    return result;
  }
  try {
    directory_lock lock;
    inspection found;
    if (result.damage = lock.take(directory, "verify"); !result.damage.empty()) return result;
    if (result.damage = check_writable(directory); !result.damage.empty()) return result;
    result.damage = inspect_file(file, found);
    result.file_bytes = found.file_bytes;
    result.checked = !result.damage.empty();
    if (result.checked) return result;
    options o;
    o.directory = directory;
    const auto disk = open_store(o, found);
    tenants who;
    result.damage = read_tenants(*disk, file, who);
    result.owner = who.owner;
    result.checked = !who.other_format;
    if (!result.damage.empty()) return result;
    std::string damage;
    const auto listed = list_checkpoints(*disk);
    for (const auto& c : listed) {
      if (!c.complete || departs(who, c.group)) continue;
      ++result.checkpoints;
      damage = c.damage;
      for (std::uint32_t n = 1; n <= c.info.chunks && damage.empty(); ++n) read_chunk(*disk, {c.group, c.index, n, 0}, damage);
      if (!damage.empty()) break;
    }
    for (const auto& [group, record] : who.groups) {
      if (record.leaves) continue;
      std::optional<protocol::hard_state> state;
      scan_counts seen;
      if (damage.empty()) damage = scan_state(*disk, group, state);
      const bool counts = !state || state->valid_from != 0;  // X3: of a time that is over, checkpoints go one after the other
      if (damage.empty() && counts) damage = check_newest(listed, group, *disk->extent(group));
      if (damage.empty()) damage = scan_records(*disk, group, seen, [](const auto&) { return std::string(); });
      result.records += seen.records;
      const auto own = std::count_if(listed.begin(), listed.end(), [&](const auto& c) { return c.complete && c.group == group; });
      auto group_now = record.group;
      if (state) group_now.is_volatile = !counts;
      result.groups.push_back({group_now, record.founded, seen.records, static_cast<std::uint64_t>(own)});
    }
    if (!damage.empty()) result.damage = damage_text(file, damage);
  } catch (const store_failure& f) {
    result.damage = "journal " + file.string() + ": " + f.text();
  }
  return result;
}

journal_writer::journal_writer(options wanted, callbacks calls, directory_lock lock, std::unique_ptr<store> disk,
                               tenants who)
  : options_(std::move(wanted)), calls_(std::move(calls)), lock_(std::move(lock)), store_(std::move(disk)),
    tenants_(std::move(who)) {}

std::string journal_writer::start() {
  bool changed = false;
  std::array<bool, layout::groups_max> void_checkpoints{}, counts{};  // X3
  for (const auto& [group, record] : tenants_.groups) {
    std::optional<protocol::hard_state> state;
    if (!scan_state(*store_, group, state).empty()) continue;
    void_checkpoints[group] = state && state->valid_from == 0;
    counts[group] = state ? state->valid_from != 0 && state->base.in_force : store_->extent(group)->rows > 0;
    if (std::ranges::find(options_.give_up, group) != options_.give_up.end()) counts[group] = false;
  }
  for (const auto& g : options_.groups)
    if (const auto known = tenants_.groups.find(g.index); known != tenants_.groups.end() && counts[g.index] && renews(g, known->second.group))
      return "data directory " + options_.directory.string() + " holds group \"" + g.name + "\", which went over to its disks while it ran, " +
             "and epoch " + std::to_string(g.epoch) + " would throw that away; start with epoch " +
             std::to_string(known->second.group.epoch) + ", or move the directory away";
  store_->begin();
  for (const auto group : options_.give_up) {
    const auto known = tenants_.groups.find(group);
    if (known == tenants_.groups.end() || known->second.leaves) continue;
    store_->forget(group);
    void_checkpoints[group] = true;
    known->second.founded = true;
    store_->put_group(known->second);
    if (store_->extent(group)->journaled) store_->put_state(group, {1, protocol::persist_state{without_promises()}});
    changed = true;
  }
  for (const auto& g : options_.groups) {
    auto& record = tenants_.groups[g.index];
    const bool known = record.group.name == g.name;
    if (known && !renews(g, record.group)) continue;
    record = {g, false};  // new here, or a volatile group's new epoch: not founded yet
    store_->put_group(record);
    if (known) {
      store_->forget(g.index);
      void_checkpoints[g.index] = true;
    }
    if (!g.is_volatile) store_->open_journal(g.index);
    changed = true;
  }
  for (std::uint32_t g = 0; g < layout::groups_max; ++g) {
    if (!void_checkpoints[g] || !store_->extent(g)->has_checkpoint) continue;
    store_->forget_checkpoints(g);
    changed = true;
  }
  if (changed)
    store_->commit();
  else
    store_->abort();
  for (std::uint32_t g = 0; g < layout::groups_max; ++g)
    if (const auto& e = store_->extent(g)) appended_[g] = e->last;
  for (const auto& [group, record] : tenants_.groups)
    if (record.leaves) {
      departures_.push_back({record.group, {}, {}});
      departing_[group] = marked_[group] = true;
    }
  const auto listed = list_checkpoints(*store_);
  for (const auto& c : listed) {
    if (departs(tenants_, c.group)) continue;
    if (!c.complete || !c.damage.empty() || void_checkpoints[c.group])
      doomed_.push_back({c.group, c.index});
    else
      for (const auto gone : catalogue_.add(c.group, {c.info, {}})) doomed_.push_back({c.group, gone});
  }
  for (const auto& [group, record] : tenants_.groups)
    if (auto damage = record.leaves ? std::string() : check_newest(listed, group, *store_->extent(group)); !damage.empty()) damage_[group] = damage;
  if (!damage_.empty()) doomed_.clear();  // nothing is thrown away where something is missing
  counted_.file_bytes = store_->file_pages() * store_->page_bytes();
  counted_.map_bytes = store_->map_bytes();
  fresh_.fill(true);
  thread_ = std::thread([this] { run(); });
  return {};
}

journal_writer::~journal_writer() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  thread_.join();
}

void journal_writer::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (woken_) return;
    woken_ = true;
  }
  work_.notify_one();
}

group_contents journal_writer::read_group(std::uint32_t group, recovery_reader& into) {
  group_contents result;
  std::string damage;
  {
    const std::lock_guard lock(mutex_);
    result.founded = tenants_.groups.at(group).founded;
    if (const auto it = damage_.find(group); it != damage_.end()) damage = it->second;
  }
  try {
    std::optional<protocol::hard_state> state;
    if (damage.empty()) damage = scan_state(*store_, group, state);
    if (const auto checkpoint = catalogue_.newest(group)) {
      into.checkpoint(checkpoint->at, checkpoint->chunks);
      result.blank = false;
    }
    if (state) {
      into.state(*state);
      result.blank = false;
    }
    scan_counts seen;
    if (damage.empty())
      damage = scan_records(*store_, group, seen,
                            [&](const protocol::persist_op& op) { return into.record(op) ? std::string() : into.why(); });
    result.records = seen.records;
    result.last = seen.last;
    if (seen.records > 0) result.blank = false;
    if (!damage.empty()) result.damage = damage_text(data_file(), damage);
  } catch (const store_failure& f) {
    result.damage = damage_text(data_file(), f.text());
  }
  return result;
}

bool journal_writer::append(std::uint32_t group, std::span<protocol::persist_op> ops) {
  COHORT_INVARIANT(group < layout::groups_max, group, 0);
  const auto journaled = [](const protocol::persist_op& op) { return op.position != 0; };
  if (const auto in_memory = std::stable_partition(ops.begin(), ops.end(), journaled); in_memory != ops.end()) {
    if (!keep_in_memory(group, {in_memory, ops.end()})) return false;
    ops = {ops.begin(), in_memory};
  }
  if (ops.empty()) return true;
  std::size_t bytes = 0;
  bool pressing = false;
  for (const auto& op : ops) {
    bytes += operation_bytes(op);
    pressing |= !std::holds_alternative<protocol::persist_batch>(op.what);
  }
  bool wake = false, taken = false;
  {
    const std::lock_guard lock(mutex_);
    if (!takes(group)) return false;
    taken = !refusing_ && waiting_bytes_ + bytes <= options_.queue_bytes_max;
    if (!refusing_ && !taken) refusing_ = overflow_ = true;
    for (auto& op : ops) {
      if (!taken) break;
      const bool follows = op.position == appended_[group] + 1 || (fresh_[group] && op.position > appended_[group]);
      COHORT_INVARIANT(follows, op.position, appended_[group]);
      fresh_[group] = false;
      appended_[group] = op.position;
      waiting_.push_back({group, std::move(op)});
    }
    if (taken) waiting_bytes_ += bytes;
    wake = !std::exchange(woken_, true) || (pressing && !pressing_);
    pressing_ |= pressing;
  }
  if (wake) work_.notify_one();
  return taken;
}

bool journal_writer::keep_in_memory(std::uint32_t group, std::span<protocol::persist_op> ops) {
  const std::lock_guard lock(mutex_);
  if (!takes(group)) return false;
  for (auto& op : ops) {
    if (auto* c = std::get_if<protocol::persist_chunk>(&op.what)) {
      auto& a = volatile_arriving_[group];
      if (a.index != c->index) a = {c->index, {}};
      a.memory.insert_or_assign(c->number, std::move(c->data));
    } else if (auto* i = std::get_if<protocol::persist_install>(&op.what)) {
      complete_checkpoint complete{{i->at, i->chunks}, {}};
      for (auto& [number, data] : volatile_arriving_[group].memory)
        if (number >= 1 && number <= i->chunks) complete.chunks.push_back(std::move(data));
      volatile_arriving_.erase(group);
      catalogue_.add(group, std::move(complete));
    } else if (const auto* r = std::get_if<protocol::persist_release>(&op.what)) {
      for (const auto gone : catalogue_.release(group, r->index)) waiting_doomed_.push_back({group, gone});
    }
  }
  if (!waiting_doomed_.empty()) {
    woken_ = true;
    work_.notify_one();
  }
  return true;
}

void journal_writer::mark_founded(std::uint32_t group, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!takes(group)) return;
    waiting_foundings_.push_back({group, std::move(done)});
  }
  wake();
}

std::shared_ptr<checkpoint_writer> journal_writer::store_checkpoint(std::uint32_t group, const protocol::mark& at, bool on_disk) {
  auto queue = std::make_shared<checkpoint_queue>(group, at, on_disk, [this] { wake(); });
  {
    const std::lock_guard lock(mutex_);
    const bool gone = !takes(group);
    if (ended_ || gone) {
      queue->detach();
      queue->close(0, gone ? "the group is forgotten" : "the journal was closed");
    } else {
      waiting_checkpoints_.push_back(queue);
    }
  }
  wake();
  return std::make_shared<queued_writer>(std::move(queue));
}

std::optional<checkpoint_info> journal_writer::newest_checkpoint(std::uint32_t group) { return catalogue_.newest(group); }

protocol::payload journal_writer::load_chunk(std::uint32_t group, log_index index, std::uint32_t number,
                                             std::string* damage) {
  const auto info = catalogue_.find(group, index);
  if (!info || number > info->chunks) return {};
  if (number == 0) return one_message(protocol::encode_mark(info->at, info->chunks, checksum));
  if (auto held = catalogue_.chunk(group, index, number); !held.sizes.empty()) return held;
  std::string broken;
  try {
    auto bytes = read_chunk(*store_, {group, index, number, 0}, broken);
    if (!bytes.empty()) return one_message(std::move(bytes), layout::chunk_header_bytes);
  } catch (const store_failure& f) {
    broken = f.text();
  }
  // Dropped while we were looking: gone, not damaged.
  if (damage && catalogue_.find(group, index)) *damage = damage_text(data_file(), broken);
  return {};
}

statistics journal_writer::stats() const {
  using clock = std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  statistics s = counted_;
  s.queued_bytes = waiting_bytes_;
  s.trouble = trouble_;
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(s.commits, latencies_us_.size()));
  auto sorted = latencies_us_;
  const bool stale = used_bytes_ == 0 || clock::now() - used_at_ > std::chrono::seconds(1);
  if (stale) used_at_ = clock::now();
  s.used_bytes = used_bytes_;
  lock.unlock();
  if (count > 0) {
    std::sort(sorted.begin(), sorted.begin() + count);
    s.commit_p50 = std::chrono::microseconds(sorted[static_cast<std::size_t>(count / 2)]);
    s.commit_p99 = std::chrono::microseconds(sorted[static_cast<std::size_t>(count - 1 - count / 100)]);
  }
  if (!stale) return s;
  try {
    const auto free = store::reader(*store_).free_pages() * store_->page_bytes();
    s.used_bytes = s.file_bytes > free ? s.file_bytes - free : 0;
    lock.lock();
    used_bytes_ = s.used_bytes;
  } catch (const store_failure&) {
    // A figure for operators; the last one will do.
  }
  return s;
}

}  // namespace cohort::persistence
