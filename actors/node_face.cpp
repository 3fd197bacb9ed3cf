// The public face of a node.
#include "actors/node_impl.hpp"
#include "actors/port_state.hpp"

#include <cohort/contract_check.hpp>

namespace cohort {

namespace {

contract of_state_machine(std::string_view group, contract how) {
  if (how.replication == replication::primary_backup)
    throw node_error("group " + std::string(group) + ": its contract says replication = \"primary_backup\", and a state machine is "
                     "executed by all; give it to replicate_primary, or say active");
  how.replication = replication::active;
  return how;
}

}  // namespace

node::node(node_config config) : impl_(std::make_unique<impl>(std::move(config))) {}
node::~node() = default;

void node::replicate(std::string_view group, machine_factory make) {
  replicate(group, std::move(make), impl_->configured(group));
}
void node::replicate(std::string_view group, machine_factory make, contract how) {
  if (!make) throw node_error("group " + std::string(group) + ": no state machine is given");
  impl_->host(group, {.machine = std::move(make)}, of_state_machine(group, std::move(how)));
}
void node::replicate(std::string_view group, machine_factory make, contract how, listener_factory beside) {
  if (!make) throw node_error("group " + std::string(group) + ": no state machine is given");
  if (!beside) throw node_error("group " + std::string(group) + ": no listener is given");
  impl_->host(group, {.machine = std::move(make), .listener = std::move(beside)}, of_state_machine(group, std::move(how)));
}
void node::replicate_primary(std::string_view group, primary_service_factory make, backup_kind backups) {
  replicate_primary(group, std::move(make), impl_->configured(group), backups);
}
void node::replicate_primary(std::string_view group, primary_service_factory make, contract how, backup_kind backups) {
  const auto name = "group " + std::string(group);
  if (!make) throw node_error(name + ": no service is given");
  if (how.replication == replication::active)
    throw node_error(name + ": its contract says replication = \"active\", and a primary executes alone; say primary_backup, or give a "
                            "state machine to replicate");
  how.replication = replication::primary_backup;
  impl_->host(group, {.service = std::move(make), .backups = backups}, how);
}
void node::host_singleton(std::string_view group, singleton_factory make) {
  host_singleton(group, std::move(make), impl_->configured(group));
}
void node::host_singleton(std::string_view group, singleton_factory make, contract how) {
  if (!make) throw node_error("group " + std::string(group) + ": no singleton is given");
  replicate_primary(group, as_service(std::move(make)), how);
}
void node::listen(std::string_view group, listener_factory make) { listen(group, std::move(make), impl_->configured(group)); }
void node::listen(std::string_view group, listener_factory make, contract how) {
  if (!make) throw node_error("group " + std::string(group) + ": no listener is given");
  if (how.replication != replication::none)
    throw node_error("group " + std::string(group) + ": its contract says replication = \"" + to_string(how.replication) +
                     "\", and a listener replicates nothing; leave it out, or give a state machine to replicate");
  impl_->host(group, {.listener = std::move(make)}, how);
}
void node::expect_orders(std::string_view group, const contract& how) const {
  const auto& hosted = impl_->entry(group)->how;
  if (hosted.orders != how.orders || hosted.default_order != how.default_order)
    throw node_error("group " + std::string(group) + ": the port is for other orders than the group is hosted with; they differ in " +
                     difference(how, contract(how).with(&contract::orders, hosted.orders).with(&contract::default_order, hosted.default_order)));
}
void node::start() { impl_->start(); }
void node::stop() { impl_->stop(true); }
int node::run() { return impl_->run(); }
void node::hand_over(std::string_view group) { impl_->hand_over(group); }
std::future<change_result> node::leave(std::string_view group) {
  return impl_->change(group, protocol::change_kind::leave, impl_->config.name);
}
std::future<change_result> node::remove_member(std::string_view group, std::string_view member) {
  return impl_->change(group, protocol::change_kind::remove, member);
}
std::future<change_result> node::restore_member(std::string_view group, std::string_view member) {
  return impl_->change(group, protocol::change_kind::restore, member);
}
std::future<change_result> node::change(std::string_view group, const contract& to, bool weaker_accepted) {
  return impl_->change_rules(group, to, weaker_accepted);
}
contract node::rules(std::string_view group) const { return impl_->rules(group); }
void node::request_stop() { impl_->request_stop(); }
group_port node::port(std::string_view group, port_wake wake) { return impl_->open_port(group, std::move(wake)); }
primary_status node::primary(std::string_view group) const { return impl_->entry(group)->reported(); }
std::string node::failure() const { return impl_->failure_text(); }
const node_config& node::config() const { return impl_->config; }

void node::on_divergence(std::function<void(const divergence_report&)> tell) { impl_->on_divergence(std::move(tell)); }

group_status node::status(std::string_view group) const {
  return group_port(std::make_shared<detail::port_state>(impl_->entry(group), port_wake{})).status();
}

}  // namespace cohort
