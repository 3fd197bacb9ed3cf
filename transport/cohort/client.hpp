#pragma once

#include <cohort/collation.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// A program outside the group that uses it, through the gateways of its members (docs/rpc.md). Needs neither a node nor CAF.
///
/// What became of a call: a closed set.
enum class call_outcome : std::uint8_t {
  replied,  ///< executed exactly once; `reply` answers
  refused,  ///< not executed; `why` says why
  expired,  ///< not executed, and never will be: its deadline was over first
  unknown,  ///< may have been executed; `client::ask` with its `id` tells later. Without that answer only if the session ended
};
const char* to_string(call_outcome o);

/// How fresh a read is to be.
enum class freshness : std::uint8_t {
  linearizable,  ///< sees every write completed before it was asked, by anybody
  session,       ///< sees what this client's calls did, and what its reads saw; by any member
  bounded,       ///< not older than `max_age`, by the members' clocks
  local,         ///< as some member is
  lease,         ///< linearizable; of an answer: confirmed by the leader's lease, in groups that read so
};
const char* to_string(freshness f);

struct call_result {
  call_outcome what = call_outcome::unknown;
  std::vector<std::byte> reply;
  std::string why;                     ///< for people; empty if replied
  std::uint64_t id = 0;                ///< of the call, for `ask`
  bool repeated = false;               ///< the answer came from an earlier copy's execution
  unsigned attempts = 0;               ///< copies sent
  std::string node;                    ///< that answered
  std::uint64_t position = 0;          ///< in the total order, at which it was executed; of a read: newest message applied
  std::uint64_t index = 0;             ///< the log entry of that
  std::uint64_t view = 0;
  std::chrono::microseconds time{0};   ///< agreed time of that, since 1970
  freshness served{};                  ///< of a read: how fresh the answer is at least; fresher than asked where the member was behind
  call_report report;                  ///< of `call_all`: which members answered what, in which view, and who failed
  std::string_view text() const { return {reinterpret_cast<const char*>(reply.data()), reply.size()}; }
};

struct call_options {
  std::chrono::milliseconds within{0};  ///< from now; 0: until it is answered, however long that takes
  /// Of a client with a `session_file`: the number under which the application knows this request, in this life and the next ones;
  /// greater than all it used before. 0: the client takes the next one. A number that was used and is not acknowledged may come again,
  /// with the same request: it is answered as it was, or executed now if it never was. With another request it is refused.
  std::uint64_t number = 0;
};

struct read_options {
  freshness how = freshness::linearizable;
  std::chrono::milliseconds max_age{0};
  std::chrono::milliseconds within{5000};  ///< then `refused`: a read has no effect
};

struct watch_event {
  enum class kind : std::uint8_t { delivery, view, missed, connected, refused } what{};
  std::span<const std::byte> payload;      ///< delivery; valid during the call
  std::string order;
  std::uint64_t position = 0, index = 0, view = 0;
  std::string sender;
  std::chrono::microseconds time{0};
  std::vector<std::string> members;        ///< view: those that are active
  std::vector<std::string> changes;        ///< view: "n2 failed"
  std::uint64_t missed = 0;                ///< events that were not kept until this client took them
  std::string node;                        ///< connected: watched from now on; what came before at another node may be missed
  std::string why;                         ///< refused: no member can show this group's events, now or later; the watch is over
};

struct client_options {
  std::vector<std::string> gateways;       ///< "host:port" of one member at least; others are found through it
  std::string group;
  /// With it the client goes on after its process ended, also by `kill -9` or a power cut: the file keeps which number was given to
  /// which request, before a copy leaves. It costs a flush for each batch of calls. A call's id is its number then, the same in all
  /// lives, and it is kept, here and in the group, until `acknowledge`. Made if it is not there; one client at a time has it.
  std::string session_file;
  /// Renewed while the client lives. What a life before left open can be settled for so long after its end.
  std::chrono::milliseconds session_lifetime{60'000};
  std::chrono::milliseconds attempt_timeout{3'000};     ///< then another copy goes through another member
  /// A member that is silent for so long while an answer of it is awaited (it hangs, or its host is cut off) is left, and another
  /// copy goes through another one; it is asked whether it is there meanwhile. At most `attempt_timeout`.
  std::chrono::milliseconds silence_max{500};
  std::chrono::milliseconds connect_timeout{1'000};
  std::chrono::milliseconds back_off_min{10};           ///< between copies; doubles, with jitter
  std::chrono::milliseconds back_off_max{1'000};
  std::chrono::milliseconds hedge_after{100};           ///< a read that takes longer is asked of a second member, too; 0: never
  unsigned breaker_failures = 2;                        ///< in a row after which a member is left alone for a while
  std::size_t open_calls_max = 1'000;                   ///< more wait here, in `waiting_calls_max`
  std::size_t waiting_calls_max = 100'000;              ///< more are refused
  /// Told, on the client's thread, that a callback let an exception out, and which. Empty: a line on stderr says it.
  std::function<void(const std::string& what)> trouble;
};

struct session_state {
  std::uint64_t high = 0, low = 0, birth = 0;
  std::uint64_t next_number = 1;
};

/// All members may be called from any thread. Callbacks run on the client's own thread and must be short. They may call the client,
/// but must neither destroy it nor wait for one of its futures, which that thread makes ready. An exception that one lets out goes
/// to `client_options::trouble`, and the client goes on: that call counts as answered, a watch gets its next event.
/// The destructor answers what is open: `unknown` if a copy may have been executed, else `refused`.
class client {
public:
  /// Throws `std::runtime_error` if the options make no sense, or the session file cannot be used. Connects by itself.
  explicit client(client_options options);
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  using done = std::function<void(call_result&&)>;

  /// Executed exactly once, whatever fails meanwhile: copies go to other members under the same number until one is answered.
  /// Returns the call's id.
  std::uint64_t call(std::span<const std::byte> payload, const call_options& how, done then);
  std::future<call_result> call(std::span<const std::byte> payload, const call_options& how = {});
  std::future<call_result> call(std::string_view text, const call_options& how = {}) { return call(std::as_bytes(std::span(text)), how); }

  /// A call that every member answers, executed exactly once at each; the group's contract has `sessions` and `calls`. `replied`: it
  /// was executed, and `result.report` says what came of it, `report.met()` whether the answers are enough. `how.judge` runs on the
  /// client's thread. `how.in_order` and `how.session_request` say nothing here: it goes in total order.
  std::uint64_t call_all(std::span<const std::byte> payload, const collation& how, done then);
  std::future<call_result> call_all(std::span<const std::byte> payload, const collation& how = {});
  std::future<call_result> call_all(std::string_view text, const collation& how = {}) {
    return call_all(std::as_bytes(std::span(text)), how);
  }

  /// Gives a call up. It is answered soon: `replied` if it was executed, else `refused`, and it never will be.
  void cancel(std::uint64_t id);
  /// What became of a call. Of one that is open, or that ended as `unknown` and is being settled: once it is known. Of one that
  /// ended: its answer, among the last 1000 and 4 MiB of them. With a `session_file`, of one that was not acknowledged, also of a life
  /// before: `replied` if it was executed, else `refused`, and it never will be; `unknown` if its session has ended. Else `unknown`.
  std::future<call_result> ask(std::uint64_t id);

  /// With a `session_file`: the application has what it wants of this call, and does not come back to its number. At most 1000 numbers
  /// are above the lowest that is not acknowledged; calls beyond them wait. Of a call that is open: once it ended.
  void acknowledge(std::uint64_t id);
  /// With a `session_file`: the numbers that the lives before used and did not acknowledge, as this life began.
  const std::vector<std::uint64_t>& unacknowledged() const;

  std::future<call_result> read(std::span<const std::byte> question, const read_options& how = {});
  std::future<call_result> read(std::string_view text, const read_options& how = {}) { return read(std::as_bytes(std::span(text)), how); }

  /// Deliveries and views of the group, in the order of one member at a time. The next are asked for when `on` has returned.
  /// One watch at a time; an empty function ends it.
  void watch(std::function<void(const watch_event&)> on);

  /// The session as it is now, for other ways to use it (<cohort/session.hpp>, the schema); birth 0: not opened yet.
  session_state session() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort
