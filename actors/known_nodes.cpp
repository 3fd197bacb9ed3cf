#include "actors/known_nodes.hpp"

#include "framework/memory_stream.hpp"

#include <utility>

namespace cohort::detail {
namespace {

constexpr std::uint64_t file_version = 1;

void write(sink& out, const transport::cluster_nodes& c) {
  out.write_u64(file_version);
  out.write_bytes(c.cluster);
  out.write_u64(c.epoch);
  out.write_u64(c.founders.size());
  for (const auto& f : c.founders) {
    out.write_bytes(f.name);
    out.write_bytes(f.where);
  }
  catalogue::write(out, c.nodes);
}

transport::cluster_nodes read(source& in) {
  if (in.read_u64() != file_version) throw truncated_checkpoint("it is of another version of Cohort");
  transport::cluster_nodes c;
  c.cluster = in.read_bytes();
  c.epoch = in.read_u64();
  const auto count = in.read_u64();
  if (count > catalogue::nodes_max) throw truncated_checkpoint("it has an impossible length");
  for (std::uint64_t i = 0; i < count; ++i) {
    auto name = in.read_bytes();
    c.founders.push_back({member_id(i), std::move(name), in.read_bytes()});
  }
  c.nodes = catalogue::read_node_table(in);
  return c;
}

}  // namespace

known_nodes::known_nodes(const std::vector<member_config>& founders) {
  table_.founders = founders.size();
  for (const auto& f : founders) table_.nodes.push_back({member_id(table_.nodes.size()), f.name, f.address, true});
}

std::string known_nodes::name_of(member_id number) const {
  std::lock_guard guard(mutex_);
  const auto* line = table_.find(number);
  return line ? line->name : "?";
}

std::string known_nodes::address_of(member_id number) const {
  std::lock_guard guard(mutex_);
  const auto* line = table_.find(number);
  return line ? line->address : "";
}

catalogue::node_table known_nodes::now() const {
  std::lock_guard guard(mutex_);
  return table_;
}

std::size_t known_nodes::size() const {
  std::lock_guard guard(mutex_);
  return table_.nodes.size();
}

std::optional<member_id> known_nodes::number_of(std::string_view name) const {
  std::lock_guard guard(mutex_);
  const auto* line = table_.find(name);
  return line ? std::optional(line->number) : std::nullopt;
}

void known_nodes::update(const catalogue::node_table& newer) {
  {
    std::lock_guard guard(mutex_);
    if (newer.version <= table_.version) return;
    table_ = newer;
    write_down();
  }
  std::lock_guard guard(telling_);
  if (tell_) tell_();
}

void known_nodes::on_change(std::function<void()> tell) {
  std::lock_guard guard(telling_);
  tell_ = std::move(tell);
}

void known_nodes::keep_in(const std::filesystem::path& file, transport::cluster_nodes facts) {
  std::lock_guard guard(mutex_);
  facts_ = std::move(facts);
  file_ = std::make_unique<kept_file>(file);
  write_down();
}

void known_nodes::write_down() {
  if (!file_) return;
  facts_.nodes = table_;
  memory_sink out;
  write(out, facts_);
  file_->keep(out.bytes());
}

std::optional<transport::cluster_nodes> read_known_nodes(const std::filesystem::path& file, std::string& trouble) {
  const auto kept = kept_file::read(file, trouble);
  if (!kept) return std::nullopt;
  try {
    memory_source in(*kept);
    return read(in);
  } catch (const truncated_checkpoint& e) {
    trouble = file.string() + ": " + e.what();
    return std::nullopt;
  }
}

}  // namespace cohort::detail
