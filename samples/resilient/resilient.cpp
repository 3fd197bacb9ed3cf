// A till that forgets nothing: it adds what is paid, and has each receipt printed once, whatever is killed when.
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

struct nothing final : cohort::state_machine {  // a node hosts at least one group; this one is left alone
  void apply(const cohort::delivery&, cohort::reply&) override {}
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&) override {}
};

/// The world outside: a file. It may be given a receipt twice, with the same number, and leaves it to the reader to see
/// that.
caf::behavior printer(caf::event_based_actor*, const std::string& file) {
  return {[out = std::make_shared<std::ofstream>(file, std::ios::app)](const cohort::resilient_message& m) {
    *out << m.number << ' ' << m.body << std::endl;
    return m.number;
  }};
}

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101
  node.replicate<nothing>("idle", {.single = true});             // one node is meant
  node.start();
  auto& system = cohort::actor_system_of(node);
  const auto receipts = system.spawn(printer, (node.config().data / "receipts").string());

  cohort::resilient_home home{cohort::stable_storage_of(node)};
  home.receiver("printer", receipts);
  cohort::supervision_tree shop("shop");
  home.add_to<till>(shop, "till", {.checkpoints = {.events = 50}});
  auto supervisors = cohort::supervisors_of(node);
  supervisors.start(shop);

  std::uint64_t number;
  for (std::string amount;
       std::cin >> number >> amount;) {  // numbered by who pays: paying again under a number costs nothing
    caf::scoped_actor customer{system};
    customer
        ->request(supervisors.address("shop/till"), std::chrono::seconds(10),
                  cohort::resilient_message{"customer", number, amount})
        .receive([&](const std::string& taken) { std::cout << number << " taken: " << taken << std::endl; },
                 [&](const caf::error&) { std::cout << number << " try again" << std::endl; });
  }
  caf::anon_send_exit(receipts, caf::exit_reason::user_shutdown);
  return node.run();  // until SIGTERM
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
