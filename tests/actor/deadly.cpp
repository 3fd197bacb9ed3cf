// A till that some payments bring down, and with it the whole process: "abort", "crash", "recurse", "exit", "hang"; on
// "throw..." it throws. Told that it is `--sound`, it digests them; `--forgetful`, it cannot redo what it once applied ("late"), and
// `--brittle`, it cannot read its checkpoints. A courier passes on what it is sent. Alone, or held by the nodes of a group. Driven
// by lines: "pay SENDER NUMBER BODY", "send BODY", "letters", "replay LETTER", "drop LETTER", "restarts", "children", "status",
// "redo NAME", "tell BODY".
#include <cohort/group.hpp>
#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>

#include <caf/all.hpp>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

namespace {

bool sound = false, forgetful = false, brittle = false;

int recurse(volatile int* depth) {
  volatile int room[1000];
  room[0] = *depth + 1;
  if (room[0] < 0) return 0;  // the stack is long since at its end
  return recurse(room) + room[0];
}

void end_by(std::string_view how) {
  if (sound) return;
  if (how.starts_with("throw")) throw std::runtime_error("no " + std::string(how));
  if (forgetful && how == "late") std::abort();
  volatile int zero = 0;
  if (how == "abort") std::abort();
  if (how == "crash") *reinterpret_cast<volatile int*>(zero) = 1;
  if (how == "recurse") std::exit(recurse(&zero));
  if (how == "exit") std::_Exit(3);
  while (how == "hang") std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

class till final : public cohort::resilient_machine {
  void apply(const cohort::resilient_event& paid, cohort::resilient_output& out) override {
    end_by(paid.body);
    const auto amount = paid.body.find_first_of("0123456789");
    if (amount != std::string_view::npos) taken_ += std::atoll(std::string(paid.body.substr(amount)).c_str());
    out.reply(std::to_string(taken_));
  }
  void checkpoint(cohort::sink& out) const override { out.write_u64(static_cast<std::uint64_t>(taken_)); }
  void restore(cohort::source& in, std::uint32_t) override {
    if (brittle) std::abort();
    taken_ = static_cast<std::int64_t>(in.read_u64());
  }

  std::int64_t taken_ = 0;
};

class courier final : public cohort::resilient_machine {
  void apply(const cohort::resilient_event& e, cohort::resilient_output& out) override { out.send("till", e.body); }
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&, std::uint32_t) override {}
};

/// Of all members, and alike.
struct listener final : cohort::state_machine {
  void apply(const cohort::delivery& d, cohort::reply&) override {
    end_by({reinterpret_cast<const char*>(d.payload.data()), d.payload.size()});
  }
  void checkpoint(cohort::sink&) const override {}
  void restore(cohort::source&) override {}
};

void pay(cohort::node& at, const caf::actor& till, std::istream& words) {
  std::string from, body;
  std::uint64_t number = 0;
  words >> from >> number >> body;
  caf::scoped_actor customer{cohort::actor_system_of(at)};
  auto asked = from == "-"
                   ? customer->request(till, std::chrono::seconds(20), body)
                   : customer->request(till, std::chrono::seconds(20), cohort::resilient_message{from, number, body});
  asked.receive([&](const std::string& taken) { std::cout << number << " taken " << taken << std::endl; },
                [&](const caf::error& e) { std::cout << number << " error " << caf::to_string(e) << std::endl; });
}

}  // namespace

int main(int argc, char** argv) try {
  const auto options = {std::pair("--sound", &sound), std::pair("--forgetful", &forgetful), std::pair("--brittle", &brittle)};
  for (const auto& [option, is] : options)
    if (argc > 1 && std::string_view(argv[1]) == option) {
      *is = true;
      --argc, ++argv;
    }
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  cohort::resilient_home home{node};
  const bool together = node.config().members.size() > 1;
  if (together) {
    home.replicate<till>("till");
    home.replicate<courier>("courier");
  } else {
    node.replicate<listener>("ear", {.single = true});
  }
  node.start();
  auto supervisors = cohort::supervisors_of(node);
  cohort::supervision_tree shop("shop", {.limits = {.failures_max = 100, .at_once = 1}});
  if (!together) home.add_to<till>(shop, "till", {.checkpoints = {.events = 10}});
  if (!together) home.add_to<courier>(shop, "courier");
  supervisors.start(shop);
  std::cout << "up" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "pay") pay(node, together ? home.find("till") : supervisors.address("shop/till"), words);
    if (what == "send") {
      words >> what;
      caf::anon_send(together ? home.find("courier") : supervisors.address("shop/courier"), what);
      std::cout << "sent" << std::endl;
    }
    if (what == "drop") {
      std::uint64_t number = 0;
      words >> number;
      std::cout << supervisors.drop(number) << std::endl;
    }
    if (what == "children") {
      for (const auto& c : supervisors.children()) std::cout << c.path << ' ' << c.state << ' ' << c.restarts << " | ";
      std::cout << std::endl;
    }
    if (what == "status") {
      for (const auto& s : home.status())
        std::cout << s.name << " active " << s.active << " outbox " << s.outbox << " undelivered " << s.undelivered << " down "
                  << s.down << " | ";
      std::cout << std::endl;
    }
    if (what == "redo") {
      words >> what;
      std::cout << home.redo(what) << std::endl;
    }
    if (what == "tell") {
      words >> what;
      caf::anon_send(cohort::group_handle(node, "ear"), what);
    }
    if (what == "letters") {
      for (const auto& l : supervisors.dead_letters())
        std::cout << l.number << ' ' << l.path << ' ' << l.kills << ' ' << l.replayable << ' ' << l.cause << ": "
                  << l.message << " | ";
      std::cout << std::endl;
    }
    if (what == "replay") {
      std::uint64_t number = 0;
      words >> number;
      std::cout << supervisors.replay(number) << std::endl;
    }
    if (what == "restarts") {
      for (const auto& r : home.restarts()) std::cout << r.name << ": " << r.cause << " | ";
      std::cout << std::endl;
    }
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
