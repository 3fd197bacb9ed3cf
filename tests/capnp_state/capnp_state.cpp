// State of a resilient process as a Cap'n Proto struct: written by one version of a program, read by the next.
#include <cohort/capnp_state.hpp>

#include "framework/resilience/engine.hpp"
#include "framework/simulation/random.hpp"
#include "ledger.capnp.h"
#include "tests/unit/resilience_stage.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::resilience;

namespace {

template <class Ledger, std::uint32_t Version>
class ledger final : public resilient_machine {
public:
  void apply(const resilient_event& e, resilient_output& out) override {
    auto state = state_.get();
    state.setTotal(state.getTotal() + std::stoi(std::string(e.body)));
    const auto before = state.asReader().getOwners();
    auto owners = capnp::Orphanage::getForMessageContaining(state).template newOrphan<capnp::List<capnp::Text>>(
        before.size() + 1);
    for (unsigned i = 0; i < before.size(); ++i) owners.get().set(i, before[i]);
    owners.get().set(before.size(), std::string(e.body).c_str());
    state.adoptOwners(kj::mv(owners));
    out.reply(std::to_string(state.getTotal()));
  }
  void checkpoint(sink& out) const override { state_.checkpoint(out); }
  void restore(source& in, std::uint32_t written_by) override {
    state_.restore(in);
    if (written_by < 2 && Version >= 2) state_.get().setTotal(state_.get().getTotal() * 100);
  }
  void checkpoint_taken() override { state_.checkpoint_taken(); }
  std::uint32_t version() const override { return Version; }
  const capnp_state<Ledger>& state() const { return state_; }

private:
  capnp_state<Ledger> state_;
};

void say(engine& to, stage::disk& d, int n) {
  for (int i = 0; i < n; ++i) {
    to.receive({{}, 0, "1"}, {}, 0);
    while (to.wants_commit({})) {
      REQUIRE(d.commit(to.next_batch({})));
      to.committed();
    }
  }
}

class bytes_of_string final : public source {
public:
  explicit bytes_of_string(std::string_view from) : left_(from) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > left_.size()) throw truncated_checkpoint("it ends");
    std::copy_n(reinterpret_cast<const std::byte*>(left_.data()), out.size(), out.begin());
    left_.remove_prefix(out.size());
  }
  std::uint64_t left() const override { return left_.size(); }

private:
  std::string_view left_;
};
class string_of_bytes final : public sink {
public:
  void write(std::span<const std::byte> what) override {
    bytes.append(reinterpret_cast<const char*>(what.data()), what.size());
  }
  std::string bytes;
};

}  // namespace

TEST_SUITE("capnp state") {
  TEST_CASE("a newer program reads an older one's checkpoint, with what was added and what changed its meaning") {
    stage::disk d;
    limits l;
    l.checkpoints.events = 5;
    {
      engine old(
          "p", [] { return std::make_unique<ledger<LedgerV1, 1>>(); }, l);
      old.recover(d);
      say(old, d, 5);
    }
    engine fresh(
        "p", [] { return std::make_unique<ledger<LedgerV2, 2>>(); }, l);
    const auto report = fresh.recover(d);
    CHECK(report.checkpoint == 5);
    CHECK(report.unreadable.empty());
    const auto state = static_cast<const ledger<LedgerV2, 2>&>(fresh.machine()).state().read();
    CHECK(state.getTotal() == 500);
    CHECK(state.getOwners().size() == 5);
    CHECK(state.getCurrency() == "EUR");
  }

  TEST_CASE("equal states give equal bytes, however they came about; the space of what was replaced is given back") {
    capnp_state<LedgerV2> a, b;
    for (int i = 0; i < 2000; ++i) a.get().setCurrency(std::string(i % 50, 'x').c_str());
    a.get().setCurrency("CHF");
    b.get().setCurrency("CHF");
    string_of_bytes one, two;
    a.checkpoint(one);
    b.checkpoint(two);
    CHECK(one.bytes == two.bytes);
    CHECK(a.words() > 5000);
    a.checkpoint_taken();
    CHECK(a.words() < 50);
    CHECK(a.read().getCurrency() == "CHF");
  }

  TEST_CASE("bytes that are no such struct are an error, whatever is wrong with them") {
    capnp_state<LedgerV2> state;
    state.get().setCurrency("CHF");
    auto owners = state.get().initOwners(20);
    for (unsigned i = 0; i < 20; ++i) owners.set(i, "somebody");
    string_of_bytes good;
    state.checkpoint(good);
    sim::random chance(1);
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
      auto bytes = good.bytes;
      for (auto n = 1 + chance.below(4); n > 0; --n)
        bytes[8 + chance.below(bytes.size() - 8)] = static_cast<char>(chance.below(256));
      bytes_of_string in(bytes);
      capnp_state<LedgerV2> other;
      try {
        other.restore(in);
        string_of_bytes again;
        other.checkpoint(again);
      } catch (const truncated_checkpoint&) {
        ++refused;
      }
    }
    CHECK(refused > 1000);
    bytes_of_string short_one(std::string_view(good.bytes).substr(0, good.bytes.size() - 8));
    CHECK_THROWS_AS(state.restore(short_one), truncated_checkpoint);
  }
}
