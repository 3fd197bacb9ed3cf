// Resilient processes that talk to each other and to an observer, over a network that loses, doubles and reorders, with
// crashes at every point: what is journaled decides what must have happened, and everything else is held against it.
#include "framework/resilience/records.hpp"
#include "framework/simulation/random.hpp"
#include "tests/unit/resilience_stage.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <set>

using namespace cohort;
using namespace cohort::resilience;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> names{"a", "b", "c"};
const std::string observer = "outside";

/// Folds all it is given into a number; tells the observer of each event, and passes messages on. "?" asks for the
/// number.
class folder final : public resilient_machine {
public:
  std::optional<std::string> decide(const resilient_input& in, std::string& answer) const override {
    if (in.body != "?") return std::string(in.body);
    answer = std::to_string(state_);
    return std::nullopt;
  }
  void apply(const resilient_event& e, resilient_output& out) override {
    for (const char c : std::string(e.body) + '/' + std::string(e.from))
      state_ = state_ * 1099511628211u + static_cast<unsigned char>(c);
    cells_[state_ % cells_.size()] += state_;
    changed_.insert(state_ % cells_.size());
    out.reply(std::to_string(state_));
    const std::string at = std::to_string(e.position);
    out.send(observer, at + ":" + std::to_string(state_));
    if (state_ % 3 == 0) out.send(observer, at + ":again");
    const auto hops = e.body.empty() ? 0 : e.body.back() - '0';
    if (hops > 0) out.send(names[state_ % names.size()], at + ":" + std::to_string(hops - 1));
  }
  void checkpoint(sink& out) const override {
    out.write_u64(state_);
    for (const auto c : cells_) out.write_u64(c);
  }
  void restore(source& in, std::uint32_t) override {
    state_ = in.read_u64();
    for (auto& c : cells_) c = in.read_u64();
  }
  bool checkpoint_changes(sink& out) const override {
    out.write_u64(state_);
    out.write_u64(changed_.size());
    for (const auto i : changed_) {
      out.write_u64(i);
      out.write_u64(cells_[i]);
    }
    return state_ % 5 != 0;
  }
  void restore_changes(source& in, std::uint32_t) override {
    state_ = in.read_u64();
    for (auto n = in.read_u64(); n > 0; --n) {
      auto& cell = cells_.at(in.read_u64());
      cell = in.read_u64();
    }
  }
  void checkpoint_taken() override { changed_.clear(); }

private:
  std::uint64_t state_ = 1;
  std::array<std::uint64_t, 32> cells_{};
  std::set<std::size_t> changed_;
};

resilient_factory folders() {
  return [] { return std::make_unique<folder>(); };
}

struct packet {
  std::string from;
  effect what;
};
struct receipt {
  std::string of, by;
  std::uint64_t number = 0;
};

class world {
public:
  explicit world(std::uint64_t seed) : random_(seed) {
    for (const auto& n : names) start(n);
  }

  void run(int steps) {
    for (int i = 0; i < steps && broken.empty(); ++i) step(true);
    zombies_.clear();
    for (const auto& n : names)
      if (!lives_.contains(n)) start(n);
    for (int i = 0; i < 20'000 && broken.empty() && !quiet(); ++i) step(false);
    if (broken.empty() && !quiet()) broken = "it does not come to rest";
    if (broken.empty()) judge();
  }

  std::string broken;
  int crashes = 0, effects = 0, redone = 0, unreadable = 0, incremental = 0, lone = 0;
  int fenced() const { return disk_.fenced; }

private:
  static limits small() {
    limits l;
    l.checkpoints = {.events = 7, .bytes = 2000, .age = 30s};
    l.piece_bytes = 500;
    l.batch_bytes = 2000;
    return l;
  }

  void start(const std::string& n) {
    auto e = std::make_shared<engine>(n, folders(), small());
    if (random_.below(3) == 0) rot(n);
    // Alone it is if nobody haunts, and if nothing of it is on its way to the disk.
    const bool alone = zombies_.empty() && disk_.queued() == 0 && random_.below(2) == 0;
    lone += alone;
    try {
      const auto report = e->recover(disk_, alone);
      incremental += static_cast<int>(report.changes);
      redone += static_cast<int>(report.redone);
      unreadable += static_cast<int>(report.unreadable.size());
    } catch (const std::exception& x) {
      broken = std::string("no recovery: ") + x.what();
      return;
    }
    lives_[n] = e;
  }

  /// Any one of the checkpoints cannot be read.
  void rot(const std::string& n) {
    std::vector<std::string> heads;
    for (const auto& [k, v] : disk_.stores[n].values)
      if (k.starts_with(head_prefix)) heads.push_back(k);
    const auto piece = [&](const std::string& head) {
      return n + ' ' + std::string(piece_prefix) + head.substr(head_prefix.size()) + '/' + digits(0);
    };
    for (const auto& h : heads)
      if (disk_.rotten.contains(piece(h))) return;
    if (!heads.empty()) disk_.rotten.insert(piece(heads[random_.below(heads.size())]));
  }

  /// The process dies; what it had asked the disk for may happen still, also after its next life has begun.
  void crash(const std::string& n) {
    ++crashes;
    if (random_.below(2) == 0) disk_.flush(random_.below(disk_.queued() + 1));
    if (random_.below(3) == 0) {  // the machine dies, and with it all of them
      disk_.forget();
      for (const auto& each : names) lives_.erase(each);
      zombies_.clear();
      return;
    }
    if (random_.below(2) == 0) zombies_.push_back({n, lives_[n]});  // it was only taken for dead, and goes on
    lives_.erase(n);
  }

  void haunt() {
    if (zombies_.empty()) return;
    const auto [n, life] = zombies_[random_.below(zombies_.size())];
    const auto ticket = ++tickets_;
    const auto body = std::to_string(ticket) + "#1";
    if (life->receive({{}, 0, body}, now_, ticket) == verdict::taken) inputs_[ticket] = body;
    commit(n, life);
    for (auto& e : life->take_effects()) leave(n, e);
    for (auto& a : life->take_answers()) answered(n, a);
  }

  void step(bool rough) {
    now_ += 1ms;
    if (random_.below(20) == 0) haunt();
    const auto& n = names[random_.below(names.size())];
    const auto what = random_.below(rough ? 100 : 60);
    if (!lives_.contains(n)) {
      if (what < 30 || !rough) start(n);
      return;
    }
    const auto life = lives_[n];
    if (what < 15) {
      commit(n, life);
    } else if (what < 25) {
      disk_.flush(random_.below(6));
    } else if (what < 35) {
      for (auto& e : life->take_effects()) leave(n, e);
      for (auto& a : life->take_answers()) answered(n, a);
    } else if (what < 55) {
      for (int i = 0; i < (rough ? 1 : 10); ++i) carry(rough);
    } else if (what < 60 && network_.size() < 30) {
      for (const auto& to : life->waiting_for()) life->resend(to);
    } else if (what < 60) {
    } else if (what < 75 || random_.below(40) != 0) {
      if (random_.below(2) == 0) return;
      const auto ticket = ++tickets_;
      std::string body = random_.below(5) == 0 ? "?" : std::to_string(ticket) + "#" + std::to_string(random_.below(3));
      const auto v = life->receive({{}, 0, body}, now_, ticket);
      if (v == verdict::taken) inputs_[ticket] = body;
      if (v == verdict::answered) questions_[ticket] = life->applied();
    } else {
      crash(n);
    }
  }

  void commit(const std::string& n, const std::shared_ptr<engine>& life) {
    if (!life->wants_commit(now_)) return;
    disk_.commit(life->next_batch(now_), [this, n, weak = std::weak_ptr(life)](const stable_result& r) {
      const auto l = weak.lock();
      if (!l) return;
      if (r) return l->committed();
      std::erase_if(zombies_, [&](const auto& z) { return z.second == l; });
      if (lives_.contains(n) && lives_[n] == l) lives_.erase(n);
    });
  }

  std::uint64_t durable(const std::string& n) { return disk_.stores[n].last; }

  void leave(const std::string& n, const effect& e) {
    if (std::stoull(e.body) > durable(n)) broken = n + ": an effect is seen before event " + e.body + " is durable";
    network_.push_back({n, e});
  }
  void answered(const std::string& n, const answer& a) {
    if (const auto q = questions_.find(a.ticket); q != questions_.end() && q->second > durable(n))
      broken = n + ": an answer tells of event " + std::to_string(q->second) + ", which is not durable";
    if (inputs_.contains(a.ticket)) acknowledged_[a.ticket] = n;
    if (const auto r = pending_receipts_.find(a.ticket); r != pending_receipts_.end()) receipts_.push_back(r->second);
  }

  void carry(bool rough) {
    if (!receipts_.empty() && random_.below(2) == 0) {
      const auto i = random_.below(receipts_.size());
      const auto r = receipts_[i];
      receipts_.erase(receipts_.begin() + static_cast<std::ptrdiff_t>(i));
      if (lives_.contains(r.of)) lives_[r.of]->acknowledged(r.by, r.number, now_);
      return;
    }
    if (network_.empty()) return;
    const auto i = random_.below(std::min<std::size_t>(network_.size(), rough ? 4 : 1));
    const auto p = network_[i];
    const auto luck = random_.below(10);
    if (!rough || luck < 8) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(i));  // else it comes twice
    if (rough && luck < 2) return;
    if (p.what.to == observer) {
      auto& seen = observed_[p.from];
      if (p.what.number <= seen.size()) {
        if (seen[p.what.number - 1] != p.what.body)
          broken = "message " + std::to_string(p.what.number) + " of " + p.from + " says something else";
      } else if (p.what.number == seen.size() + 1) {
        seen.push_back(p.what.body);
        ++effects;
      } else {
        return;
      }
      receipts_.push_back({p.from, observer, p.what.number});
      return;
    }
    const auto to = lives_.find(p.what.to);
    if (to == lives_.end()) return;
    // A receipt is an answer: it waits for the disk.
    const auto ticket = ++tickets_;
    to->second->receive({p.from, p.what.number, p.what.body, p.what.low}, now_, ticket);
    pending_receipts_[ticket] = {p.from, p.what.to, p.what.number};
  }
  bool quiet() {
    if (!network_.empty() || disk_.queued() > 0) return false;
    for (const auto& n : names) {
      if (!lives_.contains(n)) return false;
      auto& l = *lives_[n];
      if (l.wants_commit(now_) || l.outbox() > 0 || l.durable() != l.applied()) return false;
    }
    return true;
  }

  /// What the journals say happened, against what did.
  void judge() {
    std::map<std::string, std::map<std::string, std::vector<std::string>>> sent;   // from, to
    std::map<std::string, std::map<std::string, std::vector<std::string>>> taken;  // by, from
    std::map<std::string, int> inputs;
    for (const auto& n : names) {
      folder reference;
      std::uint64_t position = 0;
      for (const auto& bytes : disk_.stores[n].history) {
        const auto r = decode(bytes);
        ++position;
        if (r.acks_only) continue;
        if (r.from.empty()) ++inputs[n + r.body];
        if (!r.from.empty()) taken[n][r.from].push_back(r.body);
        resilient_output out;
        reference.apply({r.body, r.from, {}, position, 1}, out);
        for (const auto& s : out.sends()) sent[n][s.to].push_back(s.body);
      }
      string_sink expected, found;
      reference.checkpoint(expected);
      lives_[n]->machine().checkpoint(found);
      if (expected.bytes != found.bytes) broken = n + ": its state is not that of its events";
    }
    for (const auto& n : names) {
      if (sent[n][observer] != observed_[n]) broken = n + ": the observer did not see each effect once";
      for (const auto& to : names)
        if (sent[n][to] != taken[to][n]) broken = n + " to " + to + ": not each message was applied once, in order";
    }
    for (const auto& [ticket, by] : acknowledged_)
      if (inputs[by + inputs_[ticket]] != 1)
        broken = by + ": an acknowledged input was applied " + std::to_string(inputs[by + inputs_[ticket]]) + " times";
  }

  sim::random random_;
  wall_time now_{0};
  stage::disk disk_;
  std::map<std::string, std::shared_ptr<engine>> lives_;
  std::vector<std::pair<std::string, std::shared_ptr<engine>>> zombies_;
  std::vector<packet> network_;
  std::vector<receipt> receipts_;
  std::map<std::uint64_t, receipt> pending_receipts_;
  std::map<std::string, std::vector<std::string>> observed_;
  std::uint64_t tickets_ = 0;
  std::map<std::uint64_t, std::string> inputs_, acknowledged_;
  std::map<std::uint64_t, std::uint64_t> questions_;
};

}  // namespace

TEST_SUITE("resilience: random") {
  TEST_CASE("state is that of the journal, and each effect is seen once, whatever crashes when") {
    const char* only = std::getenv("COHORT_SEED");
    const std::uint64_t first = only ? std::stoull(only) : 1, last = only ? first : 150;
    int crashes = 0, effects = 0, redone = 0, unreadable = 0, fenced = 0, incremental = 0, alone = 0;
    for (auto seed = first; seed <= last; ++seed) {
      world w(seed);
      w.run(1200);
      CAPTURE(seed);
      REQUIRE_EQ(w.broken, "");
      crashes += w.crashes;
      effects += w.effects;
      redone += w.redone;
      unreadable += w.unreadable;
      fenced += w.fenced();
      incremental += w.incremental;
      alone += w.lone;
    }
    MESSAGE(crashes << " crashes, " << effects << " effects, " << redone << " events redone, " << unreadable
                    << " checkpoints passed over, " << incremental << " of changes read, " << fenced << " writes fenced, " << alone
                    << " lives that claimed with their first batch");
    if (only) return;
    CHECK(crashes > 500);
    CHECK(effects > 10'000);
    CHECK(redone > 1000);
    CHECK(unreadable > 20);
    CHECK(fenced > 20);
    CHECK(incremental > 200);
    CHECK(alone > 50);
  }
}
