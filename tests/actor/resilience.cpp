// Resilient processes in a running node: they talk to each other, throw, and come back.
#include "cluster.hpp"

#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>

#include <caf/all.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Adds numbers; passes each on to `next`, if there is one.
class adder final : public resilient_machine {
public:
  explicit adder(std::string next) : next_(std::move(next)) {}
  std::optional<std::string> decide(const resilient_input& in, std::string& answer) const override {
    if (in.body != "?") return std::string(in.body);
    answer = std::to_string(sum_);
    return std::nullopt;
  }
  void apply(const resilient_event& e, resilient_output& out) override {
    sum_ += 1'000'000;  // half a change, if it throws
    sum_ += std::stoi(std::string(e.body)) - 1'000'000;
    out.reply(std::to_string(sum_));
    if (!next_.empty()) out.send(next_, e.body);
  }
  void checkpoint(sink& out) const override { out.write_u64(static_cast<std::uint64_t>(sum_)); }
  void restore(source& in, std::uint32_t) override { sum_ = static_cast<std::int64_t>(in.read_u64()); }

private:
  const std::string next_;
  std::int64_t sum_ = 0;
};

std::string ask(node& n, const std::string& path, const std::string& what) {
  caf::scoped_actor self{actor_system_of(n)};
  std::string answer = "(none)";
  self->request(supervisors_of(n).address(path), 10s, what)
    .receive([&](const std::string& a) { answer = a; }, [&](const caf::error& e) { answer = "error " + caf::to_string(e); });
  return answer;
}

void start_chain(node& n, resilient_home& home) {
  supervision_tree chain("chain");
  resilient_options how;
  how.checkpoints.events = 20;
  how.child.mailbox.poison_after = 2;
  home.add_to(chain, "first", [] { return std::make_unique<adder>("second"); }, how);
  home.add_to(chain, "second", [] { return std::make_unique<adder>(""); }, how);
  supervisors_of(n).start(chain);
}

/// The node's storage, which has no room for a while.
class crowded_store final : public stable_store {
public:
  explicit crowded_store(std::shared_ptr<stable_store> below) : below_(std::move(below)) {}
  std::atomic<stable_code> says{stable_code::done};
  std::atomic<int> refused{0};

  void commit(stable_batch batch, std::function<void(const stable_result&)> done) override {
    if (says == stable_code::done) return below_->commit(std::move(batch), std::move(done));
    ++refused;
    done({says, "no room"});
  }
  stable_result commit(stable_batch batch) override { return below_->commit(std::move(batch)); }
  std::optional<std::string> get(std::string_view store, std::string_view key) override { return below_->get(store, key); }
  void scan(std::string_view store, std::string_view from, const std::function<bool(std::string_view, std::string_view)>& visit) override {
    below_->scan(store, from, visit);
  }
  stable_log_range log_range(std::string_view store, std::string_view log) override { return below_->log_range(store, log); }
  void read_log(std::string_view store, std::string_view log, std::uint64_t from,
                const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
    below_->read_log(store, log, from, visit);
  }
  std::uint64_t token(std::string_view store) override { return below_->token(store); }
  stable_scrub scrub() override { return below_->scrub(); }
  stable_statistics stats() const override { return below_->stats(); }

private:
  const std::shared_ptr<stable_store> below_;
};

}  // namespace

TEST_SUITE("resilience") {
  TEST_CASE("what one passes to the other arrives once, through exceptions and restarts of the node") {
    contract in_memory;
    in_memory.durability = durability::in_memory;
    cluster c{1, in_memory};
    c.start(0);
    {
      resilient_home home{c.at(0)};
      start_chain(c.at(0), home);
      for (int i = 1; i <= 50; ++i) CHECK(ask(c.at(0), "chain/first", "1") == std::to_string(i));
      CHECK(ask(c.at(0), "chain/first", "poison").starts_with("error"));
      CHECK(ask(c.at(0), "chain/first", "1") == "51");
      CHECK(eventually([&] { return ask(c.at(0), "chain/second", "?") == "51"; }));
      CHECK(eventually([&] { return home.status().at(0).outbox == 0; }));
      CHECK(supervisors_of(c.at(0)).dead_letters().size() == 1);
      const auto first = home.status().at(0);
      CHECK(first.name == "first");
      CHECK(first.life == 3);  // the poison was given to two
      CHECK(first.checkpoint > 0);
      CHECK(first.applied >= 51);  // and receipts that came alone
      CHECK(first.active);
      CHECK(first.restarts == 2);
      CHECK(first.took > 0ns);
      CHECK(first.checkpoint_taken > wall_time{0});
      const auto restarts = home.restarts();
      REQUIRE(restarts.size() == 2);
      CHECK(restarts[1].name == "first");
      CHECK(restarts[1].life == 3);
      CHECK(restarts[1].restarts == 2);
      CHECK(restarts[1].age > 0ns);
      CHECK(restarts[1].cause.find("stoi") != std::string::npos);
    }
    c.stop(0);
    c.start(0);
    resilient_home home{c.at(0)};
    start_chain(c.at(0), home);
    CHECK(ask(c.at(0), "chain/first", "1") == "52");
    CHECK(eventually([&] { return ask(c.at(0), "chain/second", "?") == "52"; }));
    CHECK(home.status().at(0).life == 4);
  }

  TEST_CASE("a storage without room costs no lives: what is under way waits for it, and is answered") {
    cluster c{1, contract{}.with(durability::in_memory)};
    c.start(0);
    const auto storage = std::make_shared<crowded_store>(stable_storage_of(c.at(0)));
    resilient_home home{storage};
    start_chain(c.at(0), home);
    CHECK(ask(c.at(0), "chain/first", "1") == "1");
    int sum = 1;
    for (const auto why : {stable_code::busy, stable_code::full}) {
      storage->refused = 0;
      storage->says = why;
      std::string answer;
      std::thread asker([&] { answer = ask(c.at(0), "chain/first", "1"); });
      CHECK(eventually([&] { return storage->refused >= 2; }));
      CHECK(eventually([&] { return home.status().at(0).trouble == "no room"; }));
      CHECK(home.status().at(0).active);
      storage->says = stable_code::done;
      asker.join();
      CHECK(answer == std::to_string(++sum));
      CHECK(eventually([&] { return home.status().at(0).trouble.empty(); }));
    }
    CHECK(eventually([&] { return ask(c.at(0), "chain/second", "?") == std::to_string(sum); }));
    for (const auto& each : home.status()) CHECK(each.life == 1);
    CHECK(home.restarts().empty());
  }
}
