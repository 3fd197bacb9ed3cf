#include "transport/hello.hpp"

#include "transport/frame.hpp"
#include "wire.capnp.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace cohort::transport {

namespace {

constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t where_bytes_max = 300;
constexpr std::size_t text_bytes_max = 2000;

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool is_name(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max && is_printable(text);
}

std::string_view view_of(capnp::Text::Reader text) { return {text.cStr(), text.size()}; }

const char* read(capnp::List<wire::Hello::Group>::Reader groups, std::vector<group_config>& out) {
  if (groups.size() > groups_max) return "it hosts too many groups";
  for (const auto g : groups) {
    const auto group_name = view_of(g.getName());
    if (!is_name(group_name, name_bytes_max)) return "a group's name is none";
    out.push_back({g.getIndex(), std::string(group_name), g.getHash(), g.getIdentity(), g.getBlank(), g.getFounding()});
  }
  return nullptr;
}

void write(const std::vector<group_config>& groups, capnp::List<wire::Hello::Group>::Builder out) {
  for (unsigned i = 0; i < groups.size(); ++i) {
    out[i].setIndex(groups[i].index);
    out[i].setName(groups[i].name.c_str());
    out[i].setHash(groups[i].hash);
    out[i].setFounding(groups[i].founding_hash);
    out[i].setIdentity(groups[i].identity);
    out[i].setBlank(groups[i].blank);
  }
}

const char* read(wire::Hello::Reader in, hello& out) {
  if (in.getMagic() != hello_magic) return "it is no node of this kind (wrong magic number)";
  out.version = in.getVersion();
  out.oldest = in.getOldest();
  const auto name = view_of(in.getName());
  if (!is_name(name, name_bytes_max)) return "its node name is none";
  out.name = name;
  out.member = member_id{in.getMember()};
  out.directory_id = in.getDirectoryId();
  out.boot_id = in.getBootId();
  out.epoch = in.getEpoch();
  out.cluster = in.getCluster();
  out.attempt = in.getAttempt();
  out.target = member_id{in.getTarget()};
  out.dialled = in.getDialled();
  out.unpacks = in.getUnpacks();
  const auto founders = in.getFounders();
  if (founders.size() > founders_max) return "its founders' table is too long";
  for (const auto f : founders) {
    const auto who = view_of(f.getName());
    const auto where = view_of(f.getWhere());
    if (!is_name(who, name_bytes_max) || !is_name(where, where_bytes_max)) return "its founders' table is damaged";
    out.founders.push_back({member_id{f.getMember()}, std::string(who), std::string(where)});
  }
  return read(in.getGroups(), out.groups);
}

const char* read(wire::Hosted::Reader in, hosted& out) {
  const auto dropped = in.getDropped();
  if (dropped.size() > groups_max) return "it drops too many groups";
  for (const auto index : dropped) out.dropped.push_back(index);
  return read(in.getAdded(), out.added);
}

std::string number(std::uint64_t n) { return std::to_string(n); }

// "node n2 has n3 = 10.0.0.3:7001, this node has n3 = 10.0.0.4:7001"
std::string founders_difference(const hello& mine, const hello& theirs) {
  if (theirs.founders == mine.founders)
    return "node " + theirs.name + " is of another cluster: the members are the same, the cluster's name is not. Is an "
                                   "address wrong? Else correct the name";
  std::map<std::string, std::pair<const founder*, const founder*>> lines;
  for (const auto& f : mine.founders) lines[f.name].first = &f;
  for (const auto& f : theirs.founders) lines[f.name].second = &f;
  std::string text;
  std::size_t differences = 0;
  for (const auto& [name, line] : lines) {
    const auto [here, there] = line;
    if (here && there && here->where == there->where && here->member == there->member) continue;
    if (++differences > 3) continue;
    if (!text.empty()) text += "; ";
    text += "node " + theirs.name + (there ? " has " + name + " = " + there->where : " does not list " + name);
    text += here ? ", this node has " + name + " = " + here->where : ", this node does not list " + name;
    if (here && there && here->where == there->where)
      text += " (as members " + number(to_index(there->member)) + " and " + number(to_index(here->member)) + ")";
  }
  if (differences > 3) text += "; and " + number(differences - 3) + " more";
  if (text.empty()) text = "node " + theirs.name + " has another order of members";
  return text + ". The members must be the same on all nodes: correct the configuration and restart";
}

std::optional<refusal> compare_groups(const hello& mine, const hello& theirs) {
  std::unordered_map<std::string_view, const group_config*> by_name;
  std::unordered_map<std::uint32_t, const group_config*> by_index;
  for (const auto& there : theirs.groups) {
    by_name.try_emplace(there.name, &there);
    by_index.try_emplace(there.index, &there);
  }
  for (const auto& here : mine.groups) {
    if (const auto same = by_name.find(here.name); same != by_name.end())
      if (auto difference = compare(here, *same->second, theirs.name)) return difference;
    if (const auto same = by_index.find(here.index); same != by_index.end())
      if (auto difference = compare(here, *same->second, theirs.name)) return difference;
  }
  return std::nullopt;
}

}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out(text.substr(0, bytes_max));
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

std::uint64_t cluster_digest(const std::vector<founder>& founders, std::string_view cluster) {
  std::string all;
  for (const auto& f : founders)
    all += number(to_index(f.member)) + "=" + number(f.name.size()) + ":" + f.name + number(f.where.size()) + ":" +
           f.where + ";";
  if (!cluster.empty()) all += "cluster=" + std::string(cluster);
  return checksum(std::as_bytes(std::span(all)), 0);
}

frame encode_hello(const hello& h) {
  frame_header head;
  head.type = frame_type::hello;
  head.sender = static_cast<std::uint16_t>(h.member);
  frame_writer writer;
  return writer.write(head, hello_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::Hello>();
    out.setMagic(hello_magic);
    out.setVersion(h.version);
    out.setOldest(h.oldest);
    out.setName(h.name.c_str());
    out.setMember(static_cast<std::uint16_t>(h.member));
    out.setDirectoryId(h.directory_id);
    out.setBootId(h.boot_id);
    out.setEpoch(h.epoch);
    out.setCluster(h.cluster);
    out.setAttempt(h.attempt);
    out.setTarget(static_cast<std::uint16_t>(h.target));
    out.setDialled(h.dialled);
    out.setUnpacks(h.unpacks);
    auto founders = out.initFounders(static_cast<unsigned>(h.founders.size()));
    for (unsigned i = 0; i < h.founders.size(); ++i) {
      founders[i].setMember(static_cast<std::uint16_t>(h.founders[i].member));
      founders[i].setName(h.founders[i].name.c_str());
      founders[i].setWhere(h.founders[i].where.c_str());
    }
    write(h.groups, out.initGroups(static_cast<unsigned>(h.groups.size())));
  });
}

frame encode_hosted(member_id self, const hosted& what) {
  frame_header head;
  head.type = frame_type::hosted;
  head.sender = static_cast<std::uint16_t>(self);
  frame_writer writer;
  return writer.write(head, hello_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::Hosted>();
    write(what.added, out.initAdded(static_cast<unsigned>(what.added.size())));
    auto dropped = out.initDropped(static_cast<unsigned>(what.dropped.size()));
    for (unsigned i = 0; i < what.dropped.size(); ++i) dropped.set(i, what.dropped[i]);
  });
}

frame encode_refusal(member_id self, const refusal& r) {
  frame_header head;
  head.type = frame_type::refuse;
  head.sender = static_cast<std::uint16_t>(self);
  frame_writer writer;
  return writer.write(head, hello_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::Refuse>();
    out.setCode(static_cast<std::uint16_t>(r.code));
    out.setAttempt(r.attempt);
    out.setText(r.text.substr(0, text_bytes_max).c_str());
  });
}

bool decode_hello(std::span<const std::byte> bytes, hello& out, std::string& why) {
  return read_struct<wire::Hello>(bytes.subspan(frame_header_bytes), &why,
                                  [&](wire::Hello::Reader in) { return read(in, out); });
}

bool decode_hosted(std::span<const std::byte> bytes, hosted& out, std::string& why) {
  return read_struct<wire::Hosted>(bytes.subspan(frame_header_bytes), &why,
                                   [&](wire::Hosted::Reader in) { return read(in, out); });
}

bool decode_refusal(std::span<const std::byte> bytes, refusal& out, std::string& why) {
  return read_struct<wire::Refuse>(bytes.subspan(frame_header_bytes), &why, [&](wire::Refuse::Reader in) {
    out.code = static_cast<refuse_code>(in.getCode());
    out.attempt = in.getAttempt();
    out.text = printable(view_of(in.getText()), text_bytes_max);
    return static_cast<const char*>(nullptr);
  });
}

std::optional<refusal> compare(const group_config& here, const group_config& there, const std::string& name) {
  const auto differs = [](std::string text) { return refusal{refuse_code::group, std::move(text)}; };
  if (here.name != there.name)
    return differs("number " + number(here.index) + " is group " + there.name + " on node " + name + ", group " + here.name +
                   " on this node. All nodes must list their groups alike");
  if (here.index != there.index)
    return differs("group " + here.name + " has number " + number(there.index) + " on node " + name + ", " + number(here.index) +
                   " on this node. All nodes must list their groups alike");
  if (here.hash != there.hash)
    return differs("group " + here.name + " is set up differently on node " + name +
                   " and on this node. Durability, kind and sizes of a group must be the same on all nodes");
  // Once there is a group its log says by which rules it runs; before, its founders' configurations do.
  if (here.blank && there.blank && here.founding_hash != there.founding_hash && here.founding_hash != 0 && there.founding_hash != 0)
    return differs("group " + here.name + " is set up differently on node " + name +
                   " and on this node. Orders, reads, timers and limits must be the same on all nodes that found it");
  return std::nullopt;
}

std::optional<refusal> compare(const hello& mine, const hello& theirs) {
  if (theirs.oldest > mine.version || mine.oldest > theirs.version)
    return refusal{refuse_code::version, "node " + theirs.name + " speaks versions " + number(theirs.oldest) + " to " +
                                             number(theirs.version) + " of the wire format, this node " +
                                             number(mine.oldest) + " to " + number(mine.version) +
                                             ". Upgrade the older one"};
  if (theirs.cluster != mine.cluster || theirs.founders != mine.founders)
    return refusal{refuse_code::founders, founders_difference(mine, theirs)};
  if (theirs.epoch != mine.epoch)
    return refusal{refuse_code::epoch, "node " + theirs.name + " is in epoch " + number(theirs.epoch) +
                                           ", this node in epoch " + number(mine.epoch) +
                                           ". Start all nodes of a cluster with the same epoch"};
  if (theirs.member == mine.member || theirs.name == mine.name)
    return refusal{refuse_code::wrong_node, "the other node says it is " + theirs.name + ", which is this node. Is the "
                                            "node started twice, or an address wrong?"};
  const auto known = std::ranges::find(mine.founders, theirs.member, &founder::member);
  if (known != mine.founders.end() && known->name != theirs.name)
    return refusal{refuse_code::wrong_node, "the other node says it is " + theirs.name + " as member " +
                                                number(to_index(theirs.member)) + ", which is " + known->name};
  return compare_groups(mine, theirs);
}

}  // namespace cohort::transport
