// Draws lots: each name read from stdin gets a number by chance, and keeps it, whichever node is asked and whichever dies.
#include <cohort/node.hpp>

#include <iostream>
#include <map>
#include <random>
#include <thread>

class draw final : public cohort::primary_service {
  std::map<std::string, std::uint64_t> drawn_;

  static std::string text(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

  // At the primary: decides by whatever it likes, and writes what changes.
  void execute(const cohort::delivery& request, cohort::state_update& change, cohort::reply& answer) override {
    const auto name = text(request.payload);
    const auto known = drawn_.find(name);
    const auto number = known != drawn_.end() ? known->second : std::random_device{}();
    if (const auto line = name + '=' + std::to_string(number); known == drawn_.end()) change.write(std::as_bytes(std::span(line)));
    answer.write(std::to_string(number));
  }
  // Everywhere: changes the state as decided.
  void apply(std::span<const std::byte> change) override {
    const auto line = text(change);
    const auto equals = line.rfind('=');
    drawn_[line.substr(0, equals)] = std::stoull(line.substr(equals + 1));
  }
  void checkpoint(cohort::sink& out) const override {
    out.write_u64(drawn_.size());
    for (const auto& [name, number] : drawn_) out.write_bytes(name), out.write_u64(number);
  }
  void restore(cohort::source& in) override {
    drawn_.clear();
    for (auto count = in.read_u64(); count > 0; --count) {
      auto name = in.read_bytes();
      drawn_[name] = in.read_u64();
    }
  }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101 ...
  node.replicate_primary<draw>("draw");
  node.start();
  auto port = node.port("draw");
  cohort::completion_batch answers;
  for (std::string name; std::getline(std::cin, name);) {
    do {  // a name that is asked for again gets the same number, so what is unknown is simply asked again
      port.submit(std::as_bytes(std::span(name)), 0);
      port.flush();
      while (!port.take(answers)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } while (answers[0].outcome != cohort::outcome::replied);
    std::cout.write(reinterpret_cast<const char*>(answers[0].reply.data()), static_cast<std::streamsize>(answers[0].reply.size()))
      << std::endl;
  }
  return node.run();  // serves the others until SIGTERM
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
