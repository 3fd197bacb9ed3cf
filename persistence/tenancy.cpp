// Groups that enter the directory and leave it while the journal runs.
#include "persistence/writer.hpp"

#include <algorithm>
#include <utility>

namespace cohort::persistence {
namespace {

constexpr std::size_t departing_rows = 1000;  // as trimming: no commit takes long, nor exhausts LMDB's lists

}  // namespace

// ---- any thread -----------------------------------------------------------------------------------------------------

void journal_writer::add(const group_options& group, told done) {
  std::string refusal;
  if (group.index >= layout::groups_max) refusal = "group number " + std::to_string(group.index) + " is above " + std::to_string(layout::groups_max - 1);
  else if (group.name.empty() || group.name.size() > layout::name_bytes_max) refusal = "the name of a group must have 1 to 255 bytes";
  {
    const std::lock_guard lock(mutex_);
    if (ended_) refusal = "the journal was closed";
    if (refusal.empty()) waiting_entries_.push_back({group, std::move(done), {}});
  }
  if (refusal.empty()) return wake();
  if (done) done(refusal);
}

std::vector<held_group> journal_writer::held() const {
  const std::lock_guard lock(mutex_);
  std::vector<held_group> all;
  for (const auto& [number, record] : tenants_.groups) all.push_back({record.group, record.leaves || departing_[number]});
  return all;
}

void journal_writer::forget(std::uint32_t group, const std::string& name, told done) {
  enum class fate : std::uint8_t { known, absent, late } what = fate::known;
  {
    const std::lock_guard lock(mutex_);
    const auto known = tenants_.groups.find(group);
    if (ended_) what = fate::late;
    else if (known == tenants_.groups.end() || known->second.group.name != name) what = fate::absent;
    else {
      departing_[group] = true;
      waiting_departures_.push_back({known->second.group, std::move(done), {}});
    }
  }
  if (what == fate::known) return wake();
  if (done) done(what == fate::absent ? std::string() : "the journal was closed");
}

// ---- journal thread -------------------------------------------------------------------------------------------------

/// What was to be written for these groups is not.
void journal_writer::begin_departures(std::vector<tenancy> all) {
  for (auto& t : all) {
    const auto group = t.group.index;
    const auto going = std::ranges::find(departures_, group, [](const tenancy& d) { return d.group.index; });
    if (going != departures_.end() && !going->done) going->done = std::move(t.done);  // it goes since an earlier start
    else if (going != departures_.end()) going->done = [first = std::move(going->done), second = std::move(t.done)](const std::string& error) {
      first(error);
      if (second) second(error);
    };
    if (going != departures_.end()) continue;
    if (!tenants_.groups.contains(group)) {  // it went while this waited
      if (t.done) t.done({});
      continue;
    }
    const auto of_group = [group](const auto& each) { return each.group == group; };
    std::size_t bytes = 0;
    const auto drop_from = [&](std::vector<queued>& ops, std::size_t first) {
      for (auto at = first; at < ops.size(); ++at)
        if (ops[at].group == group) bytes += operation_bytes(ops[at].op);
      ops.erase(std::remove_if(ops.begin() + static_cast<std::ptrdiff_t>(first), ops.end(), of_group), ops.end());
    };
    drop_from(batch_, next_);
    {
      const std::lock_guard lock(mutex_);
      drop_from(waiting_, 0);
      waiting_bytes_ -= std::min(waiting_bytes_, bytes);
      tenants_.groups.at(group).leaves = true;
      volatile_arriving_.erase(group);
      std::erase_if(waiting_foundings_, of_group);
    }
    std::erase_if(foundings_, of_group);
    for (const auto& q : checkpoints_) {
      if (q->group != group) continue;
      if (!q->failed()) q->close(0, "the group is forgotten");
      q->detach();
    }
    std::erase_if(checkpoints_, [&](const auto& q) { return q->group == group; });
    std::erase_if(doomed_, of_group);
    catalogue_.forget(group);
    arriving_.erase(group);
    unannounced_.erase(group);
    trimming_[group] = false;
    trim_below_[group] = 0;
    departures_.push_back(std::move(t));
  }
}

void journal_writer::execute_entries(effects& e) {
  for (; e.entered < entries_.size(); ++e.entered) {
    auto& t = entries_[e.entered];
    t.refusal = admit(options_.directory, t.group, tenants_);
    const auto known = tenants_.groups.find(t.group.index);
    // Who enters says what the group was created as, and not what it became (X3).
    if (t.refusal.empty() && known != tenants_.groups.end() && known->second.group.is_volatile != t.group.is_volatile)
      t.refusal = "data directory " + options_.directory.string() + " was created for a " +
                  (t.group.is_volatile ? "journaled" : "volatile") + " group \"" + t.group.name + "\"; give the other group another number";
    if (!t.refusal.empty()) continue;
    if (known != tenants_.groups.end()) {
      if (!renews(t.group, known->second.group)) continue;
      store_->forget(t.group.index);
      catalogue_.forget(t.group.index);
    }
    store_->put_group({t.group, false, false});
    if (!t.group.is_volatile) store_->open_journal(t.group.index);
    e.wrote = true;
  }
}

/// What does not go within one transaction is marked first, so that a start in between finds a group that leaves and not one that is
/// damaged.
void journal_writer::execute_departures(effects& e) {
  if (departures_.empty()) return;
  e.wrote = true;
  const auto first = departures_.front().group.index;
  const bool gone = store_->drop_group(first, departing_rows);
  for (const auto& d : departures_) {
    if (gone && d.group.index == first) e.left.push_back(first);
    else if (!marked_[d.group.index]) {
      store_->put_group(tenants_.groups.at(d.group.index));
      e.marked.push_back(d.group.index);
    }
  }
}

void journal_writer::make_tenancies_true(effects& e) {
  std::vector<tenancy> told_now(std::make_move_iterator(entries_.begin()), std::make_move_iterator(entries_.begin() + static_cast<std::ptrdiff_t>(e.entered)));
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(e.entered));
  for (const auto group : e.marked) marked_[group] = true;
  for (const auto group : e.left) {
    const auto gone = std::ranges::find(departures_, group, [](const tenancy& d) { return d.group.index; });
    told_now.push_back(std::move(*gone));
    departures_.erase(gone);
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& t : told_now) {
      const auto group = t.group.index;
      if (!t.refusal.empty()) continue;
      if (std::ranges::find(e.left, group) != e.left.end()) {
        tenants_.groups.erase(group);
        damage_.erase(group);
        marked_[group] = departing_[group] = false;
        appended_[group] = 0;
        fresh_[group] = true;
        continue;
      }
      auto& record = tenants_.groups[group];
      if (record.group.name != t.group.name || renews(t.group, record.group)) record = {t.group, false, false};
    }
  }
  for (const auto& t : told_now)
    if (t.done) t.done(t.refusal);
}

void journal_writer::refuse_tenancies(const std::string& why) {
  std::vector<tenancy> all = std::exchange(entries_, {});
  std::ranges::move(std::exchange(departures_, {}), std::back_inserter(all));
  {
    const std::lock_guard lock(mutex_);
    for (auto* list : {&waiting_entries_, &waiting_departures_}) {
      std::ranges::move(*list, std::back_inserter(all));
      list->clear();
    }
  }
  for (const auto& t : all)
    if (t.done) t.done(why);
}

}  // namespace cohort::persistence
