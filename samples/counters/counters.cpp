// Counters that an operator creates and deletes while the nodes run: cohort group create NAME counter --node DIR. Each line read from
// stdin names a counter and what is added to it; "main" is always there. Counters of type "tally" are counted by one member, and the
// others follow (primary/backup).
#include <cohort/node.hpp>

#include <iostream>
#include <sstream>
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

class tally final : public cohort::primary_service {
  std::uint64_t sum_ = 0;

  static std::uint64_t number_in(std::span<const std::byte> text) {
    return std::strtoull(std::string(reinterpret_cast<const char*>(text.data()), text.size()).c_str(), nullptr, 10);
  }
  void execute(const cohort::delivery& request, cohort::state_update& change, cohort::reply& answer) override {
    const auto sum = std::to_string(sum_ + number_in(request.payload));
    change.write(std::as_bytes(std::span(sum)));
    answer.write(sum);
  }
  void apply(std::span<const std::byte> change) override { sum_ = number_in(change); }
  void checkpoint(cohort::sink& out) const override { out.write_u64(sum_); }
  void restore(cohort::source& in) override { sum_ = in.read_u64(); }
};

/// The new sum, or what became of the message. Throws `node_error` if there is no such counter here (any more).
std::string add(cohort::node& node, const std::string& name, const std::string& number) {
  cohort::completion_batch answers;
  for (;;) {
    auto port = node.port(name);
    port.submit(std::as_bytes(std::span(number)), 0);
    port.flush();
    while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto& a = answers[0];
    if (a.outcome == cohort::outcome::replied) return {reinterpret_cast<const char*>(a.reply.data()), a.reply.size()};
    if (!refused(a.outcome)) return to_string(a.outcome);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // it had no effect, so it may be submitted again
  }
}

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --catalogue yes, and as for the counter
  node.replicate<counter>("main");
  node.register_machine<counter>("counter");
  node.register_primary("tally", [] { return std::make_unique<tally>(); });
  node.start();
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string name, number;
    words >> name >> number;
    try {
      std::cout << add(node, name, number) << std::endl;
    } catch (const cohort::node_error& e) {
      std::cout << e.what() << std::endl;
    }
  }
  return node.run();  // serves the others until SIGTERM
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
