#pragma once

#include "transport/gateway/server.hpp"

#include <cohort/client.hpp>
#include <cohort/session.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cohort::test {

namespace wired = transport::gateway;

inline std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Notes what it executed, and answers how many that were.
class list_of_executed final : public state_machine {
public:
  explicit list_of_executed(std::vector<std::string>& all) : all_(all) {}
  void apply(const delivery& d, reply& answer) override {
    all_.push_back(text_of(d.payload));
    answer.write(all_.back() + " was number " + std::to_string(all_.size()));
  }
  void query(std::span<const std::byte>, reply& answer) const override { answer.write(std::to_string(all_.size())); }
  void checkpoint(sink&) const override {}
  void restore(source&) override {}

private:
  std::vector<std::string>& all_;
};

/// A group of one member with sessions, that executes what it is asked at once, behind a real gateway. Not a node: what a client
/// does is to be seen, and how it fares with answers that do not come.
class group_of_one final : public wired::service {
public:
  enum class fate : std::uint8_t {
    pass,
    lose,         ///< nothing is executed, nothing answered
    lose_answer,  ///< executed; the answer is lost
  };
  /// Called on the gateway's thread before a request is executed. Null: all pass.
  std::function<fate(const wired::request&)> judge;

  group_of_one() {
    const int s = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    if (::bind(s, reinterpret_cast<sockaddr*>(&a), size) != 0 || ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &size) != 0)
      throw std::runtime_error("no port");
    where_ = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
    ::close(s);
  }
  void serve() { server_ = std::make_unique<wired::server>(where_, wired::limits{}, *this, wakes_, [](const std::string&, bool) {}); }
  client_options to() const { return {.gateways = {where_}, .group = "list", .attempt_timeout = std::chrono::milliseconds(200)}; }

  std::vector<std::string> executed() {
    std::lock_guard guard(mutex_);
    return executed_;
  }
  std::size_t times(const std::string& text) {
    const auto all = executed();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), text));
  }
  /// Agreed time goes on.
  void pass_time(std::chrono::milliseconds span) {
    std::lock_guard guard(mutex_);
    now_ += span;
  }

  void ask(const wired::request& r, std::function<void(wired::answer&&)> done) override {
    if (r.group != "list") {
      wired::answer a;
      a.because = wired::reason::no_group;
      a.why = "no such group";
      return done(std::move(a));
    }
    const auto what = judge ? judge(r) : fate::pass;
    if (what == fate::lose) return lost_.push_back(std::move(done));
    auto a = execute(r);
    if (what == fate::lose_answer) return lost_.push_back(std::move(done));
    done(std::move(a));
  }
  std::unique_ptr<wired::open_call> ask_all(const wired::request&, collate, unsigned, std::function<void(wired::collected&&)>,
                                            std::function<void(const wired::collected&)>) override {
    return nullptr;
  }
  void flush() override {}
  void collect() override {}
  void forget() override { lost_.clear(); }
  wired::picture look() override { return {"n1", "", {{"list", "n1", 1, {}, 1, true, true}, {"unseen", "n1", 1, {}, 1, true, false}}, {}}; }
  std::unique_ptr<wired::subscription> watch(const std::string& group, wired::answer& why) override {
    if (group == "list") return std::make_unique<nothing_new>();
    why.because = group == "unseen" ? wired::reason::not_enabled : wired::reason::no_group;
    why.why = group == "unseen" ? "cannot be watched" : "no such group";
    return nullptr;
  }

private:
  struct nothing_new final : wired::subscription {
    std::vector<wired::event_ptr> take(std::size_t) override { return {}; }
  };

  wired::answer execute(const wired::request& r) {
    std::lock_guard guard(mutex_);
    std::vector<std::byte> message(r.payload.begin(), r.payload.end());
    const session_name name{{r.session.id_high, r.session.id_low}, r.session.birth};
    session_limits limits;
    if (r.lifetime.count() > 0) limits.lifetime = r.lifetime;
    reply answer;
    using kind = wired::request::kind;
    switch (r.what) {
      case kind::open: write_open(message, name, limits, r.owner); break;
      case kind::close: write_close(message, name); break;
      case kind::call: write_call(message, name, r.number, r.acknowledged_below, r.payload); break;
      case kind::cancel: write_cancel(message, name, r.number); break;
      case kind::submit: break;
      case kind::query: write_question(message, r.seen, {}, r.payload); break;
    }
    delivery d;
    d.payload = message;
    d.position = d.index = r.what == kind::query ? position_ : ++position_;
    d.view = 1;
    d.time = now_;
    if (r.what == kind::query)
      machine_->query(message, answer);
    else
      machine_->apply(d, answer);
    wired::answer a;
    session_reply said;
    if (!read_reply(answer.bytes(), said)) return a;
    a.what = said.what == session_outcome::replied ? wired::verdict::replied : wired::verdict::refused;
    if (said.what != session_outcome::replied) a.why = to_string(said.what);
    switch (said.what) {
      case session_outcome::no_session: a.because = wired::reason::no_session; break;
      case session_outcome::forgotten: a.because = wired::reason::forgotten; break;
      case session_outcome::too_far: a.because = wired::reason::too_far; break;
      case session_outcome::cancelled: a.because = wired::reason::cancelled; break;
      default: break;
    }
    a.repeated = said.repeated;
    a.position = said.position;
    a.index = said.index;
    a.birth = said.birth;
    a.payload.assign(said.payload.begin(), said.payload.end());
    return a;
  }

  std::mutex mutex_;  // guards all below but `lost_`, which is the server's thread's
  std::vector<std::string> executed_;
  std::unique_ptr<state_machine> machine_ = with_sessions(std::make_unique<list_of_executed>(executed_));
  std::uint64_t position_ = 0;
  wall_time now_{1};
  std::vector<std::function<void(wired::answer&&)>> lost_;
  std::string where_;
  transport::wake_up wakes_;
  std::unique_ptr<wired::server> server_;
};

/// Where a flush costs nothing, if there is such a place: here it is not the disk that is tested.
inline std::filesystem::path fast_folder() {
  return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
}

template <class F>
bool eventually(F&& what, std::chrono::milliseconds most = std::chrono::seconds(20)) {
  for (const auto end = std::chrono::steady_clock::now() + most; std::chrono::steady_clock::now() < end;) {
    if (what()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return what();
}

}  // namespace cohort::test
