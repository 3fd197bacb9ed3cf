#include "actors/supervision.hpp"

#include <thread>

namespace cohort {
namespace {

constexpr auto tree_patience = std::chrono::seconds(30);

void start_below(const caf::actor_addr& host, const std::string& parent, detail::child_spec what) {
  auto alive = caf::actor_cast<caf::actor>(host);
  if (!alive) throw node_error("children are started by a node that runs");
  auto why = detail::ask_host<std::string>(alive, [&](detail::supervision_host& h) { return h.start(parent, what); });
  if (!why) throw node_error("children are started by a node that runs");
  if (!why->empty()) throw node_error(*why);
}

bool ask_about(const caf::actor_addr& host, std::function<bool(detail::supervision_host&)> what) {
  auto alive = caf::actor_cast<caf::actor>(host);
  return alive && detail::ask_host<bool>(alive, std::move(what)).value_or(false);
}

}  // namespace

void supervisors::start(const supervision_tree& tree) { start("", tree); }

void supervisors::start(const std::string& parent, const supervision_tree& tree) {
  start_below(impl_->host, parent, {tree.spec()->name, {}, {}, tree.spec(), {}});
  const auto path = parent.empty() ? tree.spec()->name : parent + "/" + tree.spec()->name;
  const auto is_on_its_way = [&] {
    std::lock_guard guard(impl_->board->mutex);
    const auto row = impl_->board->children.find(path);
    return row != impl_->board->children.end() && (row->second.status.state == "starting" || row->second.status.state == "waiting");
  };
  const auto end = std::chrono::steady_clock::now() + tree_patience;
  while (is_on_its_way() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void supervisors::start(const std::string& parent, const std::string& name, child_factory make, child_options how) {
  supervision_tree checked("checked");
  checked.child(name, std::move(make), how);
  start_below(impl_->host, parent, checked.spec()->children.front());
}

bool supervisors::remove(const std::string& path) {
  return ask_about(impl_->host, [path](auto& h) { return h.remove(path); });
}

bool supervisors::start_again(const std::string& path) {
  return ask_about(impl_->host, [path](auto& h) { return h.start_again(path); });
}

caf::actor supervisors::address(const std::string& path) const {
  std::lock_guard guard(impl_->board->mutex);
  const auto row = impl_->board->children.find(path);
  return row == impl_->board->children.end() ? nullptr : row->second.mail.front;
}

std::vector<child_status> supervisors::children() const {
  std::vector<child_status> all;
  std::lock_guard guard(impl_->board->mutex);
  for (auto& [path, row] : impl_->board->children) {
    all.push_back(row.status);
    all.back().age = std::chrono::steady_clock::now() - row.since;
    if (row.mail.box) all.back().mailbox = row.mail.box->figures();
  }
  return all;
}

std::vector<supervision_event> supervisors::events() const {
  std::lock_guard guard(impl_->board->mutex);
  return {impl_->board->events.begin(), impl_->board->events.end()};
}

supervision_counters supervisors::counters() const {
  std::lock_guard guard(impl_->board->mutex);
  return impl_->board->counters;
}

}  // namespace cohort
