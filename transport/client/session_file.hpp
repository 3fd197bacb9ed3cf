#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cohort::client_detail {

/// What a client must know when it comes back after it was killed: the sessions of its lives, which number stands for which request,
/// and which of them the application has acknowledged. A list of records on disk; one process at a time has it. Rules:
/// CF1 A number leaves the client only behind the flush of its record, and an acknowledgement only behind that of its own.
/// CF2 Each life has a session of its own, and numbers above all that any life before used: no two of them number alike.
/// CF3 A number stands for one request, which its digest tells from others.
/// A failed write or flush is never tried again: what the disk holds is not known any more.
class session_file {
public:
  struct life {
    std::uint64_t high = 0, low = 0, birth = 0;
    std::uint64_t first = 1;
    bool ended = false;  ///< it said so itself: it uses no more numbers
  };
  /// `digest` tells it from others; 0: of a request that this file did not hear of.
  struct request {
    std::uint64_t digest = 0;
    std::uint64_t birth = 0;  ///< of the session that its number is in
  };

  /// Throws `std::runtime_error`: it cannot be read or written, another process has it, it is of another group, or damaged.
  session_file(const std::string& path, const std::string& group);
  ~session_file();
  session_file(const session_file&) = delete;
  session_file& operator=(const session_file&) = delete;

  /// The lives whose sessions are not closed, oldest first; without the one that `opened` was last called for in this process.
  const std::vector<life>& before() const { return before_; }
  /// Above all numbers that were ever used.
  std::uint64_t next() const { return next_; }
  /// Of `number`, if it is used and not acknowledged.
  std::optional<request> find(std::uint64_t number) const;
  /// The lowest from `from` on that is not acknowledged, or else `next`.
  std::uint64_t lowest(std::uint64_t from) const;
  /// The lowest of that session that is not acknowledged; 0: there is none.
  std::uint64_t lowest_of(std::uint64_t birth) const;
  std::vector<std::uint64_t> unacknowledged() const;

  // What these say is kept at the next `flush`.
  void opened(const life& mine);
  void closed(const life& former);
  void ended();  ///< this life
  /// `number` is at least `next`.
  void given(std::uint64_t number, const request& what);
  void acknowledged(std::uint64_t number);
  /// Durable when it returns; costs nothing if there is nothing to keep. Throws `std::runtime_error`, then and ever after.
  void flush();

private:
  struct record;
  void add(const record& r);
  void load(std::span<const record> all);
  void take(const record& r);
  void seal(std::span<record> all);
  void write_anew();
  [[noreturn]] void fail(const char* what);

  const std::string path_;
  const std::uint64_t group_;
  std::vector<life> before_;
  std::optional<life> mine_;
  std::map<std::uint64_t, request> requests_;  ///< by number: those that are not acknowledged
  std::uint64_t next_ = 1;
  std::vector<record> unwritten_;
  std::uint32_t flushes_ = 0; ///< since it was written anew
  std::size_t records_ = 0;   ///< in the file
  std::string trouble_;
  int fd_ = -1;
};

}  // namespace cohort::client_detail
