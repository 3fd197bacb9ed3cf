// A shop of two actors under a supervisor: a till that cannot digest a negative price, and a clerk who asks it.
#include <cohort/supervisor.hpp>

#include <caf/all.hpp>

#include <iostream>

class till final : public cohort::process {
public:
  using process::process;

private:
  int taken_ = 0;

  caf::behavior make_behavior() override {
    return {[this](int price) {
      if (price < 0) throw std::invalid_argument("who pays " + std::to_string(price) + "?");
      return taken_ += price;
    }};
  }
};

struct nothing final : cohort::state_machine {  // a node hosts at least one group; this one is left alone
  void apply(const cohort::delivery&, cohort::reply&) override {}
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&) override {}
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101
  node.replicate<nothing>("idle", {.single = true});  // one node is meant
  node.start();
  auto supervisors = cohort::supervisors_of(node);

  cohort::supervision_tree shop("shop", {.strategy = cohort::restart_strategy::rest_for_one});
  shop.child<till>("till", {.mailbox = {.messages_max = 1000, .poison_after = 2}});
  shop.child("clerk", [supervisors](cohort::child_start& at) {  // starts after the till, and with each new one
    return at.spawn([till = supervisors.address("shop/till")](cohort::process* self) -> caf::behavior {
      return {[=](int price) { return self->delegate(till, price); }};
    });
  });
  supervisors.start(shop);

  for (int price; std::cin >> price;) {
    caf::scoped_actor customer{cohort::actor_system_of(node)};
    customer->request(supervisors.address("shop/clerk"), std::chrono::seconds(10), price)
      .receive([](int taken) { std::cout << "taken today: " << taken << std::endl; },
               [](const caf::error&) { std::cout << "the till broke" << std::endl; });
  }
  for (auto& child : supervisors.children())
    std::cout << child.path << ": " << child.state << ", restarts " << child.restarts << ", last cause: " << child.last_cause << '\n';
  for (auto& letter : supervisors.dead_letters())
    std::cout << "put aside: " << letter.message << " for " << letter.path << ": " << letter.cause << std::endl;
  return node.run();  // until SIGTERM: then clerk, till and node stop, in this order
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
