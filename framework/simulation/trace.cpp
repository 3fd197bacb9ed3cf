#include "framework/simulation/trace.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

/// Names and values of a message's fields, for text and hash alike.
template <class Put>
void fields(const message& what, Put put) {
  const auto vector = [&](const char* name, const frontier& f) {
    for (const auto n : f) put(name, n);
  };
  const auto number = [](auto n) { return static_cast<std::uint64_t>(n); };
  std::visit(
    [&]<class M>(const M& m) {
      if constexpr (std::is_same_v<M, batch>) {
        put("view", m.view), put("slot", m.slot), put("seq", m.seq), put("stamp", m.stamp), put("bytes", m.what.bytes());
        if (m.cls != order::total) put("class", number(m.cls));
        if (!m.deps.empty()) put("tdep", m.tdep), vector("dep", m.deps);
      } else if constexpr (std::is_same_v<M, append>) {
        put("term", m.term), put("prev", m.prev_index), put("prev_term", m.prev_term), put("commit", m.commit);
        put("min_applied", m.min_applied), put("sent", number(m.send_time.count()));
        for (const auto& e : m.entries) put("entry", e.index), put("of", e.term), put("kind", number(e.kind)), vector("cut", e.cut);
      } else if constexpr (std::is_same_v<M, ack>) {
        put("term", m.term), put("inc", m.inc), put("match_term", m.match_term), put("match", m.match);
        put("applied", m.applied), put("view", m.view), vector("have", m.have), put("no_state", m.no_state);
        put("reject", m.reject), put("refused", m.refused_prev), put("hint", m.hint), put("clock_ahead", m.clock_ahead);
        put("echo", number(m.echo_time.count()));
      } else if constexpr (std::is_same_v<M, vote>) {
        put("phase", number(m.phase)), put("request", m.request), put("granted", m.granted), put("term", m.term);
        put("for", m.for_term), put("last", m.last_index), put("last_term", m.last_term);
      } else if constexpr (std::is_same_v<M, wedge>) {
        put("term", m.term), put("attempt", m.attempt), put("view", m.view);
      } else if constexpr (std::is_same_v<M, report>) {
        put("term", m.term), put("attempt", m.attempt), put("view", m.view), put("inc", m.inc);
        put("no_state", m.no_state), vector("front", m.front);
        for (const auto& x : m.extras) put("extra", x.slot), put("at", x.seq);
      } else if constexpr (std::is_same_v<M, pull>) {
        put("view", m.view), put("slot", m.slot), put("from", m.from), put("to", m.to);
      } else if constexpr (std::is_same_v<M, pull_chunk>) {
        put("index", m.index), put("number", m.number);
      } else if constexpr (std::is_same_v<M, chunk>) {
        put("term", m.term), put("index", m.index), put("number", m.number), put("count", m.count);
      } else if constexpr (std::is_same_v<M, join>) {
        put("inc", m.inc), put("known", m.known), put("has_state", m.has_state), put("burnt", m.burnt);
      } else if constexpr (std::is_same_v<M, form>) {
        put("phase", number(m.phase)), put("attempt", m.attempt);
      } else if constexpr (std::is_same_v<M, read_request>) {
        put("id", m.id);
      } else if constexpr (std::is_same_v<M, read_reply>) {
        put("id", m.id), put("refused", m.refused), put("index", m.index);
      } else if constexpr (std::is_same_v<M, take_over>) {
        put("term", m.term), put("for_links", m.for_links);
      } else if constexpr (std::is_same_v<M, change_request>) {
        put("id", m.id), put("kind", number(m.kind)), put("who", to_index(m.who)), put("orders", m.options.orders.bits()), put("based", m.based_on.has_value());
      } else if constexpr (std::is_same_v<M, change_reply>) {
        put("id", m.id), put("why", number(m.why));
      } else if constexpr (std::is_same_v<M, probe>) {
        put("term", m.term), put("asker", to_index(m.asker)), put("subject", to_index(m.subject));
        put("asked", number(m.asked.count())), put("answered", m.answered), put("deaf", m.deaf), put("reset", m.reset);
      } else if constexpr (std::is_same_v<M, component_control>) {
        put("bytes", m.bytes.size());
      } else if constexpr (std::is_same_v<M, call_answers>) {
        put("to", m.to), put("items", m.items.size());
      } else if constexpr (std::is_same_v<M, calls_over>) {
        put("numbers", m.numbers.size());
      } else if constexpr (std::is_same_v<M, state_digest>) {
        put("position", m.position), put("digest", m.digest);
      }
    },
    what);
}

constexpr const char* names[] = {"batch", "append", "ack",   "vote", "wedge", "report",      "pull",
                                 "pull_chunk", "chunk", "join", "form", "read_request", "read_reply", "take_over", "change_request", "change_reply", "probe",
                                 "component_control", "call_answers", "calls_over", "state_digest"};

}  // namespace

std::string describe(const message& what) {
  std::string text = names[what.index()];
  fields(what, [&](const char* name, std::uint64_t value) {
    text.append(1, ' ').append(name).append(1, '=').append(std::to_string(value));
  });
  return text;
}

std::string describe(const view& v) {
  std::string text = "view " + std::to_string(v.number) + ":";
  for (const auto& r : v.roster)
    text += " " + std::to_string(to_index(r.id.member)) + "/" + std::to_string(r.id.identity % 1000) + "." + std::to_string(r.inc) +
            (r.voter ? "v" : "") + (r.active ? "a" : "") + (r.witness ? "w" : "");
  for (const auto m : v.barred) text += " barred " + std::to_string(to_index(m));
  return text + " orders " + std::to_string(v.options.orders.bits()) + " copies " + std::to_string(v.options.min_copies);
}

std::uint64_t hash_message(std::uint64_t hash, const message& what) {
  hash = mix(hash, what.index());
  fields(what, [&](const char*, std::uint64_t value) { hash = mix(hash, value); });
  return hash;
}

std::uint64_t hash_payload(const payload& p) {
  std::uint64_t h = p.sizes.size();
  for (const auto n : p.sizes) h = mix(h, n);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < p.blob.size(); ++i) {
    word = word << 8 | std::to_integer<std::uint64_t>(p.blob[i]);
    if (i % 8 == 7) h = mix(h, word);
  }
  return mix(h, word);
}

std::uint64_t hash_view(const view& v) {
  std::uint64_t h = v.number;
  for (const auto& r : v.roster) {
    h = mix(h, to_index(r.id.member));
    h = mix(h, r.id.identity);
    h = mix(h, r.inc);
    h = mix(h, (r.voter ? 1u : 0u) | (r.active ? 2u : 0u) | (r.witness ? 4u : 0u));
  }
  for (const auto& b : v.burnt) {
    h = mix(h, to_index(b.member));
    h = mix(h, b.inc);
  }
  for (const auto m : v.barred) h = mix(h, to_index(m));
  h = mix(h, static_cast<std::uint64_t>(v.options.election_min.count()));
  h = mix(h, v.options.lane_window);
  return mix(h, v.options.orders.bits() | v.kinds << 8);
}

std::uint64_t hash_entry(const entry& e) {
  std::uint64_t h = mix(e.index, e.term);
  h = mix(h, static_cast<std::uint64_t>(e.kind));
  h = mix(h, static_cast<std::uint64_t>(e.time.count()));
  for (const auto n : e.cut) h = mix(h, n);
  for (const auto& x : e.extras) h = mix(mix(h, x.slot), x.seq);
  return e.next ? mix(h, hash_view(*e.next)) : h;
}

}  // namespace cohort::sim
