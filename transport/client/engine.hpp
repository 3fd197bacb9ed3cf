#pragma once

// Inside transport/client/ only: includes KJ.
#include "transport/client/places.hpp"
#include "transport/client/session_file.hpp"

#include <cohort/client.hpp>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>

namespace cohort::client_detail {

/// The session of a life before, for as long as a number of it is not acknowledged.
struct former_life {
  session_file::life session;
  std::uint64_t given_up = 0; ///< it cannot use any below this any more, beside those it is known to have used
  bool fenced = false;        ///< it executes nothing more
  bool fencing = false;
  bool closing = false;
};

/// A call on its way. Invariant: while one of its copies is open no other is, and its number never changes once a copy was sent,
/// unless no copy of it can have been executed.
struct operation {
  std::uint64_t id = 0;
  std::uint64_t number = 0;   ///< 0: it waits, no copy was sent in this session
  std::shared_ptr<former_life> of;  ///< whose session it is in; null: in the client's
  std::vector<std::byte> payload;
  client::done then;          ///< empty once answered: only to be settled
  std::optional<collation> all;  ///< every member is to answer
  call_report report;         ///< what they answered
  std::optional<kj::TimePoint> deadline;
  kj::TimePoint retry_at = kj::origin<kj::TimePoint>();
  unsigned attempts = 0;
  bool open_copy = false;
  bool maybe = false;         ///< an earlier copy may have been executed, or may be still
  bool settle = false;        ///< no further copy: find out, and make sure that it is not executed later
  bool late = false;          ///< settled for its deadline
  bool acknowledged = false;  ///< once it has ended
  bool again = false;         ///< its number was used before
};

/// Tells one request from another; not 0.
std::uint64_t digest_of(const operation& o);

/// Calls, session, reads and watch of one client. Lives on the client's thread.
class engine final : private kj::TaskSet::ErrorHandler {
public:
  /// `file`: null where the client is not to come back.
  engine(const client_options& how, session_file* file, kj::AsyncIoContext& io);

  void call(operation&& what);
  void cancel(std::uint64_t id);
  void ask(std::uint64_t id, client::done then);
  void acknowledge(std::uint64_t id);
  void read(std::vector<std::byte> question, const read_options& how, client::done then);
  void watch(std::function<void(const watch_event&)> on);
  /// Answers everything.
  void end();
  session_state state() const;

private:
  struct reading;
  void taskFailed(kj::Exception&&) override {}
  /// Calls the application. What it throws is told, and ends nothing here.
  template <class F, class... Args>
  void tell(const F& callback, Args&&... args) {
    try {
      callback(std::forward<Args>(args)...);
    } catch (const std::exception& e) {
      trouble(e.what());
    } catch (...) {
      trouble("an exception that is no std::exception");
    }
  }
  void trouble(const std::string& what);

  // calls.cpp
  void pump();
  void keep_pumping();
  void send_soon();
  void send_now();
  void open_session();
  void keep_session();
  bool send_some(const place_ptr& to);
  bool enough_for_a_batch() const;
  std::size_t numbers_left() const;
  void send_group_calls(const place_ptr& to);
  void send_group_call(operation& o, const place_ptr& to);
  void take(place& from, std::uint64_t id, gateway_answer a);
  void no_answer(std::uint64_t id);
  void later(operation& o);
  void deadlines();
  void finish(operation& o, call_outcome what, gateway_answer* a, const std::string& why, const std::string& node);
  void settled(std::uint64_t id, call_result&& r);
  bool is_open(std::uint64_t id) const;
  void session_ended();
  void give_number(operation& o);
  void done_with(std::uint64_t number);
  void rest(operation& o);

  // lives.cpp
  bool call_again(operation& what);
  std::shared_ptr<former_life> life_of(std::uint64_t number) const;
  std::uint64_t acknowledged_below(const operation& o) const;
  bool fence_former();
  void skip_used_numbers();
  void fence(const std::shared_ptr<former_life>& f, const place_ptr& to);
  bool is_over(const former_life& f) const;
  void close_former_soon();
  void close(const std::shared_ptr<former_life>& f, const place_ptr& to);
  session_state session_of(const operation& o) const;
  void renew(const session_state& s);
  bool written();
  void give_up(const std::string& why);

  // reads.cpp
  void end_read(reading& r, call_result&& result);
  void ask_member(const std::shared_ptr<reading>& r);
  void ask_again(const std::shared_ptr<reading>& r, kj::Duration pause);
  void send_copy(const std::shared_ptr<reading>& r, const place_ptr& to);
  kj::Promise<void> watch_once(std::uint64_t generation);
  kj::Promise<void> next_events(place_ptr at, gateway_stream stream, std::uint64_t generation);
  kj::Promise<void> watch_on(std::uint64_t generation);

  const client_options how_;
  session_file* const file_;
  kj::Timer& timer_;
  std::mt19937_64 random_;
  places places_;

  std::map<std::uint64_t, operation> operations_;   ///< with a number, by id: at most `open_calls_max`
  std::deque<operation> waiting_;                   ///< not sent yet in this session
  kj::TimePoint waiting_looked_ = kj::origin<kj::TimePoint>();
  std::map<std::uint64_t, call_result> ended_;      ///< the last of them, for those who ask
  std::deque<std::uint64_t> ended_in_order_;
  std::size_t ended_bytes_ = 0;
  std::map<std::uint64_t, std::vector<client::done>> asking_;
  session_state session_;
  std::uint64_t low_ = 1;                           ///< all numbers below are answered, or settled
  std::deque<bool> done_;                           ///< of `low_` and those above
  std::set<std::uint64_t> resting_;                 ///< ids of those in `operations_` without an open copy; others may be left in it
  std::vector<std::shared_ptr<former_life>> former_;
  std::uint64_t first_ = 1;                         ///< with a file: the lowest number of this life's session
  std::uint64_t next_id_ = 1;                       ///< with a file: above all that were called
  std::string over_;                                ///< why no call is taken any more; empty: they are
  bool opening_ = false;
  bool pumping_ = false;
  unsigned calling_ = 0;                            ///< messages with calls that are not answered yet
  bool sending_soon_ = false;
  std::uint64_t seen_ = 0;                          ///< newest log entry that an answer was of
  std::function<void(const watch_event&)> on_event_;
  std::uint64_t watch_generation_ = 0;
  kj::TaskSet tasks_;                               ///< last: its promises use all above
};

}  // namespace cohort::client_detail
