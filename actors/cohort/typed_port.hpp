#pragma once

#include <cohort/group_port.hpp>
#include <cohort/static_contract.hpp>

#include <utility>

namespace cohort {

/// A `group_port` of a group whose orders the compiler knows (`static_contract`): messages which the group does not take
/// and questions which it cannot answer do not compile. Otherwise a `group_port`; one thread at a time.
template <class Contract>
class typed_port {
public:
  typed_port() = default;
  explicit typed_port(group_port port) : port_(std::move(port)) {}
  explicit operator bool() const { return static_cast<bool>(port_); }

  /// As `group_port::submit`, in an order which the group takes; its default one if none is named.
  template <order How = Contract::default_order>
  void submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag) {
    static_assert(Contract::has(How), "the group takes no message in this order (D6): enable it in its static_contract");
    port_.submit(messages, first_tag, How);
  }
  template <order How = Contract::default_order>
  void submit(std::span<const std::byte> message, std::uint64_t tag) {
    submit<How>({&message, 1}, tag);
  }

  /// As `group_port::query`.
  template <reads How>
  void query(std::span<const std::byte> question, std::uint64_t tag) {
    static_assert(How == reads::local || Contract::has(order::total),
                  "linearizable and lease reads need the total order (R1): enable order::total, or ask for reads::local");
    port_.query(question, How, tag);
  }

  void flush() { port_.flush(); }
  bool take(completion_batch& into) { return port_.take(into); }
  std::size_t queued_bytes() const { return port_.queued_bytes(); }
  group_status status() const { return port_.status(); }

private:
  group_port port_;
};

}  // namespace cohort
