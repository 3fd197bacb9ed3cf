// The cluster's nodes on the wire.
#include "transport/nodes.hpp"

#include "transport/frame.hpp"
#include "transport/hello.hpp"
#include "wire.capnp.h"

namespace cohort::transport {
namespace {

std::string text_of(capnp::Text::Reader text) { return {text.cStr(), text.size()}; }

bool is_address(std::string_view text) {
  return !text.empty() && text.size() <= catalogue::address_bytes_max && printable(text, text.size()) == text;
}

const char* read(wire::Nodes::Reader in, cluster_nodes& out) {
  out = {};
  out.cluster = text_of(in.getCluster());
  if (out.cluster.size() > 64 || printable(out.cluster, 64) != out.cluster) return "its cluster's name is none";
  out.epoch = in.getEpoch();
  const auto founders = in.getFounders();
  const auto nodes = in.getNodes();
  if (founders.size() > nodes.size() || nodes.size() > catalogue::nodes_max) return "its table of nodes has an impossible length";
  for (const auto f : founders) {
    founder line{member_id{f.getMember()}, text_of(f.getName()), text_of(f.getWhere())};
    if (to_index(line.member) != out.founders.size() || !catalogue::is_node_name(line.name) || !is_address(line.where))
      return "its founders' table is damaged";
    out.founders.push_back(std::move(line));
  }
  out.nodes.version = in.getVersion();
  out.nodes.founders = founders.size();
  for (const auto n : nodes) {
    catalogue::node_line line{member_id(out.nodes.nodes.size()), text_of(n.getName()), text_of(n.getAddress()), n.getPresent()};
    if (!catalogue::is_node_name(line.name) || !is_address(line.address)) return "its table of nodes is damaged";
    out.nodes.nodes.push_back(std::move(line));
  }
  return nullptr;
}

}  // namespace

frame encode_question(const std::string& name) {
  frame_header head;
  head.type = frame_type::ask_nodes;
  head.sender = static_cast<std::uint16_t>(no_member);
  frame_writer writer;
  return writer.write(head, hello_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::AskNodes>();
    out.setMagic(hello_magic);
    out.setVersion(wire_version);
    out.setName(name.c_str());
  });
}

bool decode_question(std::span<const std::byte> bytes, std::string& why) {
  return read_struct<wire::AskNodes>(bytes.subspan(frame_header_bytes), &why, [](wire::AskNodes::Reader in) {
    return in.getMagic() == hello_magic ? static_cast<const char*>(nullptr) : "it is no node of this kind (wrong magic number)";
  });
}

frame encode_nodes(member_id self, const cluster_nodes& what) {
  frame_header head;
  head.type = frame_type::nodes;
  head.sender = static_cast<std::uint16_t>(self);
  frame_writer writer;
  return writer.write(head, hello_bytes_max, [&](capnp::MallocMessageBuilder& m) {
    auto out = m.initRoot<wire::Nodes>();
    out.setCluster(what.cluster.c_str());
    out.setEpoch(what.epoch);
    auto founders = out.initFounders(static_cast<unsigned>(what.founders.size()));
    for (unsigned i = 0; i < what.founders.size(); ++i) {
      founders[i].setMember(static_cast<std::uint16_t>(what.founders[i].member));
      founders[i].setName(what.founders[i].name.c_str());
      founders[i].setWhere(what.founders[i].where.c_str());
    }
    out.setVersion(what.nodes.version);
    auto nodes = out.initNodes(static_cast<unsigned>(what.nodes.nodes.size()));
    for (unsigned i = 0; i < what.nodes.nodes.size(); ++i) {
      nodes[i].setName(what.nodes.nodes[i].name.c_str());
      nodes[i].setAddress(what.nodes.nodes[i].address.c_str());
      nodes[i].setPresent(what.nodes.nodes[i].present);
    }
  });
}

bool decode_nodes(std::span<const std::byte> bytes, cluster_nodes& out, std::string& why) {
  return read_struct<wire::Nodes>(bytes.subspan(frame_header_bytes), &why, [&](wire::Nodes::Reader in) { return read(in, out); });
}

}  // namespace cohort::transport
