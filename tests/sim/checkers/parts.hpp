#pragma once

// What tests show to checkers that look at cores, messages and disks: made by hand, as little of it as a case needs.
#include "framework/simulation/check/properties.hpp"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace cohort::sim {

using namespace protocol;

inline life life_of(unsigned node, std::uint64_t number) {
  life l;
  l.node = node;
  l.number = number;
  l.id = {static_cast<member_id>(node), 100 + number};
  l.durable = false;
  return l;
}

inline const life a = life_of(0, 1), b = life_of(1, 2);

inline view_ptr view_of(view_number number, std::vector<std::pair<unsigned, incarnation>> active) {
  auto v = std::make_shared<view>();
  v->number = number;
  for (const auto& [member, inc] : active)
    v->roster.push_back({{static_cast<member_id>(member), 101u + member}, inc, true, true});
  return v;
}

inline deliver_view install(view_ptr v, log_index index = 1) {
  deliver_view d;
  d.index = index;
  d.what = std::move(v);
  return d;
}

inline deliver_batch batch_at(std::uint64_t position, unsigned sender = 0, sequence seq = 1, const char* text = "x", view_number v = 0) {
  deliver_batch d;
  d.position = position;
  d.sender = static_cast<member_id>(sender);
  d.inc = 1;
  d.seq = seq;
  d.view = v;
  d.what = one_message(std::as_bytes(std::span(text, std::char_traits<char>::length(text))));
  return d;
}

inline event elected(term_number term) { return {event_kind::elected, false, {}, term, 0}; }

inline operation op(std::uint64_t number, operation::kind what, std::uint64_t value, std::uint64_t read, int called, int returned) {
  operation o;
  o.number = number;
  o.what = what;
  o.value = value;
  o.read = read;
  o.called = instant(called);
  o.result = returned < 0 ? operation::outcome::open : operation::outcome::done;
  o.returned = returned < 0 ? never : instant(returned);
  return o;
}

inline append append_of(std::initializer_list<std::pair<log_index, term_number>> entries, term_number before) {
  append m;
  m.prev_term = before;
  for (const auto& [index, term] : entries) {
    entry e;
    e.index = index;
    e.term = term;
    m.entries.push_back(e);
  }
  return m;
}

/// A core's inside with a log of the given terms behind an empty base.
struct inside_with_log {
  explicit inside_with_log(std::initializer_list<term_number> terms, log_index commit) : in({}, start()) {
    mark base;
    base.in_force = view_of(0, {{0, 1}, {1, 1}, {2, 1}});
    base.cut.assign(3, 0);
    in.has_state = true;
    in.log.reset(base);
    in.lanes.learn(*base.in_force, base.cut);
    in.in_force = base.in_force;
    for (const auto t : terms) {
      entry e;
      e.index = in.log.last() + 1;
      e.term = t;
      e.cut.assign(3, 0);
      in.log.append(e, 0);
    }
    in.commit = commit;
  }
  static core_start start() {
    core_start s;
    s.self = a.id;
    return s;
  }
  inspector::inside in;
};

inline bool good(const std::unique_ptr<checker>& c) { return c->broken().empty(); }

}  // namespace cohort::sim
