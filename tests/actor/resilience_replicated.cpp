// Resilient processes that a group holds: one node executes, another goes on.
#include "cluster.hpp"

#include <cohort/group.hpp>
#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>

#include <caf/all.hpp>

#include <doctest/doctest.h>

#include <random>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Gives each guest a number by chance, and tells the printer.
class doorman final : public resilient_machine {
public:
  std::optional<std::string> decide(const resilient_input& in, std::string& answer) const override {
    if (in.body != "?") return std::string(in.body) + '=' + std::to_string(std::random_device{}() % 1000);
    answer = std::to_string(guests_);
    return std::nullopt;
  }
  void apply(const resilient_event& e, resilient_output& out) override {
    ++guests_;
    if (e.body.starts_with("poison")) throw std::runtime_error("poison was taken");
    out.reply(e.body);
    out.send("printer", e.body);
    if (e.body.starts_with("pass")) out.send("local", "1");
  }
  void checkpoint(sink& out) const override { out.write_u64(guests_); }
  void restore(source& in, std::uint32_t) override { guests_ = in.read_u64(); }

private:
  std::uint64_t guests_ = 0;
};

/// What everybody who prints has seen, by number; each number says one thing for ever.
struct paper {
  std::mutex mutex;
  std::map<std::uint64_t, std::string> lines;
  std::uint64_t newest_activation = 0;
  int contradictions = 0;
};

caf::behavior printer(caf::event_based_actor*, const std::shared_ptr<paper>& on) {
  return {[on](const resilient_message& m) {
    const std::lock_guard lock(on->mutex);
    if (on->lines.try_emplace(m.number, m.body).first->second != m.body) ++on->contradictions;
    on->newest_activation = std::max(on->newest_activation, m.activation);
    return m.number;
  }};
}

struct house {
  std::shared_ptr<paper> on = std::make_shared<paper>();
  std::vector<std::unique_ptr<resilient_home>> homes;
  cluster nodes;
  std::map<int, caf::actor> printers;  // gone before their node

  house(int size, const contract& how, backup_kind kind)
      : homes(static_cast<std::size_t>(size)), nodes(size, how, [this, how, kind](node& n, int i) {
          homes[static_cast<std::size_t>(i)] = std::make_unique<resilient_home>(n);
          homes[static_cast<std::size_t>(i)]->replicate<doorman>("room", how, {.backups = kind});
        }) {}
  void start(int i) {
    nodes.start(i);
    printers[i] = actor_system_of(nodes.at(i)).spawn(printer, on);
    home(i).receiver("printer", printers[i]);
  }
  void kill(int i) {
    printers.erase(i);
    nodes.kill(i);
  }
  resilient_home& home(int i) { return *homes[static_cast<std::size_t>(i)]; }

  template <class... Ts>
  std::string ask(int i, Ts... what) {
    caf::scoped_actor self{actor_system_of(nodes.at(i))};
    std::string answer = "(none)";
    self->request(home(i).find("room"), 10s, what...)
      .receive([&](const std::string& a) { answer = a; }, [&](const caf::error& e) { answer = "error " + caf::to_string(e); });
    return answer;
  }
  /// As who has to know: until it is answered.
  std::string insist(int i, std::uint64_t number, const std::string& body) {
    std::string answer;
    CHECK(eventually([&] { return !(answer = ask(i, resilient_message{"guest", number, body})).starts_with("error"); }, 30s));
    return answer;
  }
  int active() {
    int found = -1;
    CHECK(eventually([&] {
      for (int i = 0; i < static_cast<int>(homes.size()); ++i)
        if (nodes.running(i) && nodes.at(i).primary("room").executes) found = i;
      return found >= 0;
    }));
    return found;
  }
  std::size_t printed() const {
    const std::lock_guard lock(on->mutex);
    return on->lines.size();
  }
};

}  // namespace

TEST_SUITE("resilience") {
  TEST_CASE("a replicated process goes on elsewhere when its node dies: each effect has one number, and none is lost") {
    for (const auto& [how, kind] : {std::pair{contract{}.with(durability::in_memory), backup_kind::hot},
                                    std::pair{contract{}, backup_kind::cold}}) {
      house h(3, how, kind);
      for (int i = 0; i < 3; ++i) h.start(i);
      REQUIRE(eventually([&] { return h.nodes.all_serve(); }));
      std::map<std::uint64_t, std::string> answers;
      std::uint64_t number = 0;
      for (; number < 20; ) ++number, answers[number] = h.insist(static_cast<int>(number % 3), number, "g" + std::to_string(number));
      CHECK(h.ask(0, std::string("?")) == "20");
      const auto first = h.active();
      CHECK(eventually([&] { return h.printed() == 20; }));
      CHECK(h.ask(1, resilient_message{"guest", number, "g"}) == answers[number]);  // once more: the same answer
      CHECK(h.ask(1, std::string("poison")).find("poison was taken") != std::string::npos);
      CHECK(h.ask(1, std::string("?")) == "20");
      h.kill(first);
      const auto other = (first + 1) % 3;
      for (; number < 40; ) ++number, answers[number] = h.insist(other, number, "g" + std::to_string(number));
      const auto second = h.active();
      CHECK(second != first);
      CHECK(h.ask(other, std::string("?")) == "40");
      CHECK(eventually([&] { return h.printed() == 40; }));
      CHECK(h.home(second).status().at(0).active);
      CHECK(h.home(second).status().at(0).life == h.nodes.at(second).primary("room").office + 1);
      h.start(first);
      REQUIRE(eventually([&] { return h.nodes.all_serve(); }));
      ++number, answers[number] = h.insist(first, number, "back");
      CHECK(h.active() == second);
      CHECK(eventually([&] { return h.printed() == 41; }));
      CHECK(h.on->contradictions == 0);
      {
        const std::lock_guard lock(h.on->mutex);
        for (const auto& [n, body] : h.on->lines) CHECK(body == answers[n]);
        CHECK(h.on->newest_activation == h.nodes.at(second).primary("room").office + 1);
      }
    }
  }
}
