#include "framework/catalogue/machine.hpp"

#include "framework/memory_stream.hpp"

#include <algorithm>
#include <utility>

namespace cohort::catalogue {
namespace {

bool is_address(std::string_view text) {
  return !text.empty() && text.size() <= address_bytes_max &&
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

bool of_groups(command_kind k) { return k >= command_kind::create_group; }

bool decode(std::span<const std::byte> bytes, command& out) {
  try {
    memory_source in(bytes);
    const auto kind = in.read_u64();
    if (kind > static_cast<std::uint64_t>(command_kind::extend_group)) return false;
    out.kind = static_cast<command_kind>(kind);
    out.name = in.read_bytes();
    out.address = in.read_bytes();
    if (!of_groups(out.kind)) return true;
    out.type = in.read_bytes();
    out.contract = in.read_bytes();
    out.founders = read_founders(in);
    out.request = in.read_u64();
    const auto number = in.read_u64();
    out.number = static_cast<std::uint32_t>(number);
    if (number > ~std::uint32_t{0}) return false;
    if (in.left() == 0) return true;  // of a version that put each group on all nodes, or as there
    const auto hosts = in.read_u64();
    if (hosts > hosts_max) return false;
    for (std::uint64_t i = 0; i < hosts; ++i) out.hosts.push_back(in.read_bytes());
    return true;
  } catch (const truncated_checkpoint&) {
    return false;
  }
}

}  // namespace

std::vector<std::byte> encode(const command& c) {
  memory_sink out;
  out.write_u64(static_cast<std::uint64_t>(c.kind));
  out.write_bytes(c.name);
  out.write_bytes(c.address);
  if (of_groups(c.kind)) {
    out.write_bytes(c.type);
    out.write_bytes(c.contract);
    write(out, c.founders);
    out.write_u64(c.request);
    out.write_u64(c.number);
    if (!c.hosts.empty()) out.write_u64(c.hosts.size());
    for (const auto& node : c.hosts) out.write_bytes(node);
  }
  return out.take();
}

std::vector<std::byte> encode(const verdict& v) {
  memory_sink out;
  out.write_u64(v.done ? 1 : 0);
  out.write_bytes(v.why);
  return out.take();
}

bool decode(std::span<const std::byte> bytes, verdict& out) {
  try {
    memory_source in(bytes);
    out.done = in.read_u64() != 0;
    out.why = in.read_bytes();
    return true;
  } catch (const truncated_checkpoint&) {
    return false;
  }
}

machine::machine(node_table founders, std::function<void(const node_table&)> changed,
                 std::function<void(const group_table&)> groups_changed)
    : table_(founders), founders_(std::move(founders)), changed_(std::move(changed)), groups_changed_(std::move(groups_changed)) {
  changed_(table_);
  tell_groups();
}

void machine::apply(const delivery& d, reply& answer) {
  command c;
  const auto v = decode(d.payload, c) ? apply(c) : verdict{false, "no command of this version"};
  answer.write(encode(v));
}

verdict machine::apply(const command& c) {
  if (c.kind == command_kind::add) return add(c);
  if (c.kind == command_kind::create_group) return create_group(c);
  if (c.kind == command_kind::delete_group) return delete_group(c);
  if (c.kind == command_kind::extend_group) return extend_group(c);
  const auto* known = table_.find(c.name);
  if (c.kind == command_kind::remove) {
    const bool was = std::ranges::any_of(table_.nodes, [&](const node_line& n) { return n.name == c.name; });
    if (!known) return {was, was ? c.name + " is removed" : "no node is named " + c.name};
    if (table_.present() == 1) return {false, "nobody would be left"};
    const auto number = known->number;
    if (const auto group = alone_on(number); !group.empty())
      return {false, "group " + group + " is on no other node: delete it, or extend it to another node, first"};
    table_.nodes[to_index(number)].present = false;
    forget_host(number);
  } else {
    if (!known) return {false, "no node is named " + c.name};
    if (!is_address(c.address)) return {false, "\"" + c.address + "\" is no address"};
    if (known->address == c.address) return {true, c.name + " is at " + c.address};
    if (const auto* there = whoever_is_at(c.address)) return {false, there->name + " is at " + c.address};
    table_.nodes[to_index(known->number)].address = c.address;
  }
  ++table_.version;
  changed_(table_);
  return {true, c.kind == command_kind::remove ? c.name + " is removed" : c.name + " is at " + c.address};
}

/// Null: nobody, or any number may be found so.
const node_line* machine::whoever_is_at(const std::string& address) const {
  if (is_left_to_sources(address)) return nullptr;
  const auto at = std::ranges::find_if(table_.nodes, [&](const node_line& n) { return n.present && n.address == address; });
  return at == table_.nodes.end() ? nullptr : &*at;
}

verdict machine::add(const command& c) {
  if (!is_node_name(c.name)) return {false, "\"" + c.name + "\" is no name: 1 to 64 characters of A-Z a-z 0-9 _ . -"};
  if (!is_address(c.address)) return {false, "\"" + c.address + "\" is no address"};
  if (const auto* known = table_.find(c.name)) {
    const auto number = std::to_string(to_index(known->number));
    if (known->address == c.address) return {true, c.name + " is node " + number + " at " + c.address};
    return {false, c.name + " is a node already, at " + known->address + "; move it if it is elsewhere now"};
  }
  if (const auto* there = whoever_is_at(c.address)) return {false, there->name + " is at " + c.address};
  if (table_.present() >= present_max) return {false, "a cluster has at most " + std::to_string(present_max) + " nodes"};
  if (table_.nodes.size() >= nodes_max) return {false, "a cluster has at most " + std::to_string(nodes_max) + " nodes in its life"};
  const auto number = table_.nodes.size();
  table_.nodes.push_back({member_id(number), c.name, c.address, true});
  ++table_.version;
  changed_(table_);
  return {true, c.name + " is node " + std::to_string(number) + " at " + c.address};
}

void machine::checkpoint(sink& out) const {
  write(out, table_);
  write(out, groups_);
}

void machine::restore(source& in) {
  table_ = in.left() == 0 ? founders_ : read_node_table(in);
  groups_ = in.left() == 0 ? group_table{} : read_group_table(in);  // a checkpoint of a version without groups ends here
  for (const auto& g : groups_.groups)
    for (const auto node : g.hosts)
      if (!table_.find(node)) throw truncated_checkpoint("group " + g.name + " is on a node that never was");
  changed_(table_);
  tell_groups();
}

}  // namespace cohort::catalogue
