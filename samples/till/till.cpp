// A till on every node: each request adds an amount and answers the sum. A client's request is executed once.
#include <cohort/node.hpp>

#include <iostream>

class till final : public cohort::state_machine {
  std::int64_t sum_ = 0;

  void apply(const cohort::delivery& d, cohort::reply& answer) override {
    sum_ += std::strtoll(std::string(reinterpret_cast<const char*>(d.payload.data()), d.payload.size()).c_str(), nullptr, 10);
    answer.write(std::to_string(sum_));
  }
  void query(std::span<const std::byte>, cohort::reply& answer) const override { answer.write(std::to_string(sum_)); }
  void checkpoint(cohort::sink& out) const override { out.write_u64(static_cast<std::uint64_t>(sum_)); }
  void restore(cohort::source& in) override { sum_ = static_cast<std::int64_t>(in.read_u64()); }
};

int main(int argc, char** argv) try {
  // --name n1 --data d1 --member n1=127.0.0.1:7101 ... --gateway n1=127.0.0.1:7201 ...
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  node.replicate<till>("till", cohort::contract{}.with(&cohort::contract::sessions, true).with(&cohort::contract::calls, true));
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
