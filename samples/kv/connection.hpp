#pragma once

#include "samples/kv/resp_parser.hpp"
#include "samples/kv/server_options.hpp"
#include "samples/kv/session.hpp"

#include "transport/loop.hpp"

#include <deque>
#include <memory>
#include <unordered_map>

namespace kv {

class connection;

/// What a connection needs from the server.
class connection_owner : public session_services {
public:
  virtual gateway& group() = 0;
  virtual const server_options& options() const = 0;
  virtual cohort::transport::loop& events() = 0;
  /// Write its output, and go on with its commands, at the end of the pass.
  virtual void touched(connection& c) = 0;
  virtual void count_command() = 0;

protected:
  ~connection_owner() = default;
};

/// A Redis client: its socket, its unfinished commands, its place in MULTI. Answers leave in the order of the commands.
class connection final : public cohort::transport::fd_handler {
public:
  connection(int fd, std::uint64_t id, std::string address, std::string local_address, connection_owner& owner);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void on_ready(std::uint32_t events) override;
  /// An answer of the group for command `slot`.
  void answered(std::uint64_t slot, std::string_view reply);
  /// Goes on with commands that had to wait, then writes what is ready.
  void proceed();
  /// Ends it in this pass; nothing more is written.
  void abandon() { dead_ = true; }

  bool dead() const { return dead_; }
  std::uint64_t id() const { return who_.id; }
  /// Memory that this client makes the node hold.
  std::size_t memory() const {
    return parser_.capacity() + output_.size() + ready_bytes_ + queued_.size() + local_bytes_ + watched_bytes_;
  }
  /// Gives buffers back which a burst made grow.
  void shrink();
  // The owner's marks.
  bool touched = false;
  std::size_t accounted = 0;

private:
  /// What is done with the group's answer before it goes out.
  enum class kind : std::uint8_t { plain, watch, exec, info };
  enum class stage : std::uint8_t { write, read, detached, ready };
  /// A session command inside MULTI: it runs when the others did, and its answer takes its place among theirs.
  struct inserted {
    std::size_t place = 0;  ///< among all commands of the transaction
    std::vector<std::string> argv;
    bool info = false;  ///< the group's answer at this place is INFO's summary
  };
  struct plan {
    std::vector<std::string> keys;    ///< WATCH
    std::vector<std::string> words;   ///< INFO: sections
    std::vector<inserted> locals;     ///< EXEC
    std::size_t count = 0;            ///< EXEC: all commands
  };
  struct slot {
    stage at = stage::ready;
    kind what = kind::plain;
    std::uint8_t protocol = 2;
    std::string reply;  ///< as it goes out
    std::unique_ptr<plan> extra;
  };

  void read_some();
  /// True if it stopped because too much is unanswered or unread.
  bool process();
  bool throttled() const;
  /// False: the command has to wait; it will be offered again.
  bool dispatch();
  bool dispatch_session(const command_info& info);
  bool dispatch_in_multi(const command_info& info);
  bool dispatch_write(const command_info& info);
  bool dispatch_info();
  bool exec();
  bool watch();
  void queue_error(std::string_view text);
  void end_transaction();
  void forget_watches();
  bool blocked_for_order() const;
  bool ask(command_id id, std::span<const std::string_view> args, kind what, std::unique_ptr<plan> extra);
  slot& open_slot(stage at, kind what);
  /// False, and the command is answered with an error, if it became too large for a message.
  bool fits(const bytes& message);

  void reply_now(std::string_view neutral);
  void reply_error(std::string_view text);
  void finish_slot(slot& s, std::string_view neutral);
  std::string joined_replies(const plan& p, std::string_view reply);
  void flush_ready();
  void write_out();
  void set_interest(std::uint32_t events);

  command_place place_of_last() const { return {who_.id, first_slot_ + slots_.size() - 1}; }

  connection_owner& owner_;
  int fd_;
  session who_;
  resp_parser parser_;
  std::deque<slot> slots_;
  std::uint64_t first_slot_ = 0;
  std::size_t pending_writes_ = 0, pending_reads_ = 0, pending_watches_ = 0;
  std::size_t ready_bytes_ = 0;
  std::string output_;
  std::size_t written_ = 0;
  std::size_t read_size_ = 0;
  std::uint32_t interest_ = 0;
  bool waiting_ = false;    ///< the parser's command could not be dispatched yet
  bool closing_ = false;    ///< nothing more is read; close when all is written
  bool deaf_ = false;       ///< nor is anything more understood of what was read
  bool dead_ = false;

  bool in_multi_ = false, multi_broken_ = false;
  bytes queued_;
  std::size_t queued_count_ = 0;  ///< in `queued_`
  std::size_t multi_count_ = 0;   ///< all
  std::size_t local_bytes_ = 0;   ///< in `locals_`
  std::vector<inserted> locals_;
  std::unordered_map<std::string, std::uint64_t> watches_;  ///< tokens by key
  std::size_t watched_bytes_ = 0;                           ///< keys, also of a WATCH that is not answered yet
};

}  // namespace kv
