// A counter replicated on every node: each line read from stdin adds its number, and the sum is the same everywhere.
#include <cohort/node.hpp>

#include <iostream>
#include <thread>

class counter final : public cohort::state_machine {
  std::uint64_t sum_ = 0;

  void apply(const cohort::delivery& d, cohort::reply& answer) override {
    auto text = std::string(reinterpret_cast<const char*>(d.payload.data()), d.payload.size());
    sum_ += std::strtoull(text.c_str(), nullptr, 10);
    answer.write(std::to_string(sum_));
  }
  void checkpoint(cohort::sink& out) const override { out.write_u64(sum_); }
  void restore(cohort::source& in) override { sum_ = in.read_u64(); }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101 ...
  node.replicate<counter>("counter");
  node.start();
  auto port = node.port("counter");
  cohort::completion_batch answers;
  for (std::string line; std::getline(std::cin, line);) {
    do {  // a refused message had no effect, so it may be submitted again
      port.submit(std::as_bytes(std::span(line)), 0);
      port.flush();
      while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (refused(answers[0].outcome));
    std::string sum(reinterpret_cast<const char*>(answers[0].reply.data()), answers[0].reply.size());
    std::cout << (answers[0].outcome == cohort::outcome::replied ? sum : to_string(answers[0].outcome)) << std::endl;
  }
  return node.run();  // serves the others until SIGTERM
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
