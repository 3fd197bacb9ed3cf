// Pays the amounts on stdin at the till, each once, whatever happens to its nodes meanwhile: customer HOST:PORT...
#include <cohort/client.hpp>

#include <iostream>

int main(int argc, char** argv) try {
  cohort::client till({.gateways = {argv + 1, argv + argc}, .group = "till"});
  for (std::string amount; std::getline(std::cin, amount);) {
    auto paid = till.call(amount, {.within = std::chrono::seconds(10)}).get();
    if (paid.what == cohort::call_outcome::unknown) paid = till.ask(paid.id).get();  // the till cannot be reached: waits until it can
    std::cout << (paid.what == cohort::call_outcome::replied ? paid.text() : to_string(paid.what)) << std::endl;
  }
  std::cout << "the till holds " << till.read("").get().text() << std::endl;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
