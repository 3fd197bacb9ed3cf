#pragma once

#include "samples/kv/resp_render.hpp"
#include "samples/kv/store.hpp"

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace kv_test {

using words = std::vector<std::string>;

/// One replica of the store, applied to without a group around it.
class replica {
public:
  /// Reply as a connection of `protocol` sees it. Advances the position, not the time.
  std::string apply(const words& argv, int protocol = 2);
  std::string apply_message(const kv::bytes& message, int protocol = 2);
  /// The same command as a query.
  std::string ask(const words& argv, int protocol = 2, bool* needs_time = nullptr);
  std::uint64_t token(const std::string& key);

  kv::store machine;
  std::uint64_t position = 0;
  std::int64_t now_us = 1'700'000'000'000'000;
};

/// Message of a command; fails the test if it is none.
kv::bytes message_of(const words& argv);

/// Checkpoint of `machine`, and a store restored from one.
std::vector<std::byte> checkpoint_of(const kv::store& machine);
void restore_from(const std::vector<std::byte>& checkpoint, kv::store& machine);

/// A directory that is removed at the end.
class temporary_directory {
public:
  temporary_directory();
  ~temporary_directory();
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

/// A blocking client of the Redis protocol, with a time limit on everything.
class client {
public:
  explicit client(const std::string& unix_path);
  explicit client(std::uint16_t port);
  ~client();
  client(client&& other) noexcept : fd_(other.fd_), buffer_(std::move(other.buffer_)) { other.fd_ = -1; }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  void send(std::string_view raw);
  /// The bytes of one whole reply; empty when the connection was closed.
  std::string receive(std::chrono::milliseconds limit = std::chrono::seconds(10));
  std::string call(const words& argv);
  /// True if the other side closes within the limit; what it sends before that is dropped.
  bool closed(std::chrono::milliseconds limit = std::chrono::seconds(10));
  int fd() const { return fd_; }

private:
  bool more(std::chrono::steady_clock::time_point deadline);

  int fd_ = -1;
  std::string buffer_;
};

std::string encode(const words& argv);

/// A redis-server of our own on a Unix socket, to compare with; `start` gives nullptr where none is installed.
class redis_process {
public:
  static std::unique_ptr<redis_process> start();
  ~redis_process();
  client connect() const { return client(directory_.path() + "/redis.sock"); }

private:
  redis_process() = default;
  temporary_directory directory_;
  pid_t pid_ = -1;
};

}  // namespace kv_test
