// One hand on a device that is an actor: each line read from stdin, at any member, is given to the device by the actor, which runs at
// whichever member is in office.
#include "device.hpp"

#include <cohort/group.hpp>
#include <cohort/singleton_actor.hpp>

#include <caf/all.hpp>

#include <iostream>
#include <thread>

class hand final : public cohort::process {
public:
  hand(caf::actor_config& config, cohort::fencing_token token) : process(config), token_(token) {}

private:
  device device_;
  const cohort::fencing_token token_;

  // What is thrown ends this life of the actor, and the next one is given the request again.
  caf::behavior make_behavior() override {
    return {[this](const cohort::singleton_request& r) { return device_.say(token_, r.position, r.body); }};
  }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  cohort::spawn_singleton<hand>(node, "hand", cohort::contract{}.with(&cohort::contract::outcome_bound, std::chrono::seconds(30)));
  node.start();
  {
    caf::scoped_actor self{cohort::actor_system_of(node)};
    const auto group = cohort::group_handle(node, "hand");  // whoever in office: it gets what is sent here, in one order
    for (std::string line; std::getline(std::cin, line);) {
      auto became = cohort::outcome::replied;
      do {  // what was refused had no effect; what is unknown may still be done
        self->request(group, caf::infinite, line)
          .receive(
            [&](const std::string& answer) {
              became = cohort::outcome::replied;
              std::cout << answer << std::endl;
            },
            [&](const caf::error& why) { became = cohort::outcome_of(why); });
        if (refused(became)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      } while (refused(became));
      if (became != cohort::outcome::replied) std::cout << "unknown" << std::endl;
    }
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
