#include "framework/catalogue/group_table.hpp"

#include <algorithm>

namespace cohort::catalogue {
namespace {

constexpr std::size_t founders_max = 64;

// Of a line as it is written down. Lines of a version that put each group on all nodes have nothing but the first.
constexpr std::uint64_t is_present = 1, has_hosts = 2;

// In the place of a version: numbers were not tied to places before, and all groups that ever were had a line.
constexpr std::uint64_t form_of_places = std::uint64_t{1} << 63;

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

void write_line(sink& out, const group_line& g, bool present) {
  out.write_bytes(g.name);
  out.write_bytes(g.type);
  out.write_bytes(g.contract);
  write(out, g.founders);
  out.write_u64(g.request);
  out.write_u64((present ? is_present : 0) | (g.hosts.empty() ? 0 : has_hosts));
  if (g.hosts.empty()) return;
  out.write_u64(g.hosts.size());
  for (const auto node : g.hosts) out.write_u64(to_index(node));
}

/// Whether it is present.
bool read_line(source& in, group_line& g) {
  g.name = in.read_bytes();
  g.type = in.read_bytes();
  g.contract = in.read_bytes();
  g.founders = read_founders(in);
  g.request = in.read_u64();
  const auto flags = in.read_u64();
  if (flags > (is_present | has_hosts)) throw truncated_checkpoint("a group's line is of a later version");
  if ((flags & has_hosts) != 0) g.hosts = read_hosts(in);
  return (flags & is_present) != 0;
}

std::uint64_t read_count(source& in, std::uint64_t most) {
  const auto count = in.read_u64();
  if (count > most) throw truncated_checkpoint("a table of groups has an impossible length");
  return count;
}

std::uint32_t read_number(source& in) {
  const auto number = in.read_u64();
  if (number > ~std::uint32_t{0}) throw truncated_checkpoint("a group has an impossible number");
  return static_cast<std::uint32_t>(number);
}

group_table read_all_that_were(source& in, group_table t) {
  const auto count = read_count(in, group_places);
  for (std::uint64_t i = 0; i < count; ++i) {
    group_line g;
    g.number = group_places - 1 - static_cast<std::uint32_t>(i);
    t.lives[g.number] = 1;
    if (read_line(in, g)) t.groups.push_back(std::move(g));
    else t.gone.push_back({g.number, std::move(g.name), g.request});
  }
  return t;
}

group_table read_places(source& in, group_table t) {
  std::vector<bool> taken(group_places, false);
  const auto groups = read_count(in, group_places);
  for (std::uint64_t i = 0; i < groups; ++i) {
    group_line g;
    g.number = read_number(in);
    if (taken[place_of(g.number)]) throw truncated_checkpoint("two groups have one place");
    taken[place_of(g.number)] = true;
    if (!read_line(in, g)) throw truncated_checkpoint("a group has a line and is gone");
    t.groups.push_back(std::move(g));
  }
  const auto gone = read_count(in, gone_max);
  for (std::uint64_t i = 0; i < gone; ++i) {
    gone_line g;
    g.number = read_number(in);
    g.name = in.read_bytes();
    g.request = in.read_u64();
    t.gone.push_back(std::move(g));
  }
  const auto places = read_count(in, group_places);
  for (std::uint64_t i = 0; i < places; ++i) {
    const auto one = in.read_u64();
    const auto place = static_cast<std::uint32_t>(one), lives = static_cast<std::uint32_t>(one >> 32);
    if (place >= group_places || lives > group_life_max + 1) throw truncated_checkpoint("a place had an impossible number of groups");
    t.lives[place] = lives;
  }
  for (const auto& g : t.groups)
    if (!t.ever(g.number)) throw truncated_checkpoint("a group has a number that was not given");
  return t;
}

}  // namespace

const group_line* group_table::find(std::string_view name) const {
  const auto at = std::ranges::find(groups, name, &group_line::name);
  return at == groups.end() ? nullptr : &*at;
}

const group_line* group_table::find(std::uint32_t number) const {
  const auto at = std::ranges::find(groups, number, &group_line::number);
  return at == groups.end() ? nullptr : &*at;
}

std::optional<std::uint32_t> group_table::next_number(std::uint32_t reserved) const {
  std::vector<bool> taken(group_places, false);
  for (const auto& g : groups) taken[place_of(g.number)] = true;
  std::optional<std::uint32_t> best;  // from the last place downward, away from those of configurations
  for (std::uint32_t place = group_places - 1; place > reserved; --place) {
    if (taken[place] || lives[place] > group_life_max) continue;
    if (!best || lives[place] < lives[*best]) best = place;
  }
  return best ? std::optional(group_number(*best, lives[*best])) : std::nullopt;
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
  out.write_u64(what.version | form_of_places);
  out.write_u64(what.groups.size());
  for (const auto& g : what.groups) {
    out.write_u64(g.number);
    write_line(out, g, true);
  }
  out.write_u64(what.gone.size());
  for (const auto& g : what.gone) {
    out.write_u64(g.number);
    out.write_bytes(g.name);
    out.write_u64(g.request);
  }
  out.write_u64(static_cast<std::uint64_t>(std::ranges::count_if(what.lives, [](auto lives) { return lives != 0; })));
  for (std::uint32_t place = 0; place < group_places; ++place)
    if (what.lives[place] != 0) out.write_u64(group_number(place, 0) | std::uint64_t{what.lives[place]} << 32);
}

group_table read_group_table(source& in) {
  group_table t;
  const auto first = in.read_u64();
  t.version = first & ~form_of_places;
  return (first & form_of_places) != 0 ? read_places(in, std::move(t)) : read_all_that_were(in, std::move(t));
}

}  // namespace cohort::catalogue
