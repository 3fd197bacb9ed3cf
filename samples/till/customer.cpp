// Pays the amounts on stdin at the till, each once, whatever happens to its nodes and to this program: customer RECORD HOST:PORT...
// RECORD has a line for each amount that was paid. Given the same amounts after it was killed, it goes on behind them.
#include <cohort/client.hpp>

#include <fstream>
#include <iostream>

int main(int argc, char** argv) try {
  const std::string record = argv[1];
  cohort::client till({.gateways = {argv + 2, argv + argc}, .group = "till", .session_file = record + ".session"});
  std::uint64_t paid = 0, line = 0;
  std::ifstream before(record);
  for (std::string answer; std::getline(before, answer);) ++paid;
  for (auto number : till.unacknowledged())
    if (number <= paid) till.acknowledge(number);  // killed between the two lines below that end with "here"

  std::ofstream out(record, std::ios::app);
  for (std::string amount; std::getline(std::cin, amount);) {
    if (++line <= paid) continue;
    // The line's number is the call's, in all lives: if it was used before, the answer is that of then.
    auto sum = till.call(amount, {.within = std::chrono::seconds(10), .number = line}).get();
    if (sum.what == cohort::call_outcome::unknown) sum = till.ask(line).get();  // the till cannot be reached: waits until it can
    std::string answer(sum.what == cohort::call_outcome::replied ? sum.text() : to_string(sum.what));
    out << answer << std::endl;  // here
    till.acknowledge(line);      // here
    std::cout << answer << std::endl;
  }
  std::cout << "the till holds " << till.read("").get().text() << std::endl;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
