#include "actors/large_answers.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace cohort::detail {

bool large_answers::add(member_id to, protocol::instant now, protocol::call_answers& what) {
  const auto bytes = what.what.blob.size();
  // Those sent whole are kept only in case that the link lost them.
  for (auto o = out_.begin(); out_bytes_ + bytes > held_bytes && o != out_.end();) {
    if (o->sent < o->what.what.blob.size()) {
      ++o;
      continue;
    }
    out_bytes_ -= o->what.what.blob.size();
    o = out_.erase(o);
  }
  if (out_bytes_ + bytes > held_bytes) {
    static constexpr std::uint32_t none = 0;
    what.items[0].too_large = true;
    what.what = {nullptr, std::span(&none, 1), {}};
    return false;
  }
  out_bytes_ += bytes;
  out_.push_back({to, now, std::move(what), 0});
  next_ = now;
  return true;
}

void large_answers::send(protocol::instant now, const std::function<std::size_t(member_id)>& queued,
                         const std::function<void(member_id, const protocol::message&)>& give) {
  next_ = protocol::never;
  for (auto& o : out_) {
    const auto& blob = o.what.what.blob;
    for (; o.sent < blob.size() && queued(o.to) < ahead_bytes; o.at = now) {
      const auto bytes = blob.subspan(o.sent, std::min(part_bytes, blob.size() - o.sent));
      auto size = std::make_shared<std::pair<std::shared_ptr<const void>, std::uint32_t>>(o.what.what.owner,
                                                                                           static_cast<std::uint32_t>(bytes.size()));
      protocol::call_answers part{o.what.inc, o.what.to, o.what.items, {size, std::span(&size->second, 1), bytes}};
      part.items[0].offset = static_cast<std::uint32_t>(o.sent);
      part.items[0].total = static_cast<std::uint32_t>(blob.size());
      give(o.to, protocol::message(std::move(part)));
      o.sent += bytes.size();
    }
    if (o.sent < blob.size()) next_ = now + look_again;
  }
  std::erase_if(out_, [&](const outgoing& o) {
    const bool old = o.at + kept_time < now;
    if (old) out_bytes_ -= o.what.what.blob.size();
    return old;
  });
}

void large_answers::link_up(member_id peer) {
  for (auto& o : out_)
    if (o.to == peer) {
      o.sent = 0;
      next_ = protocol::instant{};
    }
}

void large_answers::given_up(member_id from, const protocol::calls_over& what) {
  std::erase_if(out_, [&](const outgoing& o) {
    const bool over = o.to == from && o.what.to == what.inc && std::ranges::find(what.numbers, o.what.items[0].number) != what.numbers.end();
    if (over) out_bytes_ -= o.what.what.blob.size();
    return over;
  });
}

std::optional<protocol::call_answers> large_answers::take(member_id from, protocol::instant now, const protocol::call_answers& part) {
  const auto& item = part.items[0];
  const auto& bytes = part.what.blob;
  if (item.total > answer_bytes_max_ || bytes.empty() || item.offset > item.total || bytes.size() > item.total - item.offset) return {};
  const source key{from, part.inc, item.number};
  auto known = in_.find(key);
  if (item.offset == 0 && (known == in_.end() || known->second.total != item.total)) {
    if (known != in_.end()) {
      in_bytes_ -= known->second.total;
      in_.erase(known);
    }
    if (in_bytes_ + item.total > held_bytes) {
      static constexpr std::uint32_t none = 0;
      protocol::call_answers refused{part.inc, part.to, part.items, {nullptr, std::span(&none, 1), {}}};
      refused.items[0] = {item.number, item.view, true};
      return refused;
    }
    in_bytes_ += item.total;
    known = in_.emplace(key, incoming{now, item.total, {}}).first;
  }
  if (known == in_.end() || known->second.total != item.total) return {};
  auto& have = known->second;
  if (item.offset == 0) have.bytes.clear();  // it begins anew
  if (item.offset != have.bytes.size()) return {};
  have.at = now;
  have.bytes.insert(have.bytes.end(), bytes.begin(), bytes.end());
  if (have.bytes.size() < have.total) return {};
  struct whole {
    std::vector<std::byte> bytes;
    std::uint32_t size;
  };
  auto kept = std::make_shared<whole>(std::move(have.bytes), item.total);
  in_bytes_ -= have.total;
  in_.erase(known);
  protocol::call_answers all{part.inc, part.to, {{item.number, item.view, false}}, {kept, std::span(&kept->size, 1), kept->bytes}};
  return all;
}

void large_answers::forget(protocol::instant now, const std::function<bool(std::uint64_t number)>& knows) {
  std::erase_if(in_, [&](const auto& i) {
    const bool over = i.second.at + kept_time < now || !knows(std::get<2>(i.first));
    if (over) in_bytes_ -= i.second.total;
    return over;
  });
}

}  // namespace cohort::detail
