// The checker of X3, against histories: who holds what when an entry is applied.
#include "framework/protocol/recovered_state.hpp"
#include "tests/sim/checkers/parts.hpp"
#include "tests/sim/kv_workload.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::sim;

namespace {

/// What one of three voters' disks was given. Terms of entries are 1.
struct written {
  log_index entries = 0;  ///< 1 to this one
  log_index checkpoint = 0;
  bool counts = true;
  bool synced = true;
  bool of_another_life = false;
  term_number term = 1;
};

struct moment {
  std::vector<written> disks;
  log_index applied = 1;
  bool journaled = true;
};

bool holds(const moment& m) {
  auto c = check_durability();
  inside_with_log l({1, 1, 1}, m.applied);
  auto v = std::make_shared<view>(*l.in.in_force);
  v->options.durable = m.journaled;
  l.in.in_force = v;
  l.in.applied = m.applied;
  std::vector<std::unique_ptr<disk>> disks;
  for (unsigned i = 0; i < m.disks.size(); ++i) {
    const auto& w = m.disks[i];
    auto& d = *disks.emplace_back(std::make_unique<disk>(1, true, record_checksum));
    life who = life_of(i, i + 1);
    who.storage = &d;
    journal_position at = 0;
    hard_state h;
    h.base.in_force = v;
    h.base.cut.assign(3, 0);
    h.identity = w.of_another_life ? 7 : 101 + i;
    h.valid_from = w.counts ? 1 : 0;
    d.append({++at, persist_state{h}});
    for (log_index n = 1; n <= w.entries; ++n) {
      entry e;
      e.index = n;
      e.term = w.term;
      e.cut.assign(3, 0);
      d.append({++at, persist_entry{e}});
    }
    if (w.checkpoint) {
      mark k = h.base;
      k.index = w.checkpoint;
      d.append({++at, persist_install{k, 0}});
    }
    if (w.synced) d.sync(100);
    c->started(who, {});
  }
  c->passed(a, l.in);
  return good(c);
}

}  // namespace

TEST_SUITE("checkers") {
  TEST_CASE("X3: durability, histories") {
    const written none{}, one{1}, three{3}, state{.checkpoint = 3}, lost{.entries = 3, .synced = false},
        over{.entries = 3, .counts = false}, other{.entries = 3, .of_another_life = true},
        branch{.entries = 3, .term = 2};
    for (const auto& legal : std::vector<moment>{{{one, one, one}},
                                                 {{one, one, none}},
                                                 {{none, one, one}},
                                                 {{three, one, lost}},
                                                 {{three, three, none}, 3},
                                                 {{state, three, none}, 3},
                                                 {{state, state, over}, 2},
                                                 {{none, none, none}, 1, false},
                                                 {{over, over, over}, 3, false},
                                                 {{lost, lost, lost}, 2, false},
                                                 {{three, other, three}, 3},
                                                 {{three, branch, three}, 2}})
      CHECK(holds(legal));
    for (const auto& violating : std::vector<moment>{{{none, none, none}},
                                                     {{one, none, none}},
                                                     {{one, lost, none}},
                                                     {{one, over, none}},
                                                     {{one, other, none}},
                                                     {{one, branch, none}},
                                                     {{one, one, three}, 3},
                                                     {{one, one, one}, 2},
                                                     {{state, lost, over}, 3},
                                                     {{three, other, branch}, 3},
                                                     {{three}, 1},
                                                     {{}, 1}})
      CHECK_FALSE(holds(violating));
  }

  TEST_CASE("X3: nobody goes on from a disk that its last life wrote to no more") {
    using keeping = inspector::inside::keeping;
    const auto verdict = [](std::vector<keeping> last_life, bool goes_on) {
      auto c = check_durability();
      for (const auto kept : last_life) {
        inside_with_log l({1}, 1);
        l.in.kept = kept;
        c->passed(a, l.in);
      }
      disk::found found;
      auto state = std::make_shared<recovered_state>();
      state->founded = goes_on;
      found.state = state;
      c->started(a, found);
      return good(c);
    };
    CHECK(verdict({}, true));
    CHECK(verdict({keeping::disk}, true));
    CHECK(verdict({keeping::memory, keeping::copying, keeping::disk}, true));
    CHECK(verdict({keeping::disk, keeping::memory}, false));
    CHECK(verdict({keeping::copying}, false));
    CHECK_FALSE(verdict({keeping::memory}, true));
    CHECK_FALSE(verdict({keeping::disk, keeping::memory}, true));
    CHECK_FALSE(verdict({keeping::disk, keeping::memory, keeping::copying}, true));
  }

  TEST_CASE("X3: a disk that was lost proves nothing") {
    auto c = check_durability();
    c->disk_lost(0);
    inside_with_log l({1}, 1);
    l.in.applied = 1;
    c->passed(a, l.in);
    CHECK(good(c));
  }
}
