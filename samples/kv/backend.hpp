#pragma once

#include <cohort/group_port.hpp>

#include <functional>
#include <memory>

namespace kv {

/// The group behind the server: what `cohort::group_port` offers. Tests put one replica in memory in its place.
/// All calls come from the server's thread.
class backend {
public:
  virtual ~backend() = default;
  virtual void submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag) = 0;
  virtual void query(std::span<const std::byte> question, cohort::reads how, std::uint64_t tag) = 0;
  virtual void flush() = 0;
  virtual bool take(cohort::completion_batch& into) = 0;
  virtual std::size_t queued_bytes() const = 0;
  virtual cohort::group_status status() const = 0;
};

/// Makes the backend; `wake` is to be called, from any thread, when completions are ready and none were before.
using backend_factory = std::function<std::unique_ptr<backend>(cohort::port_wake wake)>;

/// The real one. `port` is given the wake function.
backend_factory group_backend(std::function<cohort::group_port(cohort::port_wake)> open);

}  // namespace kv
