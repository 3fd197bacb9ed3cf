// Bytes of control messages: little endian, counts before lists. They travel opaque to the transport.
#include "framework/protocol/bytes.hpp"
#include "framework/protocol/partition/messages.hpp"
#include "framework/protocol/records.hpp"

#include <algorithm>
#include <limits>

namespace cohort::protocol::partition {
namespace {

constexpr std::size_t members_max = 1024;
constexpr std::size_t slots_max = 2 * members_max;

/// Grows as it writes: control messages are small and of the size of what they tell.
class appender {
public:
  std::vector<std::byte> bytes;
  template <class T>
  void put(T value) {
    static_assert(std::is_unsigned_v<T>);
    for (std::size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
  }
  void add(bool x) { put<std::uint8_t>(x); }
  void add(std::uint16_t x) { put(x); }
  void add(std::uint32_t x) { put(x); }
  void add(std::uint64_t x) { put(x); }
  void add(member_id x) { put(static_cast<std::uint16_t>(x)); }
  void add(const process& x) { all(x.member, x.inc); }
  void add(const component_id& x) { all(x.counter, x.coordinator, x.inc); }
  void add(const state_key& x) { all(x.at, x.side); }
  void add(const past_view& x) { all(x.view, x.digest, x.messages); }
  void add(const primary_mark& x) { all(x.view, x.members); }
  void add(const flush& x) { all(x.view, x.together, x.want, x.stable, x.holders); }
  void add(const side& x) { all(x.state, x.members, x.history, x.descends_from, x.blank); }
  void add(const view_options& x) { add(encode_options(x)); }
  void add(const component_rules& x) { all(x.options, x.since, x.largest_message); }
  void add(const component_view& x) { all(x.id, x.rules, x.members, x.flushes, x.sides, x.primary); }
  void add(const progress& x) { all(x.view, x.clock, x.merged, x.have, x.sealed[0], x.sealed[1]); }
  void add(const memory& x) { all(x.inc, x.founder, x.promised, *x.view, x.last_primary, x.attempted); }
  void add(const place& x) {
    all(x.is, x.descends_from, x.blank, x.history, x.digest, x.delivered, x.clock, x.totals_delivered);
    all(x.passed, x.unordered, x.totals, x.stable, x.trimmed);
  }
  void add(const standing& x) { all(x.promised, x.leader, x.wishes, x.hears, x.now); }
  void add(const gather& x) { add(x.attempt); }
  void add(const account& x) {
    all(x.attempt, x.view, x.front, x.stable, x.state, x.descends_from, x.blank, x.history, x.last_primary, x.attempted,
        x.rules, x.founder, x.wish.has_value());
    if (x.wish) add(*x.wish);
  }
  void add(const proposal& x) { add(*x.what); }
  void add(const prepared& x) { add(x.attempt); }
  void add(const install& x) { add(x.attempt); }
  void add(const offer& x) { all(x.view, x.side, x.number, x.count, x.data); }
  void add(const offer_wanted& x) { all(x.view, x.side, x.from); }
  void add(const std::vector<std::byte>& x) {
    add(static_cast<std::uint32_t>(x.size()));
    bytes.insert(bytes.end(), x.begin(), x.end());
  }
  template <class T>
  void add(const std::vector<T>& list) {
    add(static_cast<std::uint32_t>(list.size()));
    for (const auto& x : list) add(x);
  }
  template <class... T>
  void all(const T&... x) {
    (add(x), ...);
  }
};

class parser {
public:
  explicit parser(std::span<const std::byte> bytes) : in_(bytes) {}
  bool ended_well() const { return !in_.failed() && in_.rest().empty(); }

  void get(bool& x) {
    const auto v = in_.get<std::uint8_t>();
    if (v > 1) in_.fail();
    x = v == 1;
  }
  void get(std::uint16_t& x) { x = in_.get<std::uint16_t>(); }
  void get(std::uint32_t& x) { x = in_.get<std::uint32_t>(); }
  void get(std::uint64_t& x) { x = in_.get<std::uint64_t>(); }
  void get(member_id& x) { x = static_cast<member_id>(in_.get<std::uint16_t>()); }
  void get(process& x) { all(x.member, x.inc); }
  void get(component_id& x) { all(x.counter, x.coordinator, x.inc); }
  void get(state_key& x) { all(x.at, x.side); }
  void get(past_view& x) { all(x.view, x.digest, x.messages); }
  void get(primary_mark& x) {
    get(x.view);
    processes(x.members);
  }
  void get(flush& x) {
    get(x.view);
    processes(x.together);
    get(x.want);
    get(x.stable);
    list(x.holders, sizeof(std::uint16_t), slots_max);
  }
  void get(side& x) {
    get(x.state);
    processes(x.members);
    list(x.history, 34, history_max);
    all(x.descends_from, x.blank);
  }
  void get(view_options& x) {
    const auto size = in_.get_count(1, std::numeric_limits<std::uint16_t>::max());
    if (!decode_options(in_.get_bytes(size), x)) in_.fail();
  }
  void get(component_rules& x) {
    all(x.options, x.since, x.largest_message);
    if (x.largest_message < x.options.message_bytes_max) in_.fail();
  }
  void get(component_view& x) {
    all(x.id, x.rules);
    processes(x.members);
    list(x.flushes, 30, members_max);
    list(x.sides, 47, members_max);
    get(x.primary);
  }
  void get(progress& x) { all(x.view, x.clock, x.merged, x.have, x.sealed[0], x.sealed[1]); }
  void get(memory& x) {
    component_view v;
    all(x.inc, x.founder, x.promised, v, x.last_primary);
    x.view = std::make_shared<const component_view>(std::move(v));
    list(x.attempted, 22, attempts_max);
  }
  void get(place& x) {
    all(x.is, x.descends_from, x.blank);
    list(x.history, 34, history_max);
    all(x.digest, x.delivered, x.clock, x.totals_delivered, x.passed, x.unordered, x.totals, x.stable, x.trimmed);
    for (const auto* f : {&x.passed, &x.unordered, &x.totals, &x.stable, &x.trimmed})
      if (f->size() != 2 * x.is.view->members.size()) in_.fail();
  }
  void get(standing& x) {
    all(x.promised, x.leader, x.wishes);
    processes(x.hears);
    get(x.now);
  }
  void get(gather& x) { get(x.attempt); }
  void get(account& x) {
    all(x.attempt, x.view, x.front, x.stable, x.state, x.descends_from, x.blank);
    list(x.history, 34, history_max);
    get(x.last_primary);
    list(x.attempted, 22, attempts_max);
    bool wishes = false;
    all(x.rules, x.founder, wishes);
    if (wishes) get(x.wish.emplace());
  }
  void get(proposal& x) {
    component_view v;
    get(v);
    x.what = std::make_shared<const component_view>(std::move(v));
  }
  void get(prepared& x) { get(x.attempt); }
  void get(install& x) { get(x.attempt); }
  void get(offer& x) {
    all(x.view, x.side, x.number, x.count);
    const auto bytes = in_.get_count(1, offer_bytes);
    if (x.count == 0 || x.count > offer_parts_max || x.number >= x.count) in_.fail();
    if (in_.failed()) return;
    x.data.assign(in_.rest().begin(), in_.rest().begin() + static_cast<std::ptrdiff_t>(bytes));
    in_ = byte_reader(in_.rest().subspan(bytes));
  }
  void get(offer_wanted& x) { all(x.view, x.side, x.from); }
  void get(frontier& x) { list(x, sizeof(sequence), slots_max); }

private:
  template <class... T>
  void all(T&... x) {
    (get(x), ...);
  }
  template <class T>
  void list(std::vector<T>& out, std::size_t item_bytes, std::size_t most) {
    out.resize(in_.get_count(item_bytes, most));
    for (auto& x : out) get(x);
  }
  /// Ascending without repetition: ranks and slots are places in such a list.
  void processes(std::vector<process>& out) {
    list(out, 10, members_max);
    for (std::size_t i = 1; i < out.size(); ++i)
      if (!(out[i - 1].member < out[i].member)) in_.fail();
  }

  byte_reader in_;
};

template <std::size_t I = 0>
bool decode_body(std::size_t kind, parser& in, control_body& out) {
  if constexpr (I < std::variant_size_v<control_body>) {
    if (kind != I) return decode_body<I + 1>(kind, in, out);
    in.get(out.emplace<I>());
    return true;
  } else {
    return false;
  }
}

}  // namespace

std::vector<std::byte> encode(const control& what) {
  appender out;
  out.put(static_cast<std::uint8_t>(what.body.index()));
  out.add(what.inc);
  std::visit([&](const auto& body) { out.add(body); }, what.body);
  return std::move(out.bytes);
}

bool decode(std::span<const std::byte> bytes, control& out) {
  if (bytes.empty()) return false;
  parser in(bytes.subspan(1));
  in.get(out.inc);
  return decode_body(std::to_integer<std::size_t>(bytes[0]), in, out.body) && in.ended_well();
}

namespace {

/// In front of what is on disk.
constexpr std::uint8_t disk_layout = 1;

template <class T>
std::vector<std::byte> encode_for_disk(const T& what) {
  appender out;
  out.put(disk_layout);
  out.add(what);
  return std::move(out.bytes);
}

template <class T>
bool decode_from_disk(std::span<const std::byte> bytes, T& out) {
  if (bytes.empty() || bytes.front() != std::byte{disk_layout}) return false;
  parser in(bytes.subspan(1));
  in.get(out);
  return in.ended_well();
}

}  // namespace

std::vector<std::byte> encode(const memory& what) { return encode_for_disk(what); }
std::vector<std::byte> encode(const place& what) { return encode_for_disk(what); }
bool decode(std::span<const std::byte> bytes, memory& out) { return decode_from_disk(bytes, out); }
bool decode(std::span<const std::byte> bytes, place& out) { return decode_from_disk(bytes, out); }

view_ptr as_view(const component_view& v) {
  auto same = std::make_shared<protocol::view>();
  same->number = same->admitted = v.id.counter;
  same->kinds = bit_of(lane_kind::plain) | bit_of(lane_kind::causal);
  same->options = v.rules.options;
  same->largest_message = v.rules.largest_message;
  for (const auto& m : v.members) same->roster.push_back({{m.member, 0}, m.inc, true, true, false});
  return same;
}

std::uint16_t rank_of(const component_view& v, process who) {
  const auto at = std::ranges::lower_bound(v.members, who);
  return at != v.members.end() && *at == who ? static_cast<std::uint16_t>(at - v.members.begin()) : no_slot;
}

}  // namespace cohort::protocol::partition
