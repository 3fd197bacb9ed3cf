#include "framework/primary_backup/agreed_copy.hpp"

#include "framework/memory_stream.hpp"

#include <utility>

namespace cohort::primary_backup {

agreed_copy::agreed_copy(primary_service_factory make, backup_kind kind, std::unique_ptr<cold_store> store)
    : make_(std::move(make)), kind_(store || kind != backup_kind::cold ? kind : backup_kind::warm), store_(std::move(store)) {
  service_ = make_();
  if (kind_ == backup_kind::cold) rest();
}

agreed_copy::~agreed_copy() = default;

void agreed_copy::apply(std::span<const std::byte> change) {
  if (applies_at_once()) return service_->apply(change);
  if (kind_ == backup_kind::cold) {
    store_->append(change);
    if (service_) service_->apply(change);
    return;
  }
  kept_.push_back({kept_bytes_.size(), change.size()});
  kept_bytes_.insert(kept_bytes_.end(), change.begin(), change.end());
}

void agreed_copy::catch_up() {
  for (const auto& k : kept_) service_->apply(std::span(kept_bytes_).subspan(k.offset, k.length));
  kept_.clear();
  kept_bytes_.clear();
}

primary_service& agreed_copy::current() {
  if (!service_) {
    service_ = make_();
    store_->read([this](source& image) { service_->restore(image); },
                 [this](std::span<const std::byte> change) { service_->apply(change); });
  }
  catch_up();
  return *service_;
}

void agreed_copy::in_office(bool now) {
  if (now == in_office_) return;
  if (now) current();
  in_office_ = now;
  if (!now) rest();
}

void agreed_copy::rest() {
  if (kind_ != backup_kind::cold || in_office_ || !service_) return;
  store_->keep_image([this](sink& out) { service_->checkpoint(out); });
  service_.reset();
}

void agreed_copy::restore(source& in) {
  kept_.clear();
  kept_bytes_.clear();
  if (!service_) service_ = make_();
  service_->restore(in);
  rest();
}

std::unique_ptr<primary_service> agreed_copy::duplicate() {
  memory_sink image;
  current().checkpoint(image);
  auto copy = make_();
  memory_source from(image.bytes());
  copy->restore(from);
  return copy;
}

}  // namespace cohort::primary_backup
