// Groups that are created, changed and deleted while the cluster runs: what a node makes of the catalogue's table.
#include "actors/node_impl.hpp"

#include "actors/group_settings.hpp"
#include "actors/name_list.hpp"
#include "actors/node_config.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>
#include <random>

namespace cohort {
namespace {

using namespace std::chrono_literals;

std::future<change_result> refused(std::string why) {
  std::promise<change_result> now;
  now.set_value({false, std::move(why)});
  return now.get_future();
}

std::string in_quotes(std::string_view text) { return '"' + std::string(text) + '"'; }

/// What the group does with its messages follows from the type. Empty, or what contradicts it.
std::string set_replication(contract& how, bool machine, bool service) {
  const auto given = service ? replication::primary_backup : machine ? replication::active : replication::none;
  if (how.replication != replication::none && how.replication != given)
    return std::string("its contract says replication = \"") + to_string(how.replication) + "\", and its type is one of replication \"" + to_string(given) + '"';
  how.replication = given;
  return {};
}

/// Whoever is named as witness has a part as well, and the contract has as many as are named. Empty, or what contradicts that.
std::string settle_placement(contract& how, group_placement& where) {
  for (const auto* names : {&where.on, &where.witnesses})
    for (const auto& name : *names)
      if (std::ranges::count(*names, name) > 1) return name + " is named twice";
  for (const auto& w : where.witnesses)
    if (!where.on.empty() && std::ranges::find(where.on, w) == where.on.end()) where.on.push_back(w);
  if (where.on.size() > catalogue::hosts_max) return "a group is on at most " + std::to_string(catalogue::hosts_max) + " nodes, or on all";
  const auto named = static_cast<unsigned>(where.witnesses.size());
  if (how.witnesses == 0) how.witnesses = named;
  if (named != 0 && how.witnesses != named)
    return "its contract has witnesses = " + std::to_string(how.witnesses) + ", and " + std::to_string(named) + " are named";
  return {};
}

}  // namespace

void node::impl::register_type(std::string_view type, application what) {
  if (started_) throw node_error("type " + std::string(type) + ": types are registered before the node starts");
  if (!catalogue::is_node_name(type)) throw node_error(in_quotes(type) + " is no name of a type: 1 to 64 characters of A-Z a-z 0-9 _ . -");
  if (!types_.try_emplace(std::string(type), std::move(what)).second) throw node_error("type " + std::string(type) + " is registered twice");
}

// ---- asking ---------------------------------------------------------------------------------------------------------

std::future<change_result> node::impl::create_group(std::string_view name, std::string_view type, contract how, group_placement where) {
  if (!catalogue_) return refused("this cluster keeps no catalogue: set catalogue = true at all founders (docs/membership.md)");
  if (!desk_) return refused("the node does not run");
  if (name == detail::catalogue_group) return refused("that name is taken by the cluster's catalogue");
  const auto known = types_.find(type);
  if (known == types_.end()) {
    std::vector<std::string> all;
    for (const auto& [other, what] : types_) all.push_back(other);
    return refused("the program of this node registers no type " + in_quotes(type) + (all.empty() ? ", and no other" : "; it registers " + detail::joined(all)));
  }
  std::size_t configured = 0;
  {
    std::lock_guard guard(groups_mutex_);
    for (const auto& [other, entry] : groups_) {
      configured += !entry->created;
      if (other == name && !entry->created) return refused("group " + other + " is one of the program's own");
    }
  }
  const auto& app = known->second;
  if (const auto why = set_replication(how, bool{app.machine}, app.service || app.service_of); !why.empty()) return refused(why);
  if (const auto why = settle_placement(how, where); !why.empty()) return refused(why);
  catalogue::command c{.kind = catalogue::command_kind::create_group, .name = std::string(name), .address = {}, .type = std::string(type),
                       .contract = detail::contract_text(how), .founders = {}, .request = 0, .hosts = std::move(where.on),
                       .number = std::max(static_cast<std::uint32_t>(configured), reserved_places)};  // the catalogue's own is the next
  try {
    (void)entry_for(name, app, how);
  } catch (const node_error& e) {
    return refused(e.what());
  }
  std::random_device device;
  while (c.request == 0) c.request = std::uint64_t{device()} << 32 | device();
  return desk_->ask(std::move(c), [this, how, witnesses = std::move(where.witnesses)](catalogue::command& of) { return name_founders(of, how, witnesses); },
                    [this, group = std::string(name)] { return settled_here(group, true); });
}

std::future<change_result> node::impl::extend_group(std::string_view name, std::string_view node) {
  if (!catalogue_) return refused("this cluster keeps no catalogue: set catalogue = true at all founders (docs/membership.md)");
  if (!desk_) return refused("the node does not run");
  return desk_->ask({.kind = catalogue::command_kind::extend_group, .name = std::string(name), .address = {}, .type = {}, .contract = {},
                     .founders = {}, .request = 0, .hosts = {std::string(node)}, .number = 0});
}

/// Those of the group's nodes that are voters of the catalogue and can vote in it: all of them where it is journaled, those whose process
/// is known where it is volatile. Nothing, or why the contract cannot be kept by them; empty: who they are is not known yet.
std::optional<std::string> node::impl::name_founders(catalogue::command& of, const contract& how, const std::vector<std::string>& witnesses) {
  of.founders = voters_now();
  if (of.founders.empty()) return std::string();
  const auto is_named = [&](const std::vector<std::string>& names, member_id node) {
    return std::ranges::any_of(names, [&](const std::string& name) { return nodes_->number_of(name) == node; });
  };
  const bool in_memory = how.durability == durability::in_memory;
  std::erase_if(of.founders, [&](const catalogue::founder_line& f) {
    return (in_memory && f.boot_id == 0) || (!of.hosts.empty() && !is_named(of.hosts, f.member));
  });
  for (const auto& name : of.hosts)
    if (!nodes_->number_of(name)) return "no node is named " + in_quotes(name);
  if (of.founders.empty())
    return "of " + detail::joined(of.hosts) + " none is a voter of the catalogue" + (in_memory ? " that is linked with this node" : "") +
           ": a group begins with nodes that are; extend it to the others";
  unsigned left = how.witnesses;
  for (const auto& name : witnesses.empty() ? config.witnesses : witnesses) {
    const auto founder = std::ranges::find(of.founders, nodes_->number_of(name), [](const catalogue::founder_line& f) { return std::optional(f.member); });
    if (left == 0 || founder == of.founders.end()) continue;
    founder->witness = true;
    --left;
  }
  try {
    for (const auto& doubt : detail::admit(how, of.name, of.founders.size())) log.write(detail::log_level::warn, "group " + of.name + ": " + doubt);
  } catch (const node_error& e) {
    return e.what();
  }
  if (left > 0)
    return "its contract has witnesses = " + std::to_string(how.witnesses) +
           ", and fewer of its first members are named for that: name nodes that are voters of the catalogue (group create --witness NAME, or "
           "witnesses = [\"NAME\"] in the nodes' configurations)";
  return std::nullopt;
}

std::future<change_result> node::impl::delete_group(std::string_view name) {
  if (!catalogue_) return refused("this cluster keeps no catalogue: set catalogue = true at all founders (docs/membership.md)");
  if (!desk_) return refused("the node does not run");
  const auto table = board_->now();
  const auto* line = table.find(name);
  catalogue::command c{.kind = catalogue::command_kind::delete_group, .name = std::string(name), .address = {}, .type = {}, .contract = {},
                       .founders = {}, .request = 0, .hosts = {}, .number = line ? line->number : 0};
  return desk_->ask(std::move(c), {}, [this, group = std::string(name)] { return settled_here(group, false); });
}

/// Empty: they are not known.
std::vector<catalogue::founder_line> node::impl::voters_now() const {
  std::future<std::vector<catalogue::founder_line>> asked;
  {
    std::lock_guard guard(mutex_);
    if (!runtime_) return {};
    asked = runtime_->founders_now(catalogue_->index);
  }
  if (asked.wait_for(1s) != std::future_status::ready) return {};
  try {
    return asked.get();
  } catch (const std::future_error&) {
    return {};
  }
}

bool node::impl::is_here(const catalogue::group_line& line) const {
  const auto self = nodes_->number_of(config.name);
  return self && is_host(line, *self);
}

std::vector<std::string> node::impl::hosts_of(const catalogue::group_line& line) const {
  std::vector<std::string> all;
  for (const auto node : line.hosts) all.push_back(nodes_->name_of(node));
  return all;
}

std::vector<group_info> node::impl::created_groups() const {
  const auto table = board_->now();
  std::lock_guard guard(groups_mutex_);
  std::vector<group_info> all;
  for (const auto& line : table.groups) {
    const auto known = created_.find(line.number);
    all.push_back(known != created_.end() ? known->second.info
                                          : group_info{line.name, line.number, line.type, is_here(line) ? "it is about to begin" : "this node is none of its hosts", {}});
    all.back().hosts = hosts_of(line);
  }
  return all;
}

bool node::impl::settled_here(std::string_view group, bool present) const {
  const auto table = board_->now();
  const auto* line = table.find(group);
  std::lock_guard guard(groups_mutex_);
  if (!line) return !present && std::ranges::none_of(created_, [&](const auto& each) { return each.second.info.name == group; });
  if (present && !is_here(*line)) return true;
  const auto known = created_.find(line->number);
  return present && known != created_.end() && (known->second.runs || !known->second.info.why_not.empty());
}

// ---- carrying out: the keeper's thread ------------------------------------------------------------------------------

bool node::impl::gives_up() {
  std::lock_guard guard(mutex_);
  return ending_ || restart_wanted_;
}

/// Deletions first: a name may have come back.
void node::impl::settle_groups() {
  if (const auto trouble = board_->write_down(); !trouble.empty()) log.write(detail::log_level::warn, trouble);
  const auto table = board_->now();
  std::vector<std::uint32_t> over;
  for (const auto& [number, g] : created_)
    if (!table.find(number)) over.push_back(number);
  // Those that were deleted while the node was down. What only a newer table tells of stays.
  for (const auto number : runtime_->kept())
    if (table.ever(number) && !table.find(number) && !created_.contains(number)) over.push_back(number);
  for (const auto number : over) drop_created(number);
  places_awaited_ = false;
  for (const auto& line : table.groups)
    if (is_here(line) && !gives_up()) host_created(line);
}

void node::impl::drop_created(std::uint32_t number) {
  std::shared_ptr<detail::group_entry> entry;
  caf::actor handle;
  std::optional<group_info> info;
  {
    std::lock_guard guard(groups_mutex_);
    if (const auto known = created_.find(number); known != created_.end()) {
      entry = known->second.entry;
      info = known->second.info;
      if (entry) groups_.erase(entry->name);
      if (const auto of = entry ? handles_.find(entry->name) : handles_.end(); of != handles_.end()) {
        handle = std::move(of->second);
        handles_.erase(of);
      }
      created_.erase(known);
    }
  }
  runtime_->drop(number);
  if (!info) return;
  if (gateway_ && entry) gateway_->drop(entry);
  if (handle) caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  {
    std::lock_guard guard(mutex_);
    std::erase_if(subscribers_, [&](const subscriber& s) { return s.group == entry; });
  }
  log.write(detail::log_level::info, "group " + info->name + " (number " + std::to_string(number) + ") was deleted");
  info->why_not = "it was deleted";
  tell(group_event::kind::deleted, std::move(*info));
}

void node::impl::host_created(const catalogue::group_line& line) {
  std::shared_ptr<detail::group_entry> entry;
  {
    std::lock_guard guard(groups_mutex_);
    const auto known = created_.find(line.number);
    if (known != created_.end() && (known->second.runs || !known->second.entry)) return;  // runs, or cannot in this program
    if (known != created_.end()) entry = known->second.entry;
  }
  if (!runtime_->makes_room(line.number, [this] { return gives_up(); })) {
    places_awaited_ = true;  // others begin meanwhile
    return;
  }
  auto why = join_created(line, entry);
  if (!why.empty() && gives_up()) return;
  const group_info info{line.name, line.number, line.type, why, hosts_of(line)};
  {
    std::lock_guard guard(groups_mutex_);
    created_[line.number] = {info, why.empty() ? entry : nullptr, why.empty()};
    if (why.empty()) groups_[line.name] = entry;
  }
  if (!why.empty()) {
    log.write(detail::log_level::error, "group " + line.name + " (number " + std::to_string(line.number) + ") does not run here: " + why);
    return tell(group_event::kind::not_hosted, info);
  }
  {
    std::lock_guard guard(mutex_);
    tell_subscribers(*entry);
  }
  if (gateway_) gateway_->host(entry);
  tell(group_event::kind::hosted, info);
}

/// Makes the group's entry, unless there is one of an earlier life of the runtime, and has the runtime take part. Empty, or why not.
std::string node::impl::join_created(const catalogue::group_line& line, std::shared_ptr<detail::group_entry>& entry) {
  std::size_t others = 1;
  {
    std::lock_guard guard(groups_mutex_);
    others += groups_.size();
    const auto same = groups_.find(line.name);
    if (same != groups_.end() && same->second != entry) return "a group of the program itself has that name; rename it there, or delete this one";
  }
  if (!entry) {
    const auto type = types_.find(line.type);
    if (type == types_.end())
      return "the program of this node registers no type " + in_quotes(line.type) + "; start one here that does, and the node takes part";
    try {
      auto how = detail::contract_of(line.contract);
      (void)detail::admit(how, line.name, line.founders.size());
      entry = entry_for(line.name, type->second, how);
    } catch (const std::runtime_error& e) {  // a field or a promise that this version does not know
      return e.what();
    }
    entry->index = line.number;
    entry->created = line;
    log.write(detail::log_level::info, "group " + line.name + ": " + describe(bounds_of(entry->how)));
  }
  return runtime_->host(entry, others, [this] { return gives_up(); });
}

void node::impl::tell(group_event::kind what, group_info info) const {
  if (on_group_event) on_group_event({what, std::move(info)});
}

// ---- the public face ------------------------------------------------------------------------------------------------

void node::register_machine(std::string_view type, machine_factory make, listener_factory beside) {
  if (!make) throw node_error("type " + std::string(type) + ": no state machine is given");
  impl_->register_type(type, {.machine = std::move(make), .listener = std::move(beside), .service = {}});
}
void node::register_primary(std::string_view type, primary_service_factory make, backup_kind backups) {
  if (!make) throw node_error("type " + std::string(type) + ": no service is given");
  impl_->register_type(type, {.machine = {}, .listener = {}, .service = std::move(make), .backups = backups});
}
void node::register_singleton(std::string_view type, singleton_factory make) {
  if (!make) throw node_error("type " + std::string(type) + ": no singleton is given");
  register_primary(type, as_service(std::move(make)));
}
void node::register_listener(std::string_view type, listener_factory make) {
  if (!make) throw node_error("type " + std::string(type) + ": no listener is given");
  impl_->register_type(type, {.machine = {}, .listener = std::move(make), .service = {}});
}
std::future<change_result> node::create_group(std::string_view name, std::string_view type, contract how, group_placement where) {
  return impl_->create_group(name, type, std::move(how), std::move(where));
}
std::future<change_result> node::extend_group(std::string_view name, std::string_view node) { return impl_->extend_group(name, node); }
std::future<change_result> node::delete_group(std::string_view name) { return impl_->delete_group(name); }
std::vector<group_info> node::created_groups() const { return impl_->created_groups(); }
void node::on_group_event(std::function<void(const group_event&)> tell) { impl_->on_group_event = std::move(tell); }

}  // namespace cohort
