// A node that sells tickets: --buyers PORT [--seats N] [--backup hot|warm|cold], and a node's own options.
#include "box_office.hpp"
#include "counter_hall.hpp"

#include <charconv>
#include <iostream>
#include <optional>

namespace {

std::uint32_t number(const std::string& option, const std::string& text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > most)
    throw cohort::node_error(option + " wants a number from 1 to " + std::to_string(most) + ", not \"" + text + "\"");
  return value;
}

cohort::backup_kind kind(const std::string& text) {
  if (text == "hot") return cohort::backup_kind::hot;
  if (text == "warm") return cohort::backup_kind::warm;
  if (text == "cold") return cohort::backup_kind::cold;
  throw cohort::node_error("--backup is hot, warm or cold, not \"" + text + "\"");
}

}  // namespace

int main(int argc, char** argv) try {
  std::uint32_t buyers = 0, seats = 1000;
  auto backups = cohort::backup_kind::hot;
  std::vector<char*> rest{argv[0]};
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option != "--buyers" && option != "--seats" && option != "--backup") {
      rest.push_back(argv[i]);
      continue;
    }
    if (++i == argc) throw cohort::node_error(option + " wants a value");
    if (option == "--buyers") buyers = number(option, argv[i], 65535);
    if (option == "--seats") seats = number(option, argv[i], 1'000'000);
    if (option == "--backup") backups = kind(argv[i]);
  }
  if (buyers == 0) throw cohort::node_error("say on which port buyers are served: --buyers PORT");
  cohort::node node{cohort::config_from_arguments(static_cast<int>(rest.size()), rest.data())};
  auto how = cohort::contract{}.with(&cohort::contract::deterministic, false);
  node.replicate_primary("tickets", [seats] { return std::make_unique<box_office>(seats); }, how, backups);
  node.start();
  counter_hall hall(node, "tickets", static_cast<std::uint16_t>(buyers));
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
