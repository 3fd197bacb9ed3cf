// A lock with a lease, and a register that only its holder writes. Lines on stdin, one number back for each:
//   take           waits for the lock: its token
//   put TOKEN N    writes N: 1, or 0 where a later token has been seen, or the lock was given to somebody else
//   get            the register
//   drop TOKEN     gives the lock back: 1, or 0 if it was not held
#include <cohort/fence.hpp>
#include <cohort/lock_table.hpp>
#include <cohort/node.hpp>

#include <iostream>
#include <sstream>
#include <thread>

class guarded_register final : public cohort::state_machine {
  static constexpr auto lease = std::chrono::seconds(2);
  cohort::lock_table locks_;
  cohort::fence fence_;
  std::uint64_t value_ = 0;

  void apply(const cohort::delivery& d, cohort::reply& answer) override {
    hand_on(d.time, answer);
    std::istringstream line(std::string(reinterpret_cast<const char*>(d.payload.data()), d.payload.size()));
    std::string what;
    std::uint64_t token = 0, number = 0;
    line >> what >> token >> number;
    if (what == "take") {
      const auto grant = locks_.acquire("register", lease, d.position);
      return grant ? answer.write(std::to_string(grant->token)) : answer.defer();
    }
    if (what == "put") {
      // A holder takes up its right by its first write; from there on nobody with an older token writes.
      const bool may = token <= locks_.last_token() && token >= locks_.holder("register") && fence_.admit(token);
      if (may) value_ = number;
      return answer.write(may ? "1" : "0");
    }
    if (what == "drop") {
      answer.write(locks_.release("register", token) ? "1" : "0");
      return hand_on(d.time, answer);
    }
    answer.write(std::to_string(value_));
  }
  void time_passed(const cohort::delivery& at, cohort::reply& answer) override { hand_on(at.time, answer); }
  std::optional<cohort::wall_time> next_due() const override { return locks_.next(); }
  /// Gives the lock to who waits if its lease is over by agreed time: at the same place of the order everywhere.
  void hand_on(cohort::wall_time now, cohort::reply& answer) {
    for (const auto& g : locks_.advance(now)) answer.settle(g.asked, std::to_string(g.token));
  }
  void checkpoint(cohort::sink& out) const override {
    locks_.checkpoint(out);
    fence_.checkpoint(out);
    out.write_u64(value_);
  }
  void restore(cohort::source& in) override {
    locks_.restore(in);
    fence_.restore(in);
    value_ = in.read_u64();
  }
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};
  node.replicate<guarded_register>("lease", cohort::contract{}.with(&cohort::contract::outcome_bound, std::chrono::seconds(30)));
  node.start();
  auto port = node.port("lease");
  cohort::completion_batch answers;
  for (std::string line; std::getline(std::cin, line);) {
    bool done = false, again = true;
    while (!done) {
      if (std::exchange(again, false)) {
        port.submit(std::as_bytes(std::span(line)), 1);
        port.flush();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      while (port.take(answers))
        for (std::size_t i = 0; i < answers.size(); ++i) {
          again = refused(answers[i].outcome);  // it had no effect, so it may be submitted again
          done = !again;
          if (!done) continue;
          const auto& r = answers[i].reply;
          std::cout << (answers[i].outcome == cohort::outcome::replied ? std::string(reinterpret_cast<const char*>(r.data()), r.size())
                                                                       : to_string(answers[i].outcome))
                    << std::endl;
        }
    }
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
