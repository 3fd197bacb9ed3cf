#include "cluster.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <set>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Gives each request a number drawn by chance, and remembers all of them. Executing "boom" throws as often as `explosions`.
class lottery final : public primary_service {
public:
  struct watch {
    std::atomic<int> executed{0}, promotions{0}, demotions{0}, explosions{0}, twice{0};
  };
  explicit lottery(std::shared_ptr<watch> w) : watch_(std::move(w)) {}

  void execute(const delivery& request, state_update& change, reply& answer) override {
    ++watch_->executed;
    const auto name = text_of(request.payload);
    if (name == "boom" && watch_->explosions-- > 0) throw std::runtime_error("boom was executed");
    const auto number = std::to_string(std::random_device{}());
    if (name != "only look") {
      change.write_bytes(name);
      change.write_bytes(number);
    }
    answer.write(name == "only look" ? std::to_string(drawn_.size()) : number);
  }
  void apply(std::span<const std::byte> change) override {
    struct source_of final : source {
      std::span<const std::byte> at;
      void read(std::span<std::byte> out) override {
        std::copy_n(at.begin(), out.size(), out.begin());
        at = at.subspan(out.size());
      }
      std::uint64_t left() const override { return at.size(); }
    } in;
    in.at = change;
    auto name = in.read_bytes();
    if (!drawn_.emplace(name, in.read_bytes()).second) ++watch_->twice;
  }
  void query(std::span<const std::byte> question, reply& answer) const override {
    const auto at = drawn_.find(text_of(question));
    answer.write(question.empty() ? std::to_string(drawn_.size()) : at == drawn_.end() ? "none" : at->second);
  }
  void checkpoint(sink& out) const override {
    out.write_u64(drawn_.size());
    for (const auto& [name, number] : drawn_) {
      out.write_bytes(name);
      out.write_bytes(number);
    }
  }
  void restore(source& in) override {
    drawn_.clear();
    for (auto n = in.read_u64(); n > 0; --n) {
      auto name = in.read_bytes();
      drawn_.emplace(name, in.read_bytes());
    }
  }
  void promoted(view_number) override { ++watch_->promotions; }
  void demoted() override { ++watch_->demotions; }

private:
  std::shared_ptr<watch> watch_;
  std::map<std::string, std::string> drawn_;
};

struct lotteries {
  std::vector<std::shared_ptr<lottery::watch>> watches;
  cluster nodes;

  lotteries(int size, const contract& how, backup_kind kind)
      : nodes(size, how, [this, how, kind](node& n, int i) {
          n.replicate_primary("room", [w = watches[i]] { return std::make_unique<lottery>(w); }, how, kind);
        }) {
    for (int i = 0; i < size; ++i) watches.push_back(std::make_shared<lottery::watch>());
  }
  int primary() {
    int found = -1;
    CHECK(eventually([&] {
      for (std::size_t i = 0; i < watches.size(); ++i)
        if (nodes.running(static_cast<int>(i)) && nodes.at(static_cast<int>(i)).primary("room").executes) found = static_cast<int>(i);
      return found >= 0;
    }));
    return found;
  }
};

contract in_memory() { return contract{}.with(durability::in_memory); }

/// Executes nothing before its gate is open.
class gated final : public primary_service {
public:
  struct gate {
    std::atomic<bool> open{false};
    std::mutex mutex;
    std::function<void()> look_again;
  };
  explicit gated(std::shared_ptr<gate> g) : gate_(std::move(g)) {}

  void executes_later(std::function<void()> look_again) override {
    const std::lock_guard lock(gate_->mutex);
    gate_->look_again = std::move(look_again);
  }
  void execute(const delivery&, state_update& change, reply& answer) override {
    if (!gate_->open) return answer.defer();
    change.write_u64(1);
    answer.write("done");
  }
  void apply(std::span<const std::byte>) override { ++count_; }
  void query(std::span<const std::byte>, reply& answer) const override { answer.write(std::to_string(count_)); }
  void checkpoint(sink& out) const override { out.write_u64(count_); }
  void restore(source& in) override { count_ = in.read_u64(); }

private:
  std::shared_ptr<gate> gate_;
  std::uint64_t count_ = 0;
};

/// Grants a lock in the order of requests: the answer to one comes when the holder before releases.
class lock_machine final : public state_machine {
public:
  void apply(const delivery& d, reply& answer) override {
    if (text_of(d.payload) == "acquire") {
      holders_.push_back(d.position);
      if (holders_.size() == 1) return answer.write("at once");
      return answer.defer();
    }
    holders_.erase(holders_.begin());
    if (!holders_.empty()) answer.settle(holders_.front(), "after " + std::to_string(d.position));
    answer.write("released");
  }
  void checkpoint(sink& out) const override { out.write_u64(holders_.size()); }
  void restore(source&) override {}

private:
  std::vector<std::uint64_t> holders_;
};

}  // namespace

TEST_SUITE_BEGIN("primary_backup");

TEST_CASE("one executes by chance, all agree; the primary is killed, and what was answered is there") {
  for (const auto& [how, kind] : {std::pair{in_memory(), backup_kind::hot}, std::pair{contract{}, backup_kind::hot},
                                  std::pair{in_memory(), backup_kind::warm}, std::pair{contract{}, backup_kind::cold}}) {
    CAPTURE(static_cast<int>(kind));
    lotteries all(3, how, kind);
    auto& c = all.nodes;
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    std::map<std::string, std::string> answers;
    const auto draw = [&](int i, const std::string& name) {
      if (c.submit(i, name, &answers[name]) != outcome::replied) answers.erase(name);
    };
    for (int k = 0; k < 30; ++k) draw(k % 3, "before " + std::to_string(k));
    CHECK(answers.size() == 30);
    const auto first = all.primary();
    for (int i = 0; i < 3; ++i) CHECK((all.watches[i]->executed > 0) == (i == first));
    std::string looked;
    CHECK(c.submit(0, "only look", &looked) == outcome::replied);
    CHECK(looked == "30");
    c.kill(first);
    for (int k = 0; k < 30; ++k) draw((first + 1 + k % 2) % 3, "after " + std::to_string(k));
    CHECK(answers.size() >= 58);
    const auto second = all.primary();
    CHECK(second != first);
    CHECK(all.watches[second]->promotions >= 1);
    c.start(first);
    REQUIRE(eventually([&] { return c.all_serve(); }));
    draw(first, "back");
    CHECK(all.primary() == second);
    for (const auto& [name, number] : answers)
      for (int i = 0; i < 3; ++i) {
        std::string answer;
        CHECK(c.ask(i, name, reads::linearizable, answer) == outcome::replied);
        CHECK(answer == number);
      }
    for (auto& w : all.watches) CHECK(w->twice == 0);
    if (how.durability != durability::journaled) continue;
    for (int i = 0; i < 3; ++i) c.kill(i);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    draw(0, "again");
    std::string count;
    CHECK(c.ask(1, "", reads::linearizable, count) == outcome::replied);
    CHECK(std::stoul(count) >= answers.size());
    for (const auto& [name, number] : answers) {
      std::string answer;
      CHECK(c.ask(2, name, reads::linearizable, answer) == outcome::replied);
      CHECK(answer == number);
    }
  }
}

TEST_CASE("an exception while executing ends the primary's replica, and another one executes the request") {
  lotteries all(3, in_memory(), backup_kind::hot);
  auto& c = all.nodes;
  c.start_all();
  REQUIRE(eventually([&] { return c.all_serve(); }));
  std::string number;
  CHECK(c.submit(0, "calm", &number) == outcome::replied);
  const auto first = all.primary();
  all.watches[first]->explosions = 1;
  CHECK(c.submit((first + 1) % 3, "boom", &number) == outcome::replied);
  CHECK(all.primary() != first);
  std::string answer;
  REQUIRE(eventually([&] { return c.all_serve(); }));
  CHECK(c.ask(first, "boom", reads::linearizable, answer) == outcome::replied);
  CHECK(answer == number);
}

TEST_CASE("many requests at once are settled by few updates") {
  lotteries all(3, in_memory(), backup_kind::hot);
  auto& c = all.nodes;
  c.start_all();
  REQUIRE(eventually([&] { return c.all_serve(); }));
  auto port = c.at(all.primary() == 0 ? 1 : 0).port("room");
  constexpr std::uint64_t count = 3000;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto name = "n" + std::to_string(i);
    port.submit(std::as_bytes(std::span(name)), i);
  }
  port.flush();
  std::set<std::uint64_t> replied;
  completion_batch done;
  CHECK(eventually([&] {
    while (port.take(done))
      for (std::size_t i = 0; i < done.size(); ++i)
        if (done[i].outcome == outcome::replied) replied.insert(done[i].tag);
    return replied.size() == count;
  }));
  const auto now = c.at(all.primary()).primary("room");
  MESSAGE(count << " requests in " << now.accepted << " updates");
  CHECK(now.accepted < count / 10);
}

TEST_CASE("while the primary executes nothing, what pends at the members has a bound, and the rest waits") {
  constexpr std::size_t bound = 256u << 10, size = 4096, count = 1000;
  const auto how = in_memory().with(&contract::backlog_bytes, bound).with(&contract::lane_window, std::size_t{64u << 10})
                     .with(&contract::outcome_bound, 20s);
  const auto gate = std::make_shared<gated::gate>();
  cluster c(3, how, [&](node& n, int) {
    n.replicate_primary("room", [gate] { return std::make_unique<gated>(gate); }, how, backup_kind::hot);
  });
  c.start_all();
  REQUIRE(eventually([&] { return c.all_serve(); }));
  std::vector<group_port> ports;
  for (int i = 0; i < 3; ++i) ports.push_back(c.at(i).port("room"));
  const std::vector<std::byte> message(size);
  for (auto& port : ports)
    for (std::size_t i = 0; i < count; ++i) {
      port.submit(message, i);
      port.flush();
    }
  std::size_t most = 0;
  REQUIRE(eventually([&] { return c.at(0).primary("room").pending_bytes > bound; }));
  for (int i = 0; i < 100; ++i) {
    std::this_thread::sleep_for(10ms);
    for (int n = 0; n < 3; ++n) most = std::max(most, c.at(n).primary("room").pending_bytes);
  }
  MESSAGE(most << " bytes pend of " << 3 * size * count);
  CHECK(most < 2 * bound + 3 * 2 * (64u << 10));  // and what is in the three windows when they stop
  gate->open = true;
  {
    const std::lock_guard lock(gate->mutex);
    gate->look_again();
  }
  std::size_t replied = 0, refused_ones = 0, other = 0;
  completion_batch done;
  CHECK(eventually([&] {
    for (auto& port : ports)
      while (port.take(done))
        for (std::size_t i = 0; i < done.size(); ++i) ++(done[i].outcome == outcome::replied ? replied : refused(done[i].outcome) ? refused_ones : other);
    return replied + refused_ones + other == 3 * count;
  }));
  CHECK(other == 0);
  CHECK(refused_ones == 0);
  std::string answer;
  CHECK(c.ask(0, "", reads::linearizable, answer) == outcome::replied);
  CHECK(answer == std::to_string(replied));
  for (int n = 0; n < 3; ++n) CHECK(c.at(n).primary("room").pending_bytes == 0);
}

TEST_CASE("a state machine answers a message at a later one; who waits too long is told unknown") {
  const auto how = in_memory().with(&contract::outcome_bound, 500ms).with(&contract::single, true);
  cluster c(1, how, [&](node& n, int) { n.replicate<lock_machine>("room", how); });
  c.start_all();
  REQUIRE(eventually([&] { return c.all_serve(); }));
  auto port = c.at(0).port("room");
  const auto say = [&](const char* what, std::uint64_t tag) {
    port.submit(std::as_bytes(std::span(what, std::strlen(what))), tag);
    port.flush();
  };
  std::map<std::uint64_t, std::pair<outcome, std::string>> got;
  const auto wait_for = [&](std::uint64_t tag) {
    completion_batch done;
    return eventually([&] {
      while (port.take(done))
        for (std::size_t i = 0; i < done.size(); ++i) CHECK(got.try_emplace(done[i].tag, done[i].outcome, text_of(done[i].reply)).second);
      return got.contains(tag);
    });
  };
  say("acquire", 1);
  say("acquire", 2);
  REQUIRE(wait_for(1));
  CHECK(got[1].second == "at once");
  CHECK_FALSE(got.contains(2));
  say("release", 3);
  REQUIRE(wait_for(2));
  CHECK(got[2].second == "after 3");
  say("acquire", 4);
  REQUIRE(wait_for(4));
  CHECK(got[4].first == outcome::unknown);
  say("release", 5);
  REQUIRE(wait_for(5));
  CHECK(got.size() == 5);  // each was answered once
}

TEST_CASE("what cannot be hosted is refused with the reason") {
  node_config config;
  config.name = "a";
  config.members = {{"a", "127.0.0.1:1"}, {"b", "127.0.0.1:2"}, {"c", "127.0.0.1:3"}};
  config.epoch = 1;
  config.groups["room"] = in_memory();
  config.data = "/tmp/never-made";
  node n(config);
  const auto make = [] { return std::make_unique<lottery>(std::make_shared<lottery::watch>()); };
  auto how = in_memory();
  CHECK_THROWS_AS(n.replicate_primary("g", make, how.with(replication::active)), node_error);
  CHECK_THROWS_AS(n.replicate_primary("g", nullptr, how), node_error);
  CHECK_THROWS_AS(n.replicate<lock_machine>("g", how.with(replication::primary_backup)), node_error);
  CHECK_THROWS_AS(n.replicate<lock_machine>("g", how.with(&contract::deterministic, false)), node_error);
  CHECK_NOTHROW(n.replicate_primary("g", make, how.with(&contract::deterministic, false)));
}

TEST_SUITE_END();
