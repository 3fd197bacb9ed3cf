#include "samples/kv/backend.hpp"

#include <utility>

namespace kv {

namespace {

class port_backend final : public backend {
public:
  explicit port_backend(cohort::group_port port) : port_(std::move(port)) {}
  void submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag) override {
    port_.submit(messages, first_tag, cohort::order::total);  // whatever the group's default: state rests on nothing else (G11)
  }
  void query(std::span<const std::byte> question, cohort::reads how, std::uint64_t tag) override {
    port_.query(question, how, tag);
  }
  void flush() override { port_.flush(); }
  bool take(cohort::completion_batch& into) override { return port_.take(into); }
  std::size_t queued_bytes() const override { return port_.queued_bytes(); }
  cohort::group_status status() const override { return port_.status(); }

private:
  cohort::group_port port_;
};

}  // namespace

backend_factory group_backend(std::function<cohort::group_port(cohort::port_wake)> open) {
  return [open = std::move(open)](cohort::port_wake wake) -> std::unique_ptr<backend> {
    return std::make_unique<port_backend>(open(std::move(wake)));
  };
}

}  // namespace kv
