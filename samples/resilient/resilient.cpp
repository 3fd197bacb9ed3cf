// A till that forgets nothing: it adds what is paid, and has each receipt printed once, whatever is killed when. On one node
// its disk remembers; on several they remember together, and one goes on where another ends.
#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>

#include <caf/all.hpp>

#include <fstream>
#include <iostream>

class till final : public cohort::resilient_machine {
  void apply(const cohort::resilient_event& paid, cohort::resilient_output& out) override {
    taken_ += std::stoll(std::string(paid.body));
    out.send("printer", std::to_string(taken_));
    out.reply(std::to_string(taken_));
  }
  void checkpoint(cohort::sink& out) const override { out.write_u64(static_cast<std::uint64_t>(taken_)); }
  void restore(cohort::source& in, std::uint32_t) override { taken_ = static_cast<std::int64_t>(in.read_u64()); }

  std::int64_t taken_ = 0;
};

struct nothing final : cohort::state_machine {  // one node alone hosts a group, too; it is left alone
  void apply(const cohort::delivery&, cohort::reply&) override {}
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&) override {}
};

/// The world outside: a file. It may be given a receipt twice, with the same number, and leaves it to the reader to see
/// that.
caf::behavior printer(const std::string& file) {
  return {[out = std::make_shared<std::ofstream>(file, std::ios::app)](const cohort::resilient_message& m) {
    *out << m.number << ' ' << m.body << ' ' << m.activation << std::endl;
    return m.number;
  }};
}

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101 ...
  cohort::resilient_home home{node};
  const bool together = node.config().members.size() > 1;
  if (together) home.replicate<till>("till");
  else node.replicate<nothing>("idle", {.single = true});
  node.start();
  auto supervisors = cohort::supervisors_of(node);
  cohort::supervision_tree shop("shop");
  shop.child("printer", [file = (node.config().data / "receipts").string()](cohort::child_start& at) {
    return at.spawn([file](cohort::process*) { return printer(file); });
  });
  if (!together) home.add_to<till>(shop, "till", {.checkpoints = {.events = 50}});
  supervisors.start(shop);
  home.receiver("printer", supervisors.address("shop/printer"));
  auto address = together ? home.find("till") : supervisors.address("shop/till");

  std::uint64_t number;
  for (std::string amount;
       std::cin >> number >> amount;) {  // numbered by who pays: paying again under a number costs nothing
    caf::scoped_actor customer{cohort::actor_system_of(node)};
    customer->request(address, std::chrono::seconds(10), cohort::resilient_message{"customer", number, amount})
        .receive([&](const std::string& taken) { std::cout << number << " taken: " << taken << std::endl; },
                 [&](const caf::error&) { std::cout << number << " try again" << std::endl; });
  }
  address = nullptr;
  return node.run();  // until SIGTERM
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
