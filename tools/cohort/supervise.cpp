#include "tools/cohort/commands.hpp"

#include "framework/supervision/restart_window.hpp"

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace cohort::tool {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct supervise_options {
  std::vector<std::string> command;
  double first_delay_s = 0.5;
  double longest_delay_s = 30;
  unsigned failures_max = 10;
  double window_s = 300;
  double stop_limit_s = 60;
};

std::chrono::nanoseconds seconds(double s) { return std::chrono::nanoseconds(static_cast<std::int64_t>(s * 1e9)); }

void say(const std::string& line) {
  char when[32];
  const auto now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
  std::cerr << when << " cohort supervise: " << line << std::endl;
}

std::string age(std::chrono::nanoseconds t) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(t).count()) + " ms";
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "ended with exit code " + std::to_string(WEXITSTATUS(status));
  return std::string("was ended by signal ") + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")" +
         (WCOREDUMP(status) ? ", core dumped" : "");
}

/// Runs one command again and again. Its children, should it leave any, are taken over and ended before it runs again: two
/// nodes of one data directory, or a port still in use, would be the next failure.
class watcher {
public:
  explicit watcher(const supervise_options& o)
      : options_(o),
        limits_{.first_delay = seconds(o.first_delay_s),
                .longest_delay = seconds(o.longest_delay_s),
                .failures_max = o.failures_max,
                .window = seconds(o.window_s)},
        window_(limits_) {}

  int run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t taken;
    sigemptyset(&taken);
    for (int s : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&taken, s);
    ::sigprocmask(SIG_BLOCK, &taken, &before_);
    signals_ = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    unsigned in_a_row = 0;
    for (;;) {
      const auto started = steady::now();
      if (!start()) return wrong_usage;
      const int status = watch();
      end_orphans();
      const auto lived = steady::now() - started;
      if (stopping_) {
        say("the node " + how_it_ended(status) + "; asked to stop, so that is all");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        say("the node ended with exit code 0 after " + age(lived) + ", of its own will: not started again");
        return 0;
      }
      if (lived > limits_.window) in_a_row = 0;
      ++restarts_;
      if (!window_.failed(steady::now().time_since_epoch())) {
        say("CRASH LOOP: the node " + how_it_ended(status) + ", failure " + std::to_string(window_.failures()) + " within " +
            age(limits_.window) + ": given up. Its own log tells why; start this again when that is cured");
        return crash_loop;
      }
      const auto delay = supervision::restart_delay(limits_, ++in_a_row, [this] { return random_(); });
      say("the node " + how_it_ended(status) + " after " + age(lived) + ", failure " + std::to_string(window_.failures()) +
          " of at most " + std::to_string(limits_.failures_max) + " within " + age(limits_.window) + ": starts again in " +
          age(delay));
      if (in_a_row == 3) say("this is a crash loop so far: it failed " + std::to_string(in_a_row) + " times in a row");
      if (!wait(delay)) {
        say("asked to stop while the node was down");
        return 0;
      }
    }
  }

private:
  bool start() {
    int report[2];  // closed by a successful exec, written to by a failed one
    if (::pipe2(report, O_CLOEXEC) != 0) return false;
    const auto me = ::getpid();
    child_ = ::fork();
    if (child_ == 0) {
      ::sigprocmask(SIG_SETMASK, &before_, nullptr);
      ::setpgid(0, 0);                          // a Ctrl-C is ours to forward, not the terminal's
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);       // nor does the node survive us
      if (::getppid() != me) ::_exit(127);  // we went before that was set
      std::vector<char*> arguments;
      for (auto& a : options_.command) arguments.push_back(const_cast<char*>(a.c_str()));
      arguments.push_back(nullptr);
      ::execvp(arguments[0], arguments.data());
      const int why = errno;
      (void)!::write(report[1], &why, sizeof why);
      ::_exit(127);
    }
    ::close(report[1]);
    int why = 0;
    const bool failed = child_ < 0 || ::read(report[0], &why, sizeof why) == sizeof why;
    ::close(report[0]);
    if (failed) {
      say("cannot run " + options_.command[0] + ": " + std::strerror(child_ < 0 ? errno : why));
      if (child_ > 0) ::waitpid(child_, nullptr, 0);
      return false;
    }
    say("started " + options_.command[0] + " as process " + std::to_string(child_) +
        (restarts_ > 0 ? ", restart " + std::to_string(restarts_) : ""));
    return true;
  }

  /// Until the node has ended; its status.
  int watch() {
    for (;;) {
      take_signals(true);
      int status = 0;
      if (reap(status)) return status;
      auto wait_for = -1;
      if (stopping_) {
        const auto left = kill_at_ - steady::now();
        if (left <= 0ns && !killed_) {
          say("the node has not ended within its stop limit: killed");
          ::kill(-child_, SIGKILL);
          killed_ = true;
        }
        if (!killed_) wait_for = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
      }
      pollfd p{signals_, POLLIN, 0};
      ::poll(&p, 1, wait_for);
    }
  }

  /// True once the node itself is among the dead; those it left behind are waited for, too.
  bool reap(int& status) {
    for (;;) {
      int s = 0;
      const auto dead = ::waitpid(-1, &s, WNOHANG);
      if (dead <= 0) return false;
      if (dead != child_) continue;
      status = s;
      return true;
    }
  }

  /// What the node started and left behind: its process group, and whatever became our child.
  void end_orphans() {
    ::kill(-child_, SIGKILL);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    for (int turn = 0; turn < 100; ++turn) {
      const auto left = our_children();
      if (left.empty()) return;
      for (auto pid : left) ::kill(pid, SIGKILL);
      for (auto pid : left) ::waitpid(pid, nullptr, 0);
    }
  }

  static std::vector<pid_t> our_children() {
    std::vector<pid_t> all;
    const auto path = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), std::fclose);
    int pid = 0;
    while (file && std::fscanf(file.get(), "%d", &pid) == 1) all.push_back(pid);
    return all;
  }

  void take_signals(bool running) {
    signalfd_siginfo s{};
    while (::read(signals_, &s, sizeof s) == sizeof s) {
      const int number = static_cast<int>(s.ssi_signo);
      if (number == SIGCHLD) continue;
      const bool ends = number == SIGTERM || number == SIGINT || number == SIGQUIT;
      if (ends && !stopping_) {
        stopping_ = true;
        kill_at_ = steady::now() + seconds(options_.stop_limit_s);
        say(std::string("got ") + ::strsignal(number) + (running ? ": forwarded, the node stops" : ""));
      }
      if (running) ::kill(child_, number);
    }
  }

  /// False if it was asked to stop meanwhile.
  bool wait(std::chrono::nanoseconds delay) {
    const auto end = steady::now() + delay;
    while (!stopping_ && steady::now() < end) {
      pollfd p{signals_, POLLIN, 0};
      ::poll(&p, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(end - steady::now()).count()));
      take_signals(false);
    }
    return !stopping_;
  }

  const supervise_options options_;
  const restart_limits limits_;
  supervision::restart_window window_;
  std::mt19937_64 random_{std::random_device{}()};
  sigset_t before_{};
  int signals_ = -1;
  pid_t child_ = -1;
  unsigned restarts_ = 0;
  bool stopping_ = false;
  bool killed_ = false;
  steady::time_point kill_at_;
};

}  // namespace

void add_supervise(CLI::App& program, int& code) {
  const auto chosen = std::make_shared<supervise_options>();
  auto* command = program.add_subcommand("supervise", "Runs a node's program and starts it again, after a back-off, whenever it "
                                                      "fails; forwards signals; ends with it");
  command->add_option("command", chosen->command, "The program and its arguments, behind --")->required()->type_name("COMMAND");
  command->add_option("--first-delay", chosen->first_delay_s, "Seconds before the first restart; doubles, with jitter")
    ->check(CLI::Range(0.001, 3600.0))->capture_default_str();
  command->add_option("--longest-delay", chosen->longest_delay_s, "Seconds")->check(CLI::Range(0.001, 86400.0))
    ->capture_default_str();
  command->add_option("--failures", chosen->failures_max, "So many within the window are survived; one more is a crash loop")
    ->check(CLI::Range(0u, 100000u))->capture_default_str();
  command->add_option("--window", chosen->window_s, "Seconds; slides")->check(CLI::Range(0.001, 604800.0))->capture_default_str();
  command->add_option("--stop-limit", chosen->stop_limit_s, "Seconds from SIGTERM to SIGKILL")->check(CLI::Range(0.0, 86400.0))
    ->capture_default_str();
  command->footer("Exit code: that of the node when it ended as asked or with 0; 2 the program cannot be run; 3 crash loop");
  command->callback([chosen, &code] { code = watcher(*chosen).run(); });
}

}  // namespace cohort::tool
