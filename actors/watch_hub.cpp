#include "actors/watch_hub.hpp"

#include "framework/session/messages.hpp"

#include <cohort/collation.hpp>

#include <utility>

namespace cohort::detail {

using namespace transport::gateway;

namespace {

constexpr std::size_t event_overhead = 128;

class watched_listener final : public listener, public call_handler {
public:
  watched_listener(std::shared_ptr<watch_hub> hub, std::unique_ptr<listener> inside) : hub_(std::move(hub)), inside_(std::move(inside)) {}
  void deliver(const delivery_batch& batch) override {
    if (inside_) inside_->deliver(batch);
    hub_->delivered(batch);
  }
  void view_changed(const group_view& view) override {
    if (inside_) inside_->view_changed(view);
    hub_->view_changed(view);
  }
  void answer_call(const delivery& message, order how, reply& answer) override {
    if (auto* inside = dynamic_cast<call_handler*>(inside_.get())) inside->answer_call(message, how, answer);
  }
  void primary_changed(bool primary) override {
    if (inside_) inside_->primary_changed(primary);
  }
  void rules_changed(const contract& now, const std::string& what) override {
    if (inside_) inside_->rules_changed(now, what);
  }
  void gap(const delivery_gap& missed) override {
    if (inside_) inside_->gap(missed);
    hub_->gap(missed);
  }

private:
  std::shared_ptr<watch_hub> hub_;
  std::unique_ptr<listener> inside_;
};

}  // namespace

class watch_hub::ring_subscription final : public subscription {
public:
  ring_subscription(std::shared_ptr<watch_hub> hub, std::uint64_t next) : hub_(std::move(hub)), next_(next) {}
  ~ring_subscription() override {
    std::lock_guard guard(hub_->mutex_);
    if (hub_->watchers_.fetch_sub(1, std::memory_order_relaxed) > 1) return;
    hub_->first_ += hub_->ring_.size();
    hub_->ring_.clear();
    hub_->bytes_ = 0;
  }

  std::vector<event_ptr> take(std::size_t bytes_most) override {
    std::lock_guard guard(hub_->mutex_);
    std::vector<event_ptr> out;
    if (next_ < hub_->first_) {
      out.push_back(std::make_shared<const event>(missed_event{hub_->first_ - next_}));
      next_ = hub_->first_;
    }
    for (std::size_t bytes = 0; next_ - hub_->first_ < hub_->ring_.size() && bytes < bytes_most; ++next_) {
      auto& [e, size] = hub_->ring_[next_ - hub_->first_];
      bytes += size;
      out.push_back(e);
    }
    return out;
  }

private:
  std::shared_ptr<watch_hub> hub_;
  std::uint64_t next_;
};

void watch_hub::delivered(const delivery_batch& batch) {
  if (watchers_.load(std::memory_order_relaxed) == 0) return;
  auto* bytes = batch.blob.data();
  auto position = batch.position;
  for (const auto size : batch.sizes) {
    std::span<const std::byte> payload(bytes, size);
    bytes += size;
    delivery_event d;
    d.position = position == 0 ? 0 : position++;
    if (sessions_ && batch.how == order::total && is_session_message(payload)) {
      session::request r;
      if (!session::read_request(payload, r) || (r.what != session::kind::call && r.what != session::kind::plain)) continue;
      payload = r.payload;
      d.request = r.what == session::kind::call;
    }
    d.payload.assign(payload.begin(), payload.end());
    d.order = to_string(batch.how);
    d.index = batch.index;
    d.view = batch.view;
    d.sender = nodes_->name_of(batch.sender);
    d.time_us = batch.time.count();
    d.late = batch.late;
    const auto cost = payload.size() + event_overhead;
    push(std::make_shared<const event>(std::move(d)), cost);
  }
  tell();
}

void watch_hub::view_changed(const group_view& view) {
  if (watchers_.load(std::memory_order_relaxed) == 0) return;
  view_event v;
  v.number = view.number;
  v.index = view.index;
  v.time_us = view.time.count();
  for (const auto& m : view.members) v.members.push_back({m.name, m.active, m.voter});
  for (const auto& c : view.changes) v.changes.push_back(c.name + ' ' + to_string(c.cause));
  push(std::make_shared<const event>(std::move(v)), event_overhead * (1 + view.members.size()));
  tell();
}

void watch_hub::gap(const delivery_gap& missed) {
  if (watchers_.load(std::memory_order_relaxed) == 0) return;
  std::uint64_t batches = 0;
  for (const auto& run : missed.runs) batches += run.to - run.from + 1;
  push(std::make_shared<const event>(missed_event{batches}), event_overhead);
  tell();
}

void watch_hub::on_news(std::function<void()> wake) {
  std::lock_guard guard(mutex_);
  wake_ = std::move(wake);
}

std::unique_ptr<subscription> watch_hub::subscribe() {
  std::lock_guard guard(mutex_);
  watchers_.fetch_add(1, std::memory_order_relaxed);
  return std::make_unique<ring_subscription>(shared_from_this(), first_ + ring_.size());
}

void watch_hub::push(event_ptr e, std::size_t bytes) {
  std::lock_guard guard(mutex_);
  ring_.emplace_back(std::move(e), bytes);
  bytes_ += bytes;
  while (bytes_ > bytes_max && ring_.size() > 1) {
    bytes_ -= ring_.front().second;
    ring_.pop_front();
    ++first_;
  }
}

/// Under the lock, so that no call can come after `on_news({})` has returned.
void watch_hub::tell() {
  std::lock_guard guard(mutex_);
  if (wake_) wake_();
}

std::unique_ptr<listener> watched(std::shared_ptr<watch_hub> hub, std::unique_ptr<listener> inside) {
  return std::make_unique<watched_listener>(std::move(hub), std::move(inside));
}

}  // namespace cohort::detail
