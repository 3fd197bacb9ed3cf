#include "framework/catalogue/node_table.hpp"

#include <algorithm>

namespace cohort::catalogue {

const node_line* node_table::find(std::string_view name) const {
  const auto at = std::ranges::find_if(nodes, [&](const node_line& n) { return n.present && n.name == name; });
  return at == nodes.end() ? nullptr : &*at;
}

const node_line* node_table::find(member_id number) const {
  return to_index(number) < nodes.size() ? &nodes[to_index(number)] : nullptr;
}

std::size_t node_table::present() const {
  return static_cast<std::size_t>(std::ranges::count(nodes, true, &node_line::present));
}

void write(sink& out, const node_table& what) {
  out.write_u64(what.version);
  out.write_u64(what.founders);
  out.write_u64(what.nodes.size());
  for (const auto& n : what.nodes) {
    out.write_bytes(n.name);
    out.write_bytes(n.address);
    out.write_u64(n.present ? 1 : 0);
  }
}

node_table read_node_table(source& in) {
  node_table t;
  t.version = in.read_u64();
  t.founders = in.read_u64();
  const auto count = in.read_u64();
  if (count > nodes_max || t.founders > count) throw truncated_checkpoint("a table of nodes has an impossible length");
  for (std::uint64_t i = 0; i < count; ++i) {
    node_line n;
    n.number = member_id(i);
    n.name = in.read_bytes();
    n.address = in.read_bytes();
    n.present = in.read_u64() != 0;
    t.nodes.push_back(std::move(n));
  }
  return t;
}

bool is_node_name(std::string_view text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, good);
}

}  // namespace cohort::catalogue
