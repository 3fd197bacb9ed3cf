#include "framework/catalogue/group_table.hpp"

#include <algorithm>

namespace cohort::catalogue {
namespace {

constexpr std::size_t founders_max = 64;

// Of a line as it is written down. Lines of a version that put each group on all nodes have nothing but the first.
constexpr std::uint64_t is_present = 1, has_hosts = 2;

std::vector<member_id> read_hosts(source& in) {
  const auto count = in.read_u64();
  if (count > hosts_max) throw truncated_checkpoint("a group has an impossible number of hosts");
  std::vector<member_id> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto node = in.read_u64();
    if (node >= to_index(no_member)) throw truncated_checkpoint("a host has an impossible number");
    all.push_back(member_id(node));
  }
  return all;
}

}  // namespace

const group_line* group_table::find(std::string_view name) const {
  const auto at = std::ranges::find_if(groups, [&](const group_line& g) { return g.present && g.name == name; });
  return at == groups.end() ? nullptr : &*at;
}

const group_line* group_table::find(std::uint32_t number) const {
  const std::size_t at = group_number_max - number;  // their numbers go down by one
  return number <= group_number_max && at < groups.size() ? &groups[at] : nullptr;
}

bool is_host(const group_line& of, member_id node) { return of.hosts.empty() || std::ranges::binary_search(of.hosts, node); }

void write(sink& out, const std::vector<founder_line>& what) {
  out.write_u64(what.size());
  for (const auto& f : what) {
    out.write_u64(to_index(f.member));
    out.write_u64(f.directory_id);
    out.write_u64(f.boot_id);
    out.write_u64(f.witness ? 1 : 0);
  }
}

std::vector<founder_line> read_founders(source& in) {
  const auto count = in.read_u64();
  if (count > founders_max) throw truncated_checkpoint("a group has an impossible number of founders");
  std::vector<founder_line> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    founder_line f;
    const auto member = in.read_u64();
    if (member >= to_index(no_member)) throw truncated_checkpoint("a founder has an impossible number");
    f.member = member_id(member);
    f.directory_id = in.read_u64();
    f.boot_id = in.read_u64();
    f.witness = in.read_u64() != 0;
    all.push_back(f);
  }
  return all;
}

void write(sink& out, const group_table& what) {
  out.write_u64(what.version);
  out.write_u64(what.groups.size());
  for (const auto& g : what.groups) {
    out.write_bytes(g.name);
    out.write_bytes(g.type);
    out.write_bytes(g.contract);
    write(out, g.founders);
    out.write_u64(g.request);
    out.write_u64((g.present ? is_present : 0) | (g.hosts.empty() ? 0 : has_hosts));
    if (g.hosts.empty()) continue;
    out.write_u64(g.hosts.size());
    for (const auto node : g.hosts) out.write_u64(to_index(node));
  }
}

group_table read_group_table(source& in) {
  group_table t;
  t.version = in.read_u64();
  const auto count = in.read_u64();
  if (count > group_number_max + 1) throw truncated_checkpoint("a table of groups has an impossible length");
  for (std::uint64_t i = 0; i < count; ++i) {
    group_line g;
    g.number = group_number_max - static_cast<std::uint32_t>(i);
    g.name = in.read_bytes();
    g.type = in.read_bytes();
    g.contract = in.read_bytes();
    g.founders = read_founders(in);
    g.request = in.read_u64();
    const auto flags = in.read_u64();
    if (flags > (is_present | has_hosts)) throw truncated_checkpoint("a group's line is of a later version");
    g.present = (flags & is_present) != 0;
    if ((flags & has_hosts) != 0) g.hosts = read_hosts(in);
    t.groups.push_back(std::move(g));
  }
  return t;
}

}  // namespace cohort::catalogue
