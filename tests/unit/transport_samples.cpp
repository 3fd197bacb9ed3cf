#include "transport_samples.hpp"

#include <algorithm>
#include <cstring>

namespace transport_samples {

using cohort::member_id;
using cohort::wall_time;

namespace {

std::uint64_t number(generator& r) {
  switch (r() % 4) {
    case 0: return 0;
    case 1: return r() % 100;
    case 2: return r();
    default: return ~std::uint64_t{0};
  }
}

std::int64_t time(generator& r) { return static_cast<std::int64_t>(r() >> 2); }
bool coin(generator& r) { return r() % 2 == 0; }

frontier draw_frontier(generator& r) {
  frontier f(r() % 3 == 0 ? 0 : r() % 12);
  for (auto& x : f) x = number(r);
  return f;
}

view_options draw_options(generator& r) {
  view_options o;
  o.orders = cohort::order_set::from_bits(static_cast<std::uint8_t>(1 + r() % 63));
  o.default_order = static_cast<cohort::order>(r() % cohort::order_count);
  o.reads = coin(r) ? read_mode::lease : read_mode::read_index;
  o.slow = static_cast<slow_policy>(r() % 3);
  o.minority_multicast = coin(r);
  o.shrink = coin(r);
  o.min_voters = static_cast<std::uint16_t>(r());
  o.min_copies = static_cast<std::uint16_t>(r());
  o.heartbeat = duration(time(r));
  o.election_min = duration(time(r));
  o.fail_after = duration(time(r));
  o.retain_time = duration(time(r));
  o.durable = coin(r);
  o.suspect_at = static_cast<std::uint32_t>(r());
  o.lease = duration(time(r));
  o.clock_rate_ppm = static_cast<std::uint32_t>(r() % 100'001);
  o.clock_margin = duration(time(r));
  o.message_bytes_max = number(r);
  o.lane_window = number(r);
  o.retain_bytes = number(r);
  return o;
}

view_ptr draw_view(generator& r) {
  auto v = std::make_shared<view>();
  v->number = number(r);
  std::uint16_t m = 0;
  for (auto left = r() % 8; left > 0; --left) {
    m = static_cast<std::uint16_t>(m + r() % 3);
    const voter_id id{member_id{m}, v->roster.empty() ? r() % 1000 : v->roster.back().id.identity + 1 + r() % 1000};
    v->roster.push_back({id, number(r), coin(r), coin(r), coin(r)});
    v->notes.push_back({id, static_cast<view_cause>(r() % view_causes)});
  }
  v->options = draw_options(r);
  v->kinds = static_cast<lane_kinds>(kinds_of(v->options.orders) | (coin(r) ? 3 : 0));
  v->largest_message = coin(r) ? v->options.message_bytes_max : ~std::uint64_t{0};
  v->admitted = v->number - r() % 2 * std::min<cohort::view_number>(v->number, 3);
  for (auto left = r() % 3; left > 0; --left) v->barred.push_back(member_id{static_cast<std::uint16_t>(10 - left)});
  m = 0;
  for (auto left = r() % 8; left > 0; --left) {
    v->burnt.push_back({member_id{m}, number(r)});
    m = static_cast<std::uint16_t>(m + 1 + r() % 3);
  }
  return v;
}

payload draw_payload(generator& r) {
  std::vector<std::string> messages(r() % 20);
  for (auto& m : messages) m.assign(r() % 4 == 0 ? 0 : r() % 200, static_cast<char>(r()));
  return make_payload(messages);
}

std::vector<extra> draw_extras(generator& r) {
  std::vector<extra> extras(r() % 4);
  for (auto& x : extras) x = {static_cast<slot>(r()), number(r)};
  return extras;
}

entry draw_entry(generator& r) {
  entry e;
  e.index = number(r);
  e.term = number(r);
  e.kind = static_cast<entry_kind>(r() % 3);
  e.time = wall_time(time(r));
  e.cut = draw_frontier(r);
  if (e.kind == entry_kind::view) e.next = draw_view(r);
  if (e.kind == entry_kind::view) e.extras = draw_extras(r);
  return e;
}

bool same_view(const view_ptr& a, const view_ptr& b) { return a && b ? *a == *b : !a && !b; }

bool same_payload(const payload& a, const payload& b) {
  return std::ranges::equal(a.sizes, b.sizes) && std::ranges::equal(a.blob, b.blob);
}

bool same_entry(const entry& a, const entry& b) {
  return a.index == b.index && a.term == b.term && a.kind == b.kind && a.time == b.time && a.cut == b.cut &&
         same_view(a.next, b.next) && a.extras == b.extras;
}

struct comparison {
  const message& other;
  template <class T>
  const T& as() const {
    return std::get<T>(other);
  }
  bool operator()(const batch& a) const {
    const auto& b = as<batch>();
    return a.view == b.view && a.slot == b.slot && a.seq == b.seq && a.stamp == b.stamp && same_payload(a.what, b.what) &&
           a.owner == b.owner && a.inc == b.inc && a.cls == b.cls && a.tdep == b.tdep && a.deps == b.deps &&
           a.deadline == b.deadline && a.part == b.part;
  }
  bool operator()(const append& a) const {
    const auto& b = as<append>();
    return a.term == b.term && a.prev_index == b.prev_index && a.prev_term == b.prev_term && a.commit == b.commit &&
           a.send_time == b.send_time && a.min_applied == b.min_applied &&
           std::ranges::equal(a.entries, b.entries, same_entry);
  }
  bool operator()(const ack& a) const {
    const auto& b = as<ack>();
    return a.term == b.term && a.inc == b.inc && a.match_term == b.match_term && a.match == b.match &&
           a.applied == b.applied && a.view == b.view && a.echo_time == b.echo_time && a.have == b.have &&
           a.no_state == b.no_state && a.reject == b.reject && a.refused_prev == b.refused_prev && a.hint == b.hint &&
           a.clock_ahead == b.clock_ahead && a.base == b.base;
  }
  bool operator()(const vote& a) const {
    const auto& b = as<vote>();
    return a.phase == b.phase && a.request == b.request && a.granted == b.granted && a.term == b.term &&
           a.for_term == b.for_term && a.last_index == b.last_index && a.last_term == b.last_term &&
           a.handed_over == b.handed_over;
  }
  bool operator()(const wedge& a) const {
    const auto& b = as<wedge>();
    return a.term == b.term && a.attempt == b.attempt && a.view == b.view;
  }
  bool operator()(const report& a) const {
    const auto& b = as<report>();
    return a.term == b.term && a.attempt == b.attempt && a.view == b.view && a.inc == b.inc &&
           a.no_state == b.no_state && a.front == b.front && a.extras == b.extras;
  }
  bool operator()(const pull& a) const {
    const auto& b = as<pull>();
    return a.view == b.view && a.slot == b.slot && a.from == b.from && a.to == b.to && a.owner == b.owner && a.inc == b.inc &&
           a.kind == b.kind;
  }
  bool operator()(const pull_chunk& a) const {
    const auto& b = as<pull_chunk>();
    return a.index == b.index && a.number == b.number;
  }
  bool operator()(const chunk& a) const {
    const auto& b = as<chunk>();
    return a.term == b.term && a.index == b.index && a.number == b.number && a.count == b.count &&
           same_payload(a.data, b.data);
  }
  bool operator()(const join& a) const {
    const auto& b = as<join>();
    return a.inc == b.inc && a.known == b.known && a.has_state == b.has_state && a.burnt == b.burnt && a.barred == b.barred;
  }
  bool operator()(const form& a) const {
    const auto& b = as<form>();
    return a.phase == b.phase && a.attempt == b.attempt && same_view(a.founders, b.founders);
  }
  bool operator()(const read_request& a) const { return a.id == as<read_request>().id; }
  bool operator()(const read_reply& a) const {
    const auto& b = as<read_reply>();
    return a.id == b.id && a.refused == b.refused && a.index == b.index;
  }
  bool operator()(const change_request& a) const {
    const auto& b = as<change_request>();
    return a.id == b.id && a.kind == b.kind && a.who == b.who && a.options == b.options && a.based_on == b.based_on;
  }
  bool operator()(const change_reply& a) const {
    const auto& b = as<change_reply>();
    return a.id == b.id && a.why == b.why;
  }
  bool operator()(const take_over& a) const {
    return a.term == as<take_over>().term && a.for_links == as<take_over>().for_links;
  }
  bool operator()(const call_answers& a) const {
    const auto& b = as<call_answers>();
    const auto same_item = [](const call_answers::item& x, const call_answers::item& y) {
      return x.number == y.number && x.view == y.view && x.too_large == y.too_large && x.offset == y.offset && x.total == y.total;
    };
    return a.inc == b.inc && a.to == b.to && std::ranges::equal(a.items, b.items, same_item) && same_payload(a.what, b.what);
  }
  bool operator()(const calls_over& a) const { return a.inc == as<calls_over>().inc && a.numbers == as<calls_over>().numbers; }
  bool operator()(const state_digest& a) const {
    const auto& b = as<state_digest>();
    return a.inc == b.inc && a.position == b.position && a.digest == b.digest;
  }
  bool operator()(const component_control& a) const { return a.bytes == as<component_control>().bytes; }
  bool operator()(const probe& a) const {
    const auto& b = as<probe>();
    return a.term == b.term && a.asker == b.asker && a.subject == b.subject && a.asked == b.asked &&
           a.answered == b.answered && a.deaf == b.deaf && a.reset == b.reset;
  }
};

}  // namespace

payload make_payload(const std::vector<std::string>& messages) {
  struct memory {
    std::vector<std::uint32_t> sizes;
    std::string blob;
  };
  auto m = std::make_shared<memory>();
  for (const auto& text : messages) {
    m->sizes.push_back(static_cast<std::uint32_t>(text.size()));
    m->blob += text;
  }
  payload p;
  p.sizes = m->sizes;
  p.blob = std::as_bytes(std::span(m->blob));
  p.owner = std::move(m);
  return p;
}

std::string text_of(const payload& p, std::size_t i) {
  std::size_t from = 0;
  for (std::size_t k = 0; k < i; ++k) from += p.sizes[k];
  return {reinterpret_cast<const char*>(p.blob.data()) + from, p.sizes[i]};
}

message draw(std::size_t kind, generator& r) {
  const auto slot_number = static_cast<slot>(r());
  switch (kind) {
    case 0: {
      batch b{number(r), slot_number, number(r), number(r), draw_payload(r), member_id{slot_number}, number(r),
              static_cast<cohort::order>(r() % cohort::order_count), number(r), draw_frontier(r), cohort::wall_time(time(r)), {}};
      if (b.what.sizes.size() == 1) b.part = {static_cast<std::uint32_t>(r()), coin(r), number(r)};
      return b;
    }
    case 1: {
      append a{number(r), number(r), number(r), number(r), instant(time(r)), number(r), {}};
      for (auto left = r() % 6; left > 0; --left) a.entries.push_back(draw_entry(r));
      return a;
    }
    case 2: {
      ack a{number(r), number(r), number(r), number(r), number(r), number(r), instant(time(r)), draw_frontier(r)};
      a.no_state = coin(r);
      a.reject = coin(r);
      a.refused_prev = number(r);
      a.hint = number(r);
      a.clock_ahead = coin(r);
      a.base = number(r);
      return a;
    }
    case 3:
      return vote{coin(r) ? vote_phase::pre : vote_phase::real, coin(r), coin(r), number(r), number(r), number(r),
                  number(r), coin(r)};
    case 4: return wedge{number(r), number(r), number(r)};
    case 5: return report{number(r), number(r), number(r), number(r), coin(r), draw_frontier(r), draw_extras(r)};
    case 6:
      return pull{number(r), slot_number, number(r), number(r), member_id{slot_number}, number(r),
                  static_cast<lane_kind>(r() % 2)};
    case 7: return pull_chunk{number(r), static_cast<std::uint32_t>(r())};
    case 8:
      return chunk{number(r), number(r), static_cast<std::uint32_t>(r()), static_cast<std::uint32_t>(r()),
                   draw_payload(r)};
    case 9: return join{number(r), number(r), coin(r), number(r), coin(r)};
    case 10: return form{static_cast<form_phase>(r() % 3), number(r), coin(r) ? draw_view(r) : nullptr};
    case 11: return read_request{number(r)};
    case 12: return read_reply{number(r), coin(r), number(r)};
    case 13: return take_over{number(r), coin(r)};
    case 14: {
      change_request c{number(r), static_cast<change_kind>(r() % change_kinds), member_id{slot_number}, {}, {}};
      if (c.kind == change_kind::options) c.options = draw_options(r);
      if (c.kind == change_kind::options && coin(r)) c.based_on = draw_options(r);
      return c;
    }
    case 15: return change_reply{number(r), static_cast<change_refusal>(r() % change_refusals)};
    case 17: {
      component_control c;
      c.bytes.resize(r() % 300);
      for (auto& b : c.bytes) b = static_cast<std::byte>(r());
      return c;
    }
    case 18: {
      call_answers c{number(r), number(r), {}, draw_payload(r)};
      for (std::size_t i = 0; i < c.what.sizes.size(); ++i) c.items.push_back({number(r), number(r), coin(r)});
      if (c.items.size() == 1 && coin(r) && !c.what.blob.empty()) {
        c.items[0].too_large = false;
        c.items[0].offset = static_cast<std::uint32_t>(r() % 1'000'000);
        c.items[0].total = c.items[0].offset + static_cast<std::uint32_t>(c.what.blob.size() + r() % 2);
      }
      return c;
    }
    case 19: {
      calls_over c{number(r), {}};
      for (auto left = r() % 6; left > 0; --left) c.numbers.push_back(number(r));
      return c;
    }
    case 20: return state_digest{number(r), number(r), number(r)};
    default:
      return probe{number(r), member_id{slot_number}, member_id{static_cast<std::uint16_t>(r())}, instant(static_cast<std::int64_t>(number(r))),
                   coin(r), static_cast<std::uint32_t>(r()), coin(r)};
  }
}

bool same(const message& a, const message& b) {
  return a.index() == b.index() && std::visit(comparison{b}, a);
}

}  // namespace transport_samples
