// A chat room that goes on in every part of a network that fell apart, and becomes one again afterwards.
#include "room.hpp"

#include <cohort/node.hpp>

#include <poll.h>
#include <unistd.h>
#include <csignal>

#include <iostream>

namespace {

/// One line at a time, from whichever thread.
class console {
public:
  void say(const std::string& line) {
    std::lock_guard guard(mutex_);
    std::cout << line << std::endl;
  }

private:
  std::mutex mutex_;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& n : names) text += (text.empty() ? "" : ", ") + n;
  return text.empty() ? "nobody" : text;
}

/// False at the end of the input.
bool read_some(std::string& into) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, 50) <= 0) return true;
  char bytes[4096];
  const auto n = read(STDIN_FILENO, bytes, sizeof bytes);
  if (n > 0) into.append(bytes, static_cast<std::size_t>(n));
  return n > 0;
}

/// SIGTERM and SIGINT: the node has them blocked in this thread, so they wait here.
bool told_to_stop() {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  const timespec now{0, 0};
  return sigtimedwait(&stops, nullptr, &now) > 0;
}

void show_history(const chat::room& where, console& out) {
  const auto lines = where.lines();
  std::string text;
  for (const auto& [key, line] : lines) text += "  " + key.author + ": " + chat::shown(line) + "\n";
  out.say(text + "  " + std::to_string(lines.size()) + " lines");
}

void report(cohort::group_port& port, console& out) {
  cohort::completion_batch answers;
  if (!port.take(answers)) return;
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i].outcome != cohort::outcome::replied)
      out.say(std::string("! not said, or perhaps not: ") + to_string(answers[i].outcome));
}

}  // namespace

int main(int argc, char** argv) try {
  using namespace std::chrono_literals;
  cohort::node node{
      cohort::config_from_arguments(argc, argv)};  // --name anna --data d1 --member anna=127.0.0.1:7101 ...
  std::vector<std::string> members;
  for (const auto& m : node.config().members) members.push_back(m.name);
  chat::room room(members);
  console out;
  const auto how = cohort::contract::multicast(cohort::order::causal)
                       .with(cohort::partition_policy::partitionable, cohort::merge_policy::application)
                       .with(&cohort::contract::fail_after, 1000ms);
  node.listen(
      "room", [&] { return std::make_unique<chat::visitor>(room, [&](const auto& line) { out.say(line); }); }, how);
  node.start();
  auto port = node.port("room");
  out.say("* type a line to say it; /who, /history, /quit");
  std::string input;
  for (bool open = true; open;) {
    open = read_some(input) && !told_to_stop();
    for (std::size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
      const auto line = input.substr(0, end);
      if (line == "/quit") {
        open = false;
      } else if (line == "/who") {
        out.say("* here: " + joined(room.present()) + "; out of reach: " + joined(room.absent()));
      } else if (line == "/history") {
        show_history(room, out);
      } else if (!line.empty()) {
        const auto message = room.compose(line);
        port.submit(std::span(message), 0);
        port.flush();
      }
    }
    report(port, out);
    if (!node.failure().empty()) throw cohort::node_error(node.failure());
  }
  node.stop();
} catch (const cohort::node_error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
