#include "framework/protocol/assembler.hpp"

#include "framework/protocol/mutations.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>

namespace cohort::protocol {

namespace {

struct joined {
  std::vector<std::byte> bytes;
  std::uint32_t size = 0;
};

payload whole(std::shared_ptr<joined> memory) {
  memory->size = static_cast<std::uint32_t>(memory->bytes.size());
  payload p;
  p.sizes = {&memory->size, 1};
  p.blob = memory->bytes;
  p.owner = std::move(memory);
  return p;
}

}  // namespace

assembler::message_so_far* assembler::open(const lane_name& lane, order cls) {
  for (auto& m : messages_)
    if (m.lane == lane && m.cls == cls && m.ended == 0) return &m;
  return nullptr;
}

void assembler::bound_by(const view& v) {
  bytes_max_ = mutated(mutation::bound_of_newest_rules) ? v.options.message_bytes_max : v.largest_message;
}

bool assembler::take(deliver_batch& b) {
  auto* m = open(b.lane(), b.cls);
  if (b.part.number == 0) {
    // Its sender began again, or gave the former one up. After a restore the same part may come once more.
    if (m && m->parts.front().seq == b.seq) return false;
    if (m && b.cls != order::total)
      m->ended = b.seq;
    else if (m)
      messages_.erase(messages_.begin() + (m - messages_.data()));
    m = &messages_.emplace_back(message_so_far{b.lane(), b.cls, b.part.begun, {}, 0, 0});
  }
  if (!m || b.part.begun != m->begun) return false;
  if (b.part.number < m->parts.size()) return false;  // in the checkpoint already
  m->bytes += b.what.blob.size();
  if (b.part.number > m->parts.size() || m->bytes > bytes_max_) {
    messages_.erase(messages_.begin() + (m - messages_.data()));
    return false;
  }
  m->parts.push_back({b.seq, b.what});
  if (b.part.more) return false;
  auto memory = std::make_shared<joined>();
  memory->bytes.reserve(m->bytes);
  for (const auto& p : m->parts) memory->bytes.insert(memory->bytes.end(), p.what.blob.begin(), p.what.blob.end());
  b.what = whole(std::move(memory));
  b.part = {};
  if (b.cls == order::total)
    messages_.erase(messages_.begin() + (m - messages_.data()));
  else
    m->ended = b.seq;
  return true;
}

void assembler::drop(const deliver_void& v) {
  if (v.part.whole()) return;
  std::erase_if(messages_, [&](const auto& m) { return m.lane == v.lane() && m.cls == v.cls && m.ended == 0; });
}

void assembler::view_installed(const view& v) {
  std::erase_if(messages_, [&](const message_so_far& m) {
    // The final cut of the view before lies behind everything that was delivered in it.
    if (m.ended != 0 || m.begun < v.admitted) return true;
    for (slot s = 0; s < lane_count(v); ++s)
      if (lane_at(v, s) == m.lane) return false;
    return true;
  });
}

namespace {

sequence cut_of(const mark& at, const lane_name& lane) {
  for (slot s = 0; at.in_force && s < lane_count(*at.in_force) && s < at.cut.size(); ++s)
    if (lane_at(*at.in_force, s) == lane) return at.cut[s];
  return 0;
}

}  // namespace

void assembler::reached(const mark& at) {
  std::erase_if(messages_, [&](const auto& m) { return m.ended != 0 && m.ended <= cut_of(at, m.lane); });
}

void assembler::checkpoint(const mark& at, sink& out) {
  reached(at);
  std::vector<const message_so_far*> open;
  for (const auto& m : messages_)
    if (m.parts.front().seq <= cut_of(at, m.lane)) open.push_back(&m);
  std::ranges::sort(open, {}, [](const auto* m) { return std::tuple(m->lane, m->cls, m->parts.front().seq); });
  out.write_u64(open.size());
  for (const auto* m : open) {
    const auto below = std::ranges::partition_point(m->parts, [&](const part& p) { return p.seq <= cut_of(at, m->lane); });
    out.write_u64(to_index(m->lane.owner));
    out.write_u64(m->lane.inc);
    out.write_u64(static_cast<std::uint64_t>(m->cls));
    out.write_u64(m->begun);
    out.write_u64(static_cast<std::uint64_t>(below - m->parts.begin()));
    for (auto p = m->parts.begin(); p != below; ++p) {
      out.write_u64(p->seq);
      out.write_u64(p->what.blob.size());
      out.write(p->what.blob);
    }
  }
}

void assembler::restore(source& in) {
  messages_.clear();
  const auto refuse = [] { throw truncated_checkpoint("the checkpoint's unfinished messages make no sense: it is damaged"); };
  for (auto left = in.read_u64(); left > 0; --left) {
    message_so_far m;
    const auto owner = in.read_u64();
    m.lane.inc = in.read_u64();
    const auto cls = in.read_u64();
    m.begun = in.read_u64();
    const auto parts = in.read_u64();
    if (owner > 0xffff || cls >= order_count || parts == 0 || parts > in.left() / 16) refuse();
    m.lane.owner = member_id{static_cast<std::uint16_t>(owner)};
    m.cls = static_cast<order>(cls);
    m.lane.kind = kind_of(m.cls);
    for (std::uint64_t i = 0; i < parts; ++i) {
      part p;
      p.seq = in.read_u64();
      const auto size = in.read_u64();
      if (size > in.left() || size > bytes_max_ - m.bytes) refuse();
      auto memory = std::make_shared<joined>();
      memory->bytes.resize(static_cast<std::size_t>(size));
      in.read(memory->bytes);
      p.what = whole(std::move(memory));
      m.bytes += static_cast<std::size_t>(size);
      m.parts.push_back(std::move(p));
    }
    messages_.push_back(std::move(m));
  }
}

std::size_t assembler::bytes() const {
  std::size_t sum = 0;
  for (const auto& m : messages_) sum += m.bytes;
  return sum;
}

}  // namespace cohort::protocol
