#include <cohort/singleton.hpp>

#include <utility>

namespace cohort {
namespace {

/// The agreed copy of each member has no instance; the executing copy, which is the primary's alone, has the one.
class singleton_service final : public primary_service {
public:
  explicit singleton_service(singleton_factory make) : make_(std::move(make)) {}

  void executes_later(std::function<void()> look_again) override { look_again_ = std::move(look_again); }
  void promoted(view_number office) override {
    instance_ = make_();
    if (look_again_) instance_->handles_later(look_again_);
    instance_->started(office + 1);  // views are counted from 0, and a token of 0 is none
  }
  void execute(const delivery& request, state_update&, reply& answer) override {
    instance_->handle(request, answer);
  }
  after_failure failed(const delivery& request, unsigned times, const std::string& why, state_update&, reply& answer) override {
    return instance_->failed(request, times, why, answer);
  }
  void demoted() override { instance_.reset(); }

  void apply(std::span<const std::byte>) override {}
  void checkpoint(sink&) const override {}
  void restore(source&) override {}

private:
  const singleton_factory make_;
  std::function<void()> look_again_;
  std::unique_ptr<singleton> instance_;
};

}  // namespace

primary_service_factory as_service(singleton_factory make) {
  return [make = std::move(make)] { return std::make_unique<singleton_service>(make); };
}

}  // namespace cohort
