// One of the nodes whose group (with `--groups N`: groups) is measured: volatile, of one order (`--order NAME`, total if none
// is named), every message delivered to an application process on each node; with `--state MIB`, to a state machine whose
// checkpoint is so large. Driven by lines on stdin, answers each with one JSON line on stdout:
//
//   status                          {"leader": NAME, "active": BOOL, "members": N, "voters": N}, of those that are active
//   ready                           {"ready": N}: groups that serve here
//   run ID BYTES SECONDS WINDOW CONTENT RATE  submits for SECONDS, at most WINDOW bytes unanswered and RATE messages a second (0: any
//                                   number), then a mark; they hold `zeros`, `text` or `random` bytes (contents.hpp)
//   spread ID BYTES SECONDS WINDOW BURST  the same over all groups in turn: BURST bytes into each; the window is of all together
//   wait ID SENDERS                 waits for the marks of SENDERS nodes; tells what was delivered here of that run, when the
//                                   last of it was, and the longest time without any (`widest`, seconds)
//   alone ID BYTES COUNT            COUNT messages, one at a time: submit to delivery in the application here, and to the
//                                   answer in the thread that submitted
//   leave                           {"done": BOOL, "why": TEXT}: this node leaves the group
//
// Times are CLOCK_MONOTONIC, so nodes of one machine can be compared.
#include "bench/contents.hpp"

#include <cohort/node.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The first bytes of each message; the rest is filler.
struct head {
  std::uint32_t run;
  std::uint32_t mark;  // 1: the sender's last one of this run
  std::uint64_t serial;
};

// What came of one run at this node.
struct tally {
  std::uint64_t messages = 0, bytes = 0;
  std::uint32_t marks = 0;
  double last = 0;
  double widest = 0;
};

// Shared by the process (which counts) and the main thread (which asks).
class board {
public:
  void add(std::uint32_t run, std::uint64_t messages, std::uint64_t bytes, std::uint32_t marks, double at) {
    std::lock_guard guard(mutex_);
    auto& t = runs_[run];
    t.messages += messages;
    t.bytes += bytes;
    t.marks += marks;
    if (t.last > 0) t.widest = std::max(t.widest, at - t.last);
    t.last = at;
    if (marks) changed_.notify_all();
  }
  tally wait(std::uint32_t run, std::uint32_t marks, double seconds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return runs_[run].marks >= marks; });
    return runs_[run];
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint32_t, tally> runs_;
};

class counting_process final : public cohort::listener {
public:
  explicit counting_process(std::shared_ptr<board> counts) : counts_(std::move(counts)) {}

  void deliver(const cohort::delivery_batch& batch) override {
    // Every message is looked at, as an application would; runs do not overlap, so a batch mostly holds one.
    std::uint32_t run = 0, marks = 0;
    std::uint64_t messages = 0, bytes = 0;
    std::size_t at = 0;
    for (auto size : batch.sizes) {
      head h;
      std::memcpy(&h, batch.blob.data() + at, sizeof h);
      at += size;
      if (h.run != run && messages + marks) {
        counts_->add(run, messages, bytes, marks, now());
        messages = bytes = marks = 0;
      }
      run = h.run;
      if (h.mark) {
        ++marks;
      } else {
        ++messages;
        bytes += size;
      }
    }
    if (messages + marks) counts_->add(run, messages, bytes, marks, now());
  }

private:
  std::shared_ptr<board> counts_;
};

// The same with a state, which is what whoever joins has to be given.
class stateful_process final : public cohort::state_machine {
public:
  stateful_process(std::shared_ptr<board> counts, std::size_t bytes) : counts_(std::move(counts)), state_(bytes / sizeof(std::uint64_t)) {
    for (std::size_t i = 0; i < state_.size(); ++i) state_[i] = i * 0x9e3779b97f4a7c15;  // nothing that compresses
  }

  void apply(const cohort::delivery& d, cohort::reply&) override {
    head h;
    if (d.payload.size() < sizeof h) return;
    std::memcpy(&h, d.payload.data(), sizeof h);
    if (!state_.empty()) state_[h.serial % state_.size()] += h.run;
    counts_->add(h.run, !h.mark, h.mark ? 0 : d.payload.size(), h.mark, now());
  }
  void checkpoint(cohort::sink& out) const override {
    out.write_u64(state_.size());
    out.write(std::as_bytes(std::span(state_)));
  }
  void restore(cohort::source& in) override {
    state_.resize(in.read_u64());
    in.read(std::as_writable_bytes(std::span(state_)));
  }

private:
  std::shared_ptr<board> counts_;
  std::vector<std::uint64_t> state_;
};

class sender {
public:
  sender(cohort::node& node, const std::vector<std::string>& names) : event_(::eventfd(0, EFD_CLOEXEC)), names_(names) {
    for (std::uint32_t i = 0; i < names.size(); ++i)
      ports_.push_back(node.port(names[i], [ready = ready_, i, event = event_] {
        {
          std::lock_guard guard(ready->mutex);
          ready->ports.push_back(i);
          if (ready->ports.size() > 1) return;  // woken already
        }
        std::uint64_t one = 1;
        if (::write(event, &one, sizeof one) < 0) return;
      }));
    port_ = node.port("bench", [event = event_] {
      std::uint64_t one = 1;
      if (::write(event, &one, sizeof one) < 0) return;
    });
  }

  cohort::group_status status() { return port_.status(); }

  // Submits as fast as window and rate allow; what the window held up is made up for. Answers left open from here are taken before
  // returning.
  void run(std::uint32_t id, std::size_t size, double seconds, std::size_t window_bytes, std::string_view content, double rate) {
    // What could be packed must not come again in a frame, nor so soon that a packer finds it.
    const auto held = content == "zeros" ? burst : std::max(burst, (16 << 20) / size / burst * burst);
    auto filler = bench::contents(content, size * held);
    std::vector<std::span<const std::byte>> messages(burst);
    auto window = std::max<std::size_t>(window_bytes / size, burst);
    std::size_t open = 0;
    wrong_ = 0;
    first_ = now();
    std::uint64_t serial = 0;
    auto each = std::min<std::size_t>(burst, std::max<std::size_t>(1, (256 << 10) / size));
    for (double passed = 0; passed < seconds; passed = now() - first_) {
      const auto due = rate > 0 ? static_cast<std::uint64_t>(rate * passed) : UINT64_MAX;
      while (open + each <= window && serial + each <= due) {
        for (std::size_t i = 0; i < each; ++i) {
          head h{id, 0, serial};
          const auto at = serial++ % held * size;
          std::memcpy(filler.data() + at, &h, sizeof h);
          messages[i] = std::span(filler).subspan(at, size);
        }
        port_.submit(std::span(messages).first(each), serial);
        port_.flush();
        open += each;
        if (port_.take(answers_)) open -= count();
      }
      if (port_.take(answers_)) open -= count();
      else if (serial + each > due) ::usleep(500);
      else sleep();
    }
    head last{id, 1, serial};
    std::vector<std::byte> mark(std::max(size, sizeof last));
    std::memcpy(mark.data(), &last, sizeof last);
    port_.submit(std::span<const std::byte>(mark), serial);
    port_.flush();
    ++open;
    auto limit = now() + 30;
    while (open && now() < limit) {
      if (port_.take(answers_)) open -= count();
      else sleep();
    }
    std::printf("{\"submitted\": %llu, \"first\": %.9f, \"wrong\": %zu, \"open\": %zu}\n",
      static_cast<unsigned long long>(serial), first_, wrong_, open);
  }

  void alone(std::uint32_t id, std::size_t size, std::size_t count_wanted, board& counts) {
    std::vector<std::byte> message(std::max(size, sizeof(head)));
    std::vector<double> taken, answered;
    for (std::size_t i = 0; i < count_wanted; ++i) {
      head h{id, 0, i};
      std::memcpy(message.data(), &h, sizeof h);
      auto start = now();
      port_.submit(std::span<const std::byte>(message), i);
      port_.flush();
      while (!port_.take(answers_)) sleep();
      answered.push_back((now() - start) * 1e6);
      taken.push_back((counts.wait(id, 0, 0).last - start) * 1e6);
      count();
      if (i % 16 == 15) ::usleep(1000);  // an idle group, not a busy one
    }
    std::sort(taken.begin(), taken.end());
    std::sort(answered.begin(), answered.end());
    std::printf("{\"p50_us\": %.2f, \"p99_us\": %.2f, \"answer_p50_us\": %.2f, \"wrong\": %zu}\n", taken[taken.size() / 2],
      taken[taken.size() * 99 / 100], answered[answered.size() / 2], wrong_);
  }

  std::size_t ready(cohort::node& node) const {
    return static_cast<std::size_t>(std::ranges::count_if(names_, [&](auto& n) {
      auto s = node.status(n);
      return s.active && s.primary;
    }));
  }

  // As `run`, into every group in turn.
  void spread(std::uint32_t id, std::size_t size, double seconds, std::size_t window_bytes, std::size_t burst_bytes) {
    auto each = std::max<std::size_t>(1, burst_bytes / size);
    std::vector<std::byte> filler(size * each);
    std::vector<std::span<const std::byte>> messages(each);
    auto window = std::max<std::size_t>(window_bytes / size, each);
    std::size_t open = 0, next = 0;
    wrong_ = 0;
    first_ = now();
    std::uint64_t serial = 0;
    const auto take_all = [&] {
      std::size_t taken = 0;
      std::vector<std::uint32_t> woken;
      {
        std::lock_guard guard(ready_->mutex);
        woken.swap(ready_->ports);
      }
      for (auto i : woken)
        while (ports_[i].take(answers_)) taken += count();
      open -= taken;
      return taken;
    };
    while (now() - first_ < seconds) {
      while (open + each <= window) {
        for (std::size_t i = 0; i < each; ++i) {
          head h{id, 0, serial++};
          std::memcpy(filler.data() + i * size, &h, sizeof h);
          messages[i] = std::span(filler).subspan(i * size, size);
        }
        ports_[next].submit(messages, serial);
        ports_[next].flush();
        next = (next + 1) % ports_.size();
        open += each;
      }
      if (take_all() == 0) sleep();
    }
    auto limit = now() + 30;
    while (open && now() < limit)
      if (take_all() == 0) sleep();
    std::printf("{\"submitted\": %llu, \"first\": %.9f, \"last\": %.9f, \"wrong\": %zu, \"open\": %zu}\n",
      static_cast<unsigned long long>(serial), first_, now(), wrong_, open);
  }

private:
  static constexpr std::size_t burst = 256;

  std::size_t count() {
    for (std::size_t i = 0; i < answers_.size(); ++i)
      if (answers_[i].outcome != cohort::outcome::replied && ++wrong_ == 1)
        std::fprintf(stderr, "order_node: an answer is %d\n", static_cast<int>(answers_[i].outcome));
    return answers_.size();
  }
  void sleep() {
    std::uint64_t value;
    if (::read(event_, &value, sizeof value) < 0) return;
  }

  // Ports that have answers.
  struct woken_ports {
    std::mutex mutex;
    std::vector<std::uint32_t> ports;
  };

  int event_;
  std::vector<std::string> names_;
  std::shared_ptr<woken_ports> ready_ = std::make_shared<woken_ports>();
  cohort::group_port port_;
  std::vector<cohort::group_port> ports_;
  cohort::completion_batch answers_;
  double first_ = 0;
  std::size_t wrong_ = 0;
};

/// What stands behind `option`; both are taken out of the arguments, which are then those of a node.
std::string take(int& argc, char** argv, std::string_view option, std::string otherwise) {
  int kept = 1;
  for (int i = 1; i < argc; ++i)
    if (argv[i] == option && i + 1 < argc)
      otherwise = argv[++i];
    else
      argv[kept++] = argv[i];
  argc = kept;
  return otherwise;
}

cohort::order order_named(std::string_view name) {
  for (std::size_t i = 0; i < cohort::order_count; ++i)
    if (const auto how = static_cast<cohort::order>(i); name == cohort::to_string(how)) return how;
  throw std::invalid_argument("--order takes unordered, fifo, safe_fifo, causal, safe_causal or total");
}

}  // namespace

int main(int argc, char** argv) try {
  const auto order = order_named(take(argc, argv, "--order", "total"));
  const auto groups = std::stoul(take(argc, argv, "--groups", "1"));
  const auto state = std::stoul(take(argc, argv, "--state", "0")) << 20;
  auto config = cohort::config_from_arguments(argc, argv);
  cohort::node node(config);
  auto counts = std::make_shared<board>();
  const auto how = cohort::contract::multicast(order).with(cohort::durability::in_memory);
  std::vector<std::string> names{"bench"};
  while (names.size() < groups) names.push_back("bench-" + std::to_string(names.size()));
  for (auto& name : names)
    if (state > 0)
      node.replicate(name, [counts, state] { return std::make_unique<stateful_process>(counts, state); },
                     how.with(&cohort::contract::replication, cohort::replication::active));
    else
      node.listen(name, [counts] { return std::make_unique<counting_process>(counts); }, how);
  node.start();
  sender from(node, names);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "status") {
      auto s = from.status();
      std::printf("{\"leader\": \"%s\", \"active\": %s, \"members\": %td, \"voters\": %td}\n", s.leader.c_str(),
        s.active && s.primary ? "true" : "false", std::ranges::count_if(s.members, &cohort::member_status::active),
        std::ranges::count_if(s.members, [](auto& m) { return m.active && m.voter; }));
    } else if (what == "run") {
      std::uint32_t id = 0;
      std::size_t size = 0, window = 0;
      double seconds = 0, rate = 0;
      std::string content;
      words >> id >> size >> seconds >> window >> content >> rate;
      from.run(id, size, seconds, window, content, rate);
    } else if (what == "ready") {
      std::printf("{\"ready\": %zu}\n", from.ready(node));
    } else if (what == "spread") {
      std::uint32_t id = 0;
      std::size_t size = 0, window = 0, burst = 0;
      double seconds = 0;
      words >> id >> size >> seconds >> window >> burst;
      from.spread(id, size, seconds, window, burst);
    } else if (what == "wait") {
      std::uint32_t id = 0, marks = 0;
      words >> id >> marks;
      auto t = counts->wait(id, marks, 30);
      std::printf("{\"messages\": %llu, \"bytes\": %llu, \"marks\": %u, \"last\": %.9f, \"widest\": %.9f}\n",
        static_cast<unsigned long long>(t.messages), static_cast<unsigned long long>(t.bytes), t.marks, t.last, t.widest);
    } else if (what == "leave") {
      const auto left = node.leave("bench").get();
      std::printf("{\"done\": %s, \"why\": \"%s\"}\n", left.done ? "true" : "false", left.why.c_str());
    } else if (what == "alone") {
      std::uint32_t id = 0;
      std::size_t size = 0, count = 0;
      words >> id >> size >> count;
      from.alone(id, size, count, *counts);
    } else {
      std::printf("{\"error\": \"no such command\"}\n");
    }
    std::fflush(stdout);
  }
  node.stop();
} catch (const std::exception& problem) {
  std::fprintf(stderr, "order_node: %s\n", problem.what());
  return 1;
}
