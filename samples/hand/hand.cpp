// One hand on a device: each line read from stdin, at any member, is given to the device by whichever member is in office.
#include "device.hpp"

#include <cohort/node.hpp>

#include <iostream>
#include <thread>

class hand final : public cohort::singleton {
  device device_;
  cohort::fencing_token token_ = 0;

  void started(cohort::fencing_token token) override { token_ = token; }

  // What it throws ends this instance, and another one is given the message again, here or elsewhere.
  void handle(const cohort::delivery& message, cohort::reply& answer) override {
    const std::string line(reinterpret_cast<const char*>(message.payload.data()), message.payload.size());
    answer.write(device_.say(token_, message.position, line));
  }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  node.host_singleton("hand", [] { return std::make_unique<hand>(); },
                      cohort::contract{}.with(&cohort::contract::outcome_bound, std::chrono::seconds(30)));
  node.start();
  auto port = node.port("hand");
  cohort::completion_batch answers;
  for (std::string line; std::getline(std::cin, line);) {
    do {  // what was refused had no effect; what is unknown may still be done
      port.submit(std::as_bytes(std::span(line)), 0);
      port.flush();
      while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (refused(answers[0].outcome));
    const auto& r = answers[0].reply;
    std::cout << (answers[0].outcome == cohort::outcome::replied ? std::string(reinterpret_cast<const char*>(r.data()), r.size()) : "unknown")
              << std::endl;
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
