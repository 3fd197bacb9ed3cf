// A replicated sum of a program that is not deterministic: for "coin" each member tosses its own. Each line read from stdin is a message,
// and its answer the sum; "?" asks for the sum here.
#include <cohort/node.hpp>

#include <iostream>
#include <random>
#include <thread>

class coins final : public cohort::state_machine {
  std::uint64_t sum_ = 0;

  static void write(cohort::reply& answer, std::uint64_t sum) { answer.write(std::to_string(sum)); }
  void apply(const cohort::delivery& d, cohort::reply& answer) override {
    const std::string_view text(reinterpret_cast<const char*>(d.payload.data()), d.payload.size());
    sum_ += 2;
    if (text == "coin") sum_ += std::random_device{}() % 2;
    write(answer, sum_);
  }
  void query(std::span<const std::byte>, cohort::reply& answer) const override { write(answer, sum_); }
  void checkpoint(cohort::sink& out) const override { out.write_u64(sum_); }
  void restore(cohort::source& in) override { sum_ = in.read_u64(); }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  node.replicate<coins>("coins", cohort::contract{}.with(&cohort::contract::compare_every, 5u));
  node.start();
  auto port = node.port("coins");
  cohort::completion_batch answers;
  for (std::string line; std::getline(std::cin, line);) {
    for (;;) {
      if (line == "?") port.query(std::as_bytes(std::span(line)), cohort::reads::local, 0);
      else port.submit(std::as_bytes(std::span(line)), 0);
      port.flush();
      while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (!refused(answers[0].outcome)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto& reply = answers[0].reply;
    std::cout << (answers[0].outcome == cohort::outcome::replied ? std::string(reinterpret_cast<const char*>(reply.data()), reply.size())
                                                                  : to_string(answers[0].outcome))
              << std::endl;
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
