#pragma once

// Several members over one simulated order, with chance: views, members that lag, stop for a while, die and come back by a
// checkpoint of their own or of another; old primaries that go on sending; updates that are lost or believed lost.
#include "primary_backup_stage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

namespace cohort::primary_backup::test {

/// What ends a process from within.
struct process_ended {};

struct ordered_message {
  std::vector<std::byte> bytes;
  std::size_t sender = 0;
  incarnation inc = 0;
};
struct log_entry {
  std::optional<protocol::view> view;
  ordered_message message;
};

/// A process: what `actors/` is to a member.
struct process {
  std::unique_ptr<member> logic;
  incarnation inc = 0;
  backup_kind kind{};
  bool paused = false;
  std::size_t applied = 0;                        ///< log entries
  std::map<std::uint64_t, std::string> waiting;   ///< own callers, by position
  std::deque<ordered_message> outbox;             ///< sent, not ordered yet
  std::vector<std::byte> checkpoint;              ///< stored
  std::size_t checkpoint_at = 0;
};

/// Derived classes say what the service is, what is asked of it, and what must be true of the state in the end.
class world {
public:
  explicit world(std::uint64_t seed) : chance_(seed), size_(static_cast<std::size_t>(chance_.between(2, 5))) {}
  virtual ~world() = default;

  void run(int steps) {
    begin();
    for (int i = 0; i < steps; ++i) step();
    settle();
  }

  std::uint64_t dropped() const { return dropped_; }

protected:
  virtual std::unique_ptr<member> make(std::size_t m, backup_kind kind) = 0;
  /// What a caller at this process asks next, without frame.
  virtual std::vector<std::byte> next_request(process& p) = 0;
  /// Something else that may happen, at a process that runs.
  virtual void more(process&) {}
  virtual void died(std::size_t) {}
  /// A request is ordered.
  virtual void ordered(std::span<const std::byte>) {}
  virtual void answered(const std::string& request, const std::string& answer) = 0;
  /// The first member that comes to an entry was shown it; `accepted`: it is an update, and was accepted.
  virtual void first_seen(std::size_t, const ordered_message&, bool) {}
  /// Nothing is under way but what the world outside has to do; true if there is nothing of that either.
  virtual bool outside_is_quiet() { return true; }
  /// A member's checkpoint, equal at all, and one of them.
  virtual void judge(std::span<const std::byte> checkpoint, member& one) = 0;

  void begin() {
    processes_.resize(size_);
    for (std::size_t m = 0; m < size_; ++m) {
      processes_[m].kind = static_cast<backup_kind>(chance_.below(3));
      boot(m);
      active_[m] = processes_[m].inc;
    }
    new_view();
  }

  process& some() { return processes_[chance_.below(size_)]; }
  std::size_t index_of(const process& p) const { return static_cast<std::size_t>(&p - processes_.data()); }

  void boot(std::size_t m) {
    auto& p = processes_[m];
    p.logic = make(m, p.kind);
    p.inc = ++last_inc_;
    p.paused = false;
    p.applied = 0;
    p.waiting.clear();
  }

  void step() {
    auto& p = some();
    switch (chance_.below(16)) {
      case 0:
      case 1:
      case 2: return submit(p);
      case 3:
      case 4:
      case 5:
      case 6: return order_one(p);
      case 7: return lose_one(p);
      case 8: p.paused = chance_.chance(400); return;
      case 9: if (chance_.chance(150)) kill(p); return;
      case 10: if (chance_.chance(150)) change_view(); return;
      case 11: if (p.logic && chance_.chance(300)) store(p); return;
      case 12: if (!p.logic) come_back(index_of(p)); return;
      default: return go_on(p, chance_.below(6));
    }
  }

  void submit(process& p) {
    if (!p.logic || p.paused) return;
    p.outbox.push_back({framed(frame::request, next_request(p)), index_of(p), p.inc});
  }

  void order_one(process& p) {
    if (p.outbox.empty()) return;
    log_.push_back({{}, std::move(p.outbox.front())});
    p.outbox.pop_front();
    auto& m = log_.back().message;
    if (m.bytes[0] == std::byte{0}) ordered(std::span(m.bytes).subspan(1));
  }

  /// The oldest message is lost and its sender told so; or it is told so, and the message comes later nevertheless.
  void lose_one(process& p) {
    if (p.outbox.empty() || !chance_.chance(300)) return;
    const bool update = p.outbox.front().bytes[0] == std::byte{1};
    if (p.outbox.front().bytes[0] == std::byte{2} && p.logic) p.logic->tale_lost();
    if (!chance_.chance(500)) p.outbox.pop_front();
    if (update && p.logic) p.logic->begin_anew();
  }

  /// What it has sent may still be ordered.
  void kill(process& p) {
    p.logic.reset();
    p.waiting.clear();
    died(index_of(p));
  }

  void store(process& p) {
    memory_sink out;
    p.logic->checkpoint(out);
    p.checkpoint.assign(out.bytes().begin(), out.bytes().end());
    p.checkpoint_at = p.applied;
    if (auto [known, first] = checkpoints_.emplace(p.applied, p.checkpoint); !first)
      REQUIRE_MESSAGE(known->second == p.checkpoint, "checkpoints at one place of the order differ");
  }

  void come_back(std::size_t m) {
    boot(m);
    auto& p = processes_[m];
    const auto& from = chance_.chance(500) ? p : some();
    if (from.checkpoint_at > 0) {
      memory_source in(from.checkpoint);
      p.logic->restore(in);
      p.applied = from.checkpoint_at;
    }
  }

  void change_view() {
    for (std::size_t m = 0; m < size_; ++m) {
      auto& p = processes_[m];
      const auto at = active_.find(m);
      const bool same_life = at != active_.end() && at->second == p.inc && p.logic;
      if (same_life && (p.paused ? chance_.chance(700) : chance_.chance(100))) {
        active_.erase(m);  // it comes back under another incarnation, by a checkpoint: here as after a restart
        excluded_.insert(p.inc);
      } else if (at != active_.end() && !same_life) {
        active_.erase(m);
      }
      if (p.logic && !excluded_.contains(p.inc) && chance_.chance(500)) active_[m] = p.inc;
    }
    new_view();
  }

  void new_view() {
    log_.push_back({view_of(++views_, size_, active_), {}});
    // By the book, not by the code that is under test.
    if (!active_.contains(office_.first) || active_.at(office_.first) != office_.second) {
      since_[log_.size()] = views_;
      office_ = active_.empty() ? std::pair<std::size_t, incarnation>{99, 0} : std::pair(active_.begin()->first, active_.begin()->second);
    }
    offices_[log_.size()] = office_;
  }

  void go_on(process& p, std::uint64_t entries) {
    if (!p.logic || p.paused) return;
    for (; entries > 0 && p.applied < log_.size(); --entries) apply(p);
    if (auto tale = p.logic->tale(); !tale.empty()) p.outbox.push_back({std::move(tale), index_of(p), p.inc});
    for (auto limit = chance_.below(3); limit > 0; --limit) try {
        const auto update = p.logic->execute(chance_.chance(500) ? 1 : 200);
        if (update.empty()) break;
        p.outbox.push_back({{update.begin(), update.end()}, index_of(p), p.inc});
      } catch (const process_ended&) {
        return kill(p);
      }
    p.logic->act();
    more(p);
  }

  void apply(process& p) {
    const auto m = index_of(p);
    const auto& entry = log_[p.applied++];
    if (entry.view) {
      const auto& e = entry.view->roster[m];
      return p.logic->view_installed(*entry.view, e.active && e.inc == p.inc);
    }
    delivery d;
    d.payload = entry.message.bytes;
    d.position = p.applied;
    d.sender = member_id(static_cast<std::uint16_t>(entry.message.sender));
    d.sender_incarnation = entry.message.inc;
    d.own = entry.message.sender == m && entry.message.inc == p.inc;
    const auto before = p.logic->status();
    reply answer;
    p.logic->apply(d, answer);
    const auto after = p.logic->status();
    dropped_ += after.dropped - before.dropped;
    if (p.applied > seen_) {
      seen_ = p.applied;
      first_seen(p.applied, entry.message, after.accepted != before.accepted);
    }
    if (d.own && answer.deferred()) p.waiting[d.position] = text_of(d.payload.subspan(1));
    answer.each_settled([&](std::uint64_t position, std::span<const std::byte> bytes) {
      const auto at = p.waiting.find(position);
      if (at == p.waiting.end()) return;
      answered(at->second, text_of(bytes));
      p.waiting.erase(at);
    });
    if (after.accepted == before.accepted) return;
    const auto in_office = office_at(p.applied);
    REQUIRE_MESSAGE(in_office == std::pair(entry.message.sender, entry.message.inc), "an update was accepted of who is not in office");
  }

  bool quiet() const {
    return std::ranges::all_of(processes_, [this](const process& p) {
      return p.logic && p.outbox.empty() && p.applied == log_.size() && p.logic->status().pending == 0;
    });
  }

  /// All are there, nothing is lost any more: everything ordered must be settled, and all must be equal.
  void settle() {
    settling_ = true;
    for (std::size_t m = 0; m < size_; ++m) {
      auto& p = processes_[m];
      p.paused = false;
      if (!p.logic || excluded_.contains(p.inc)) come_back(m);
      active_[m] = p.inc;
    }
    new_view();
    for (int round = 0; round < 400 && !(quiet() && outside_is_quiet()); ++round)
      for (std::size_t m = 0; m < size_; ++m) {
        auto& p = processes_[m];
        while (!p.outbox.empty()) order_one(p);
        if (!p.logic) {
          come_back(m);
          active_[m] = p.inc;
          new_view();
        }
        go_on(p, log_.size());
      }
    std::optional<std::vector<std::byte>> first;
    for (auto& p : processes_) {
      REQUIRE(p.applied == log_.size());
      REQUIRE_MESSAGE(p.logic->status().pending == 0, "requests are left over");
      store(p);
      if (!first) first = p.checkpoint;
      REQUIRE_MESSAGE(*first == p.checkpoint, "members differ");
    }
    judge(*first, *processes_.front().logic);
  }

  /// The view in which the one in office at this place of the log took it.
  view_number office_since(std::size_t entries) const { return std::prev(since_.upper_bound(entries))->second; }
  std::pair<std::size_t, incarnation> office_at(std::size_t entries) const { return std::prev(offices_.upper_bound(entries))->second; }

  sim::random chance_;
  const std::size_t size_;
  std::vector<process> processes_;
  std::vector<log_entry> log_;
  std::map<std::size_t, incarnation> active_;
  std::set<incarnation> excluded_;
  std::pair<std::size_t, incarnation> office_{99, 0};
  std::map<std::size_t, std::pair<std::size_t, incarnation>> offices_;  ///< by the length of the log from which they hold
  std::map<std::size_t, view_number> since_;  ///< likewise
  bool settling_ = false;
  std::map<std::size_t, std::vector<std::byte>> checkpoints_;
  incarnation last_inc_ = 0;
  view_number views_ = 0;
  std::uint64_t dropped_ = 0;
  std::size_t seen_ = 0;
};

}  // namespace cohort::primary_backup::test
