#include "actors/discovery.hpp"

#include <algorithm>
#include <utility>

namespace cohort::detail {

discovery_source parse_source(std::string_view text) {
  constexpr std::string_view file = "file:", service = "srv:";
  discovery_source out;
  if (text.starts_with(file) && text.size() > file.size()) {
    out.file = text.substr(file.size());
    return out;
  }
  transport::place p;
  if (text.starts_with(service) && transport::parse_place(text, p).empty()) {
    out.service = p.service;
    return out;
  }
  throw node_error("\"" + std::string(text) +
                   "\" is no source of addresses; write \"file:PATH\", for instance \"file:members.toml\", or "
                   "\"srv:NAME\", for instance \"srv:_cohort._tcp.example.org\"");
}

std::vector<transport::place> configured_places(const node_config& config, const member_config& member) {
  std::vector<transport::place> out;
  if (!is_discovered(member.address)) {
    transport::place own;
    if (auto problem = transport::parse_place(member.address, own); !problem.empty())
      throw node_error("the address of member " + member.name + ": " + problem);
    out.push_back(std::move(own));
  }
  for (const auto& text : config.discover) {
    const auto source = parse_source(text);
    if (source.service.empty()) continue;
    transport::place records;
    records.service = source.service;
    records.label = member.name;
    out.push_back(std::move(records));
  }
  return out;
}

discovery::discovery(const node_config& config, const std::vector<std::string>& nodes, logger& log, proposer propose)
    : self_(config.name), log_(log), propose_(std::move(propose)) {
  take(nodes);
  by_source_.resize(config.discover.size());
  for (std::size_t i = 0; i < config.discover.size(); ++i) {
    const auto source = parse_source(config.discover[i]);
    if (source.file.empty()) continue;
    watches_.push_back(std::make_unique<transport::file_watch>(
      source.file, [this, i, file = source.file.string()](const transport::file_reading& what) { read(i, file, what); }));
  }
}

discovery::~discovery() { watches_.clear(); }

void discovery::take(const std::vector<std::string>& nodes) {
  members_.clear();
  for (const auto& name : nodes)
    if (name != self_) members_.push_back(name);
}

void discovery::nodes_are(const std::vector<std::string>& nodes) {
  std::lock_guard guard(mutex_);
  take(nodes);
  publish();
}

void discovery::read(std::size_t source, const std::string& file, const transport::file_reading& what) {
  std::lock_guard guard(mutex_);
  if (!what.error.empty())
    return log_.write(log_level::warn, "discover: " + what.error + "; what is known of the members' addresses stays");
  auto parsed = parse_member_file(what.text, file);
  for (const auto& trouble : parsed.troubles)
    log_.write(log_level::warn, "discover: " + trouble + (parsed.usable ? "" : "; what the file said last stays"));
  if (!parsed.usable) return;
  auto& before = by_source_[source];
  hints now;
  std::string unknown;
  std::size_t unknown_count = 0;
  for (auto& hint : parsed.hints) {
    if (hint.name == self_) continue;
    if (std::find(members_.begin(), members_.end(), hint.name) == members_.end()) {
      if (++unknown_count <= 3) unknown += (unknown.empty() ? "" : ", ") + printable(hint.name.substr(0, 64));
    }
    if (hint.places.empty()) {  // its entry is wrong
      if (auto last = before.find(hint.name); last != before.end()) now[hint.name] = std::move(last->second);
      continue;
    }
    now[hint.name] = std::move(hint.places);
  }
  if (!unknown.empty())
    log_.write(log_level::warn, "discover: " + file + " names " + unknown +
                                  (unknown_count > 3 ? " and " + std::to_string(unknown_count - 3) + " more" : "") +
                                  ", no member of this cluster, or not yet; a file tells where members are, not who is one");
  before = std::move(now);
  publish();
}

void discovery::publish() {
  hints all;
  for (const auto& source : by_source_)
    for (const auto& [name, places] : source)
      if (std::ranges::find(members_, name) != members_.end()) all[name].insert(all[name].end(), places.begin(), places.end());
  for (const auto& name : members_) {
    auto& places = all[name];
    if (places == proposed_[name]) continue;
    std::string text;
    for (const auto& p : places) text += (text.empty() ? "" : ", ") + to_string(p);
    log_.write(log_level::info, "discover: " + name + (places.empty() ? " is no longer in a file" : " may be at " + text));
    propose_(name, places);
  }
  proposed_ = std::move(all);
}

}  // namespace cohort::detail
