#include "room.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace chat {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

std::vector<std::string> names_of(std::span<const cohort::component_member> members) {
  std::vector<std::string> names;
  for (const auto& m : members) names.push_back(m.name);
  return names;
}

std::map<line_key, std::string> read_lines(cohort::source& in) {
  std::map<line_key, std::string> lines;
  while (in.left() > 0) {
    line_key key;
    key.number = in.read_u64();
    key.author = in.read_bytes();
    key.life = in.read_u64();
    key.view = in.read_u64();
    lines[key] = in.read_bytes();
  }
  return lines;
}

}  // namespace

std::string shown(const std::string& text) {
  auto safe = text;
  for (auto& c : safe)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return safe;
}

std::vector<std::byte> room::compose(const std::string& text) {
  std::lock_guard guard(mutex_);
  const auto number = ++largest_;
  std::vector<std::byte> bytes(sizeof number + text.size());
  for (std::size_t i = 0; i < sizeof number; ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i) & 0xff);
  if (!text.empty()) std::memcpy(bytes.data() + sizeof number, text.data(), text.size());
  return bytes;
}

bool room::add(const line_key& key, const std::string& text) {
  std::lock_guard guard(mutex_);
  largest_ = std::max(largest_, key.number);
  return lines_.emplace(key, text).second;
}

std::map<line_key, std::string> room::lines() const {
  std::lock_guard guard(mutex_);
  return lines_;
}

void room::replace(std::map<line_key, std::string> lines) {
  std::lock_guard guard(mutex_);
  lines_ = std::move(lines);
  if (!lines_.empty()) largest_ = std::max(largest_, lines_.rbegin()->first.number);
}

void room::present(std::vector<std::string> names) {
  std::lock_guard guard(mutex_);
  present_ = std::move(names);
}

std::vector<std::string> room::present() const {
  std::lock_guard guard(mutex_);
  return present_;
}

std::vector<std::string> room::absent() const {
  std::lock_guard guard(mutex_);
  std::vector<std::string> names;
  for (const auto& m : members_)
    if (std::ranges::find(present_, m) == present_.end()) names.push_back(m);
  return names;
}

void visitor::deliver(const cohort::delivery_batch& batch) {
  const auto* at = batch.blob.data();
  for (const auto size : batch.sizes) {
    const auto* bytes = std::exchange(at, at + size);
    line_key key{0, room_.name_of(batch.sender), batch.sender_incarnation, batch.view};
    if (size < sizeof key.number) continue;  // no line of ours
    for (std::size_t i = 0; i < sizeof key.number; ++i)
      key.number |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    const std::string text(reinterpret_cast<const char*>(bytes) + sizeof key.number, size - sizeof key.number);
    if (room_.add(key, text)) say_("<" + key.author + "> " + shown(text));
  }
}

void visitor::component_changed(const cohort::component_view& view) {
  room_.present(names_of(view.members));
  if (!view.gone.empty()) say_("* out of reach: " + listed(names_of(view.gone)));
  if (!view.arrived.empty()) say_("* here now: " + listed(names_of(view.arrived)));
  say_("* together: " + listed(names_of(view.members)));
}

void visitor::checkpoint(cohort::sink& out) const {
  for (const auto& [key, text] : room_.lines()) {
    out.write_u64(key.number);
    out.write_bytes(key.author);
    out.write_u64(key.life);
    out.write_u64(key.view);
    out.write_bytes(text);
  }
}

void visitor::restore(cohort::source& in) { room_.replace(read_lines(in)); }

/// Nobody's words are lost: the union of all sides' lines, which is the same in whatever order they are taken.
void visitor::reconcile(std::span<const cohort::merge_side> sides) {
  const auto known = room_.lines();
  std::map<line_key, std::string> all;
  for (const auto& side : sides) all.merge(read_lines(*side.state));
  for (const auto& [key, text] : all)
    if (!known.contains(key)) say_("~ <" + key.author + "> " + shown(text));
  const auto total = all.size();
  room_.replace(std::move(all));
  say_("* merged " + std::to_string(sides.size()) + " sides: " + std::to_string(total - known.size()) +
       " lines from elsewhere, " + std::to_string(total) + " in all");
}

}  // namespace chat
