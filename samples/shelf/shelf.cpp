// Words that are typed stay on this node's shelf, and ?WORD asks all nodes whether it is on theirs: some node may be
// gone meanwhile.
#include <cohort/node.hpp>

#include <iostream>
#include <mutex>
#include <set>
#include <thread>

struct shelf {
  std::mutex mutex;
  std::set<std::string> words;
};

class clerk final : public cohort::listener, public cohort::call_handler {
public:
  explicit clerk(std::shared_ptr<shelf> s) : shelf_(std::move(s)) {}
  void deliver(const cohort::delivery_batch&) override {}
  void answer_call(const cohort::delivery& question, cohort::order, cohort::reply& answer) override {
    std::lock_guard guard(shelf_->mutex);
    answer.write(
        shelf_->words.contains({reinterpret_cast<const char*>(question.payload.data()), question.payload.size()})
            ? "yes"
            : "no");
  }

private:
  std::shared_ptr<shelf> shelf_;
};

int main(int argc, char** argv) try {
  cohort::node node{cohort::config_from_arguments(argc, argv)};  // --name n1 --data d1 --member n1=127.0.0.1:7101 ...
  auto mine = std::make_shared<shelf>();
  const auto how = cohort::contract::multicast(cohort::order::fifo).with(&cohort::contract::calls, true);
  node.listen(
      "shelves", [mine] { return std::make_unique<clerk>(mine); }, how);
  node.start();
  auto port = node.port("shelves");
  cohort::completion_batch done;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.starts_with('?')) {
      std::lock_guard guard(mine->mutex);
      mine->words.insert(line);
      std::cout << "kept" << std::endl;
      continue;
    }
    port.call(std::as_bytes(std::span(line).subspan(1)), 0,
              {.how = cohort::collate::all, .within = std::chrono::seconds(20)});
    port.flush();
    while (!port.take(done)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cohort::call_report report;
    read_report(done[0].reply, report);
    std::cout << (report.met() ? "all that are left" : to_string(done[0].outcome)) << ", view " << report.view << ':';
    for (const auto& m : report.members)
      std::cout << ' ' << m.member << ' '
                << (m.what == cohort::member_standing::answered ? m.text() : to_string(m.what));
    std::cout << std::endl;
  }
  return node.run();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
