// Explicit-state search. A state is one number per member, naming what that member looks like, and the letters on their
// way. A member's step depends on itself and its input alone, so each is executed by the production core once and looked
// up ever after: millions of group states are made of some thousand states of members.
#include "framework/simulation/explore/explorer.hpp"

#include "framework/protocol/frontier.hpp"
#include "framework/simulation/explore/properties.hpp"
#include "framework/simulation/random.hpp"
#include "framework/simulation/trace.hpp"

#include <algorithm>
#include <bit>
#include <deque>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

namespace cohort::sim::explore {

using namespace protocol;

namespace {

constexpr std::size_t members_max = 4;

struct fingerprint_hash {
  std::size_t operator()(const fingerprint& f) const { return f.high ^ f.low; }
};

/// What is left of the scope's budgets.
struct budget {
  std::uint8_t crashes = 0, restarts = 0, doubts = 0, elections = 0, expiries = 0, beats = 0, losses = 0, lapses = 0;
  std::uint64_t word() const {
    return std::uint64_t(crashes) | std::uint64_t(restarts) << 8 | std::uint64_t(doubts) << 16 | std::uint64_t(elections) << 24 |
           std::uint64_t(expiries) << 32 | std::uint64_t(beats) << 40 | std::uint64_t(losses) << 48 | std::uint64_t(lapses) << 56;
  }
};

struct state {
  std::array<std::uint32_t, members_max> members{};
  budget left;
  std::uint32_t slow = 0;             ///< links, in bits
  std::vector<std::uint32_t> flight;  ///< by link, in the order of sending; with reordering: sorted; with few slow links: as sent
};

/// What becomes of a letter.
enum class fate : std::uint8_t { arrives, lost, slow };

struct action {
  input::kind what{};
  fate how = fate::arrives;
  std::uint8_t node = 0;
  std::uint32_t number = 0;
  std::uint32_t member_input() const {
    return what == input::kind::crash || what == input::kind::doubt ? number & 0xff : number;
  }
  std::uint32_t lost_links() const {
    return what == input::kind::crash || what == input::kind::doubt ? number >> 8 : 0;
  }
  std::uint64_t packed() const {
    return std::uint64_t(what) | std::uint64_t(how) << 5 | std::uint64_t(node) << 8 | std::uint64_t(number) << 16;
  }
  static action unpacked(std::uint64_t word) {
    return {static_cast<input::kind>(word & 0x1f), static_cast<fate>(word >> 5 & 7), static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint32_t>(word >> 16)};
  }
};

/// What a member can do next, looked at once per member state.
struct abilities {
  bool up = false, elect = false, suspect = false, ended = false, lapse = false, expire = false, submit = false, leads = false, complete = false, new_view = false;
  std::uint32_t unsynced = 0;
};

struct step_result {
  std::uint32_t next = 0;
  bool idle = false;  ///< neither the member nor anything else has changed
  std::vector<std::uint32_t> sent;
};

const char* reason(absence why) {
  switch (why) {
    case absence::none: break;
    case absence::reset: return "its link was reset";
    case absence::restarted: return "it is another life";
    case absence::unheard: return "silent, and others cannot reach it either";
    case absence::link: return "only the link to it is broken";
    case absence::silent: return "silent";
    case absence::stuck: return "stuck";
    case absence::unservable: return "it cannot be served";
  }
  return "?";
}

class exploration {
public:
  exploration(const scope& s, const bounds& b) : scope_(s), bounds_(b), options_(options_of(s)) {}

  result run();

private:
  // ---- names of members and letters
  std::uint32_t name(std::unique_ptr<member> m);
  std::uint32_t name(const letter& l);
  const step_result& step_of(std::uint32_t who, input what);
  void check_pairs(const state& s, unsigned changed);
  void check_accusations(const state& before, const state& after, unsigned who) const;

  // ---- states
  bool enter(state&& s, std::uint32_t parent, action how);
  void expand(const state& s, std::uint32_t index);
  void act(const state& s, std::uint32_t index, action how);
  void post(state& s, std::uint32_t number) const;
  void drop_stale(state& s, unsigned reader);
  std::uint64_t hash(const state& s) const;
  bool known(std::uint64_t h);
  std::uint64_t link_of(std::uint32_t number) const {
    const auto& l = letters_[number];
    return (l.from * members_max + l.to) * 2 + (l.what != letter::kind::message ? 1 : 0);
  }

  bool few_slow() const { return scope_.slow_links != scope::all_links; }

  // ---- report
  std::vector<std::string> trace(std::uint32_t index);
  std::string describe_action(const action& how) const;

  const scope& scope_;
  const bounds& bounds_;
  const core_options options_;

  std::vector<std::unique_ptr<member>> members_;
  std::vector<abilities> abilities_;
  std::unordered_map<fingerprint, std::uint32_t, fingerprint_hash> member_names_;
  std::deque<letter> letters_;
  std::unordered_map<fingerprint, std::uint32_t, fingerprint_hash> letter_names_;
  std::unordered_map<std::uint64_t, step_result> steps_;  ///< by member and input
  std::unordered_set<std::uint64_t> agreeing_;            ///< pairs of member states

  std::vector<std::uint64_t> table_;  ///< open addressing; 0 = free
  struct way {
    std::uint32_t parent = 0;
    std::uint64_t how = 0;
  };
  std::vector<way> ways_;             ///< how each state was reached first
  std::deque<state> frontier_;        ///< not looked at yet, in order
  unsigned depth_ = 0;
  bool progressed_ = false;
  action attempt_;                    ///< under way
  result result_;
};

std::uint32_t exploration::name(std::unique_ptr<member> m) {
  const auto [at, fresh] = member_names_.try_emplace(digest(*m), static_cast<std::uint32_t>(members_.size()));
  if (!fresh) return at->second;
  abilities can;
  can.up = m->up;
  can.elect = m->timer(input::kind::elect, options_).has_value();
  can.suspect = scope_.suspects && m->timer(input::kind::suspect, options_).has_value();
  can.ended = scope_.probes && m->timer(input::kind::ended, options_).has_value();
  can.lapse = scope_.lapses > 0 && m->timer(input::kind::lapse, options_).has_value();
  can.expire = m->timer(input::kind::expire, options_).has_value();
  unsigned mine = 0, seen = 0;
  for (const auto& submission : scope_.submissions) mine += submission.node == m->node;
  can.submit = m->up && m->submitted < mine;
  can.leads = m->up && m->inside().role == core_role::leader;
  can.unsynced = static_cast<std::uint32_t>(m->unsynced.size());
  for (const auto& e : m->told.events) {
    if (e.what == story::kind::batch) seen |= 1u << e.message;
    if (e.what == story::kind::view) can.new_view = true;
  }
  can.complete = m->up && seen + 1 == 1u << scope_.submissions.size();
  abilities_.push_back(can);
  members_.push_back(std::move(m));
  return at->second;
}

std::uint32_t exploration::name(const letter& l) {
  const auto [at, fresh] = letter_names_.try_emplace(digest(l), static_cast<std::uint32_t>(letters_.size()));
  if (fresh) letters_.push_back(l);
  return at->second;
}

const step_result& exploration::step_of(std::uint32_t who, input what) {
  const auto key = std::uint64_t(who) << 32 | std::uint64_t(what.what) << 28 | what.number;
  if (const auto known = steps_.find(key); known != steps_.end()) return known->second;
  std::vector<letter> sent;
  const auto* arriving = what.what == input::kind::arrive ? &letters_[what.number] : nullptr;
  auto next = step(scope_, *members_[who], what, arriving, sent);
  step_result r;
  r.next = name(std::move(next));
  for (const auto& l : sent) r.sent.push_back(name(l));
  r.idle = r.next == who && r.sent.empty();
  return steps_.emplace(key, std::move(r)).first->second;
}

void exploration::check_pairs(const state& s, unsigned changed) {
  for (unsigned other = 0; other < scope_.members; ++other) {
    if (other == changed) continue;
    for (const auto& [a, b] : {std::pair(s.members[changed], s.members[other]), std::pair(s.members[other], s.members[changed])})
      if (!agreeing_.contains(std::uint64_t(a) << 32 | b)) {
        check_pair(*members_[a], *members_[b]);
        agreeing_.insert(std::uint64_t(a) << 32 | b);
      }
  }
}

void exploration::check_accusations(const state& before, const state& after, unsigned who) const {
  const auto known = members_[before.members[who]]->told.accused.size();
  const auto& accuser = *members_[after.members[who]];
  if (accuser.told.accused.size() <= known) return;
  std::vector<const member*> all;
  for (unsigned n = 0; n < scope_.members; ++n) all.push_back(members_[after.members[n]].get());
  for (auto i = known; i < accuser.told.accused.size(); ++i) check_accusation(accuser, accuser.told.accused[i], all, options_);
}

std::uint64_t exploration::hash(const state& s) const {
  std::uint64_t h = mix(s.left.word(), s.slow);
  for (unsigned n = 0; n < scope_.members; ++n) h = mix(h, s.members[n]);
  for (const auto l : s.flight) h = mix(h, l);
  return h == 0 ? 1 : h;
}

bool exploration::known(std::uint64_t h) {
  if (table_.empty()) table_.resize(1u << 16);
  if (ways_.size() * 2 > table_.size()) {
    std::vector<std::uint64_t> larger(table_.size() * 2);
    for (const auto old : table_) {
      if (old == 0) continue;
      auto at = old & (larger.size() - 1);
      while (larger[at] != 0) at = (at + 1) & (larger.size() - 1);
      larger[at] = old;
    }
    table_ = std::move(larger);
  }
  auto at = h & (table_.size() - 1);
  for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1))
    if (table_[at] == h) return true;
  table_[at] = h;
  return false;
}

bool exploration::enter(state&& s, std::uint32_t parent, action how) {
  ++result_.transitions;
  if (known(hash(s))) return false;
  ways_.push_back({parent, how.packed()});
  bool view = false, complete = false;
  for (unsigned n = 0; n < scope_.members; ++n) {
    view |= abilities_[s.members[n]].new_view;
    complete |= abilities_[s.members[n]].complete;
  }
  result_.new_views += view;
  result_.all_delivered += complete;
  frontier_.push_back(std::move(s));
  return true;
}

/// Whether whoever reads the newer one learns all that the older one says.
bool supersedes(const ack& newer, const ack& older) {
  if (older.reject || older.clock_ahead || older.no_state) return false;
  return newer.term == older.term && newer.inc == older.inc && newer.match_term == older.match_term && newer.match >= older.match &&
         newer.applied >= older.applied && newer.base >= older.base && newer.view == older.view && newer.echo_time >= older.echo_time &&
         newer.have.size() == older.have.size() && covers(newer.have, older.have);
}

void exploration::post(state& s, std::uint32_t number) const {
  const auto& l = letters_[number];
  if (scope_.newest_ack && l.what == letter::kind::message)
    if (const auto* newer = std::get_if<ack>(l.body.get()))
      std::erase_if(s.flight, [&](std::uint32_t other) {
        const auto& o = letters_[other];
        if (o.from != l.from || o.to != l.to || o.what != letter::kind::message) return false;
        const auto* older = std::get_if<ack>(o.body.get());
        return older && supersedes(*newer, *older);
      });
  if (few_slow()) {
    s.flight.push_back(number);
    return;
  }
  if (scope_.reordering) {
    s.flight.insert(std::ranges::upper_bound(s.flight, number), number);
    return;
  }
  const auto link = link_of(number);
  auto at = s.flight.begin();
  while (at != s.flight.end() && link_of(*at) <= link) ++at;
  s.flight.insert(at, number);
}

/// An acknowledgement that tells its reader nothing new tells it nothing later either, for what it tells only grows: it is
/// taken off the link at once. (Where that were not so, it would be a message that is lost.)
void exploration::drop_stale(state& s, unsigned reader) {
  if (!abilities_[s.members[reader]].up) return;
  std::erase_if(s.flight, [&](std::uint32_t number) {
    const auto& l = letters_[number];
    if (l.to != reader || l.what != letter::kind::message || !std::holds_alternative<ack>(*l.body)) return false;
    return step_of(s.members[reader], {input::kind::arrive, number}).idle;
  });
}

void exploration::act(const state& s, std::uint32_t index, action how) {
  attempt_ = how;
  state next = s;
  const auto take = [&](std::uint32_t number) { next.flight.erase(std::ranges::find(next.flight, number)); };
  if (how.how != fate::arrives) {
    if (how.how == fate::lost) {
      take(how.number);
      --next.left.losses;
    } else {
      next.slow |= 1u << link_of(how.number);
    }
    progressed_ = true;
    enter(std::move(next), index, how);
    return;
  }
  if (how.what == input::kind::arrive) take(how.number);
  // Of a crash or a reset the upper bits say which links lose what is on them.
  const auto& r = step_of(s.members[how.node], {how.what, how.member_input()});
  if (r.idle && how.what != input::kind::arrive) return;
  next.members[how.node] = r.next;
  switch (how.what) {
    case input::kind::elect: --next.left.elections; break;
    case input::kind::expire: --next.left.expiries; break;
    case input::kind::beat: --next.left.beats; break;
    case input::kind::lapse: --next.left.lapses; break;
    case input::kind::doubt:
      --next.left.doubts;
      if (how.lost_links() != 0)
        std::erase_if(next.flight, [&](std::uint32_t number) {
          const auto& l = letters_[number];
          return (l.from == how.node && l.to == how.member_input()) || (l.to == how.node && l.from == how.member_input());
        });
      break;
    case input::kind::restart: --next.left.restarts; break;
    case input::kind::crash:
      --next.left.crashes;
      std::erase_if(next.flight, [&](std::uint32_t number) {
        const auto& l = letters_[number];
        return l.to == how.node || (l.from == how.node && (how.lost_links() >> l.to & 1) != 0);
      });
      break;
    default: break;
  }
  for (const auto number : r.sent)
    if (abilities_[next.members[letters_[number].to]].up) post(next, number);
  for (unsigned n = 0; n < scope_.members; ++n) drop_stale(next, n);
  progressed_ = true;
  check_pairs(next, how.node);
  check_accusations(s, next, how.node);
  enter(std::move(next), index, how);
}

void exploration::expand(const state& s, std::uint32_t index) {
  progressed_ = false;
  std::uint32_t links_seen = 0;
  bool prompt_seen = false;
  for (std::size_t i = 0; i < s.flight.size(); ++i) {
    const auto number = s.flight[i];
    const auto link = 1u << link_of(number);
    const bool slow = !few_slow() || (s.slow & link) != 0;
    const bool first = scope_.reordering && !few_slow() ? i == 0 || s.flight[i - 1] != number
                                                        : (links_seen & link) == 0 && (slow || !prompt_seen);
    links_seen |= link;
    prompt_seen |= !slow;
    if (!first) continue;
    const auto to = static_cast<std::uint8_t>(letters_[number].to);
    act(s, index, {input::kind::arrive, fate::arrives, to, number});
    if (s.left.losses > 0 && letters_[number].what == letter::kind::message) act(s, index, {input::kind::arrive, fate::lost, to, number});
    if (!slow && static_cast<unsigned>(std::popcount(s.slow)) < scope_.slow_links) act(s, index, {input::kind::arrive, fate::slow, to, number});
  }
  for (std::uint8_t n = 0; n < scope_.members; ++n) {
    const auto can = abilities_[s.members[n]];
    if (!can.up) {
      if (s.left.restarts > 0 && scope_.durable) act(s, index, {input::kind::restart, fate::arrives, n, 0});
      continue;
    }
    if (can.unsynced > 0) act(s, index, {input::kind::sync, fate::arrives, n, 0});
    if (can.submit) act(s, index, {input::kind::submit, fate::arrives, n, 0});
    if (can.ended) act(s, index, {input::kind::ended, fate::arrives, n, 0});
    if (can.lapse && s.left.lapses > 0) act(s, index, {input::kind::lapse, fate::arrives, n, 0});
    if (can.suspect) act(s, index, {input::kind::suspect, fate::arrives, n, 0});
    if (can.expire && s.left.expiries > 0) act(s, index, {input::kind::expire, fate::arrives, n, 0});
    if (can.elect && s.left.elections > 0) act(s, index, {input::kind::elect, fate::arrives, n, 0});
    if (s.left.beats > 0) act(s, index, {input::kind::beat, fate::arrives, n, 0});
    if (s.left.doubts > 0)
      for (std::uint32_t other = 0; other < scope_.members; ++other) {
        const auto& of = abilities_[s.members[other]];
        if (other != n && of.up && (can.leads || (of.leads ? scope_.doubts_of_leader : scope_.doubts_of_followers)))
          for (std::uint32_t lost = 0; lost <= (few_slow() ? 1u : 0u); ++lost)
            act(s, index, {input::kind::doubt, fate::arrives, n, other | lost << 8});
      }
    std::uint32_t to_whom = 0;  // something is on its way
    for (const auto number : s.flight)
      if (letters_[number].from == n) to_whom |= 1u << letters_[number].to;
    if (s.left.crashes > 0 && (scope_.may_crash >> n & 1) != 0)
      for (std::uint32_t kept = 0; kept <= can.unsynced; ++kept)
        for (std::uint32_t lost = 0; lost < (few_slow() ? 1u << scope_.members : 1u); ++lost)
          if ((lost & ~to_whom) == 0) act(s, index, {input::kind::crash, fate::arrives, n, kept | lost << 8});
  }
  if (!progressed_) ++result_.ends;
}

result exploration::run() {
  state first;
  first.left = {static_cast<std::uint8_t>(scope_.crashes),   static_cast<std::uint8_t>(scope_.restarts),
                static_cast<std::uint8_t>(scope_.doubts),    static_cast<std::uint8_t>(scope_.elections),
                static_cast<std::uint8_t>(scope_.expiries),  static_cast<std::uint8_t>(scope_.beats),
                static_cast<std::uint8_t>(scope_.losses),    static_cast<std::uint8_t>(scope_.lapses)};
  std::vector<letter> flight;
  auto group = settled_group(scope_, flight);
  for (unsigned n = 0; n < scope_.members; ++n) first.members[n] = name(std::move(group[n]));
  for (const auto& l : flight) post(first, name(l));
  enter(std::move(first), 0, {});
  if (scope_.at_once)  // a path of single states, which traces begin with
    for (const auto& submission : scope_.submissions) {
      const auto s = std::move(frontier_.front());
      frontier_.pop_front();
      act(s, static_cast<std::uint32_t>(ways_.size() - 1), {input::kind::submit, fate::arrives, static_cast<std::uint8_t>(submission.node), 0});
    }
  const auto started = bounds_.clock ? bounds_.clock() : 0;
  auto index = static_cast<std::uint32_t>(ways_.size() - 1);
  std::size_t level_end = ways_.size();
  bool bounded = false;
  while (!frontier_.empty()) {
    if (index == level_end) {
      ++depth_;
      level_end = index + frontier_.size();
    }
    if (depth_ >= bounds_.depth || ways_.size() >= bounds_.states ||
        (index % 1024 == 0 && ((bounds_.clock && bounds_.clock() - started > bounds_.seconds) ||
                               (bounds_.memory && bounds_.memory() > bounds_.memory_mb)))) {
      bounded = true;
      break;
    }
    const auto s = std::move(frontier_.front());
    frontier_.pop_front();
    try {
      expand(s, index);
    } catch (const std::logic_error& e) {
      result_.broken = e.what();
      result_.trace = trace(index);
      break;
    }
    ++index;
  }
  result_.states = ways_.size();
  result_.member_states = members_.size();
  result_.letters = letters_.size();
  result_.depth = depth_;
  result_.complete = !bounded && result_.broken.empty();
  return result_;
}

/// The way to a state and the action that was tried there, with what each member told its application.
std::vector<std::string> exploration::trace(std::uint32_t index) {
  std::vector<action> way{attempt_};
  for (; index != 0; index = ways_[index].parent) way.push_back(action::unpacked(ways_[index].how));
  std::vector<std::string> lines;
  std::array<std::uint32_t, members_max> now{};
  for (std::uint32_t n = 0; n < scope_.members; ++n) now[n] = n;
  for (auto how = way.rbegin(); how != way.rend(); ++how) {
    lines.push_back(describe_action(*how));
    if (how->how != fate::arrives) continue;
    const auto before = now[how->node];
    try {
      now[how->node] = step_of(before, {how->what, how->member_input()}).next;
    } catch (const std::logic_error&) {
      break;
    }
    const auto& was = *members_[before];
    const auto& is = *members_[now[how->node]];
    const auto say = [&](const std::string& what) { lines.push_back("    " + std::to_string(how->node) + " " + what); };
    if (was.told.led.size() != is.told.led.size()) say("leads term " + std::to_string(is.told.led.back()));
    if (!was.inside().wedged.on && is.inside().wedged.on) say("is wedged");
    if (was.told.committed.size() != is.told.committed.size()) say("knows entry " + std::to_string(is.told.committed.size()) + " to be committed");
    for (auto e = was.told.events.size(); e < is.told.events.size(); ++e) {
      const auto& event = is.told.events[e];
      if (event.what == story::kind::batch)
        say("delivers " + std::string(to_string(event.cls)) + " message " + std::to_string(event.message) + (event.safe ? ", safe" : ""));
      if (event.what == story::kind::view) {
        std::string active;
        for (const auto& r : event.roster->roster)
          if (r.active) active += " " + std::to_string(to_index(r.id.member)) + (r.voter ? "" : " (learns)");
        say("installs view " + std::to_string(event.view) + " of" + active);
      }
      if (event.what == story::kind::restored) say("takes a checkpoint at position " + std::to_string(event.position));
      if (event.what == story::kind::lost) say("is told that message " + std::to_string(event.message) + " is lost");
      if (event.what == story::kind::born) say("is back in view " + std::to_string(event.view));
    }
    for (auto a = was.told.accused.size(); a < is.told.accused.size(); ++a)
      say("goes on without " + std::to_string(is.told.accused[a].of) + ": " + reason(is.told.accused[a].why));
  }
  return lines;
}

std::string exploration::describe_action(const action& how) const {
  const auto who = std::to_string(how.node);
  switch (how.what) {
    case input::kind::arrive: {
      const auto& l = letters_[how.number];
      const auto link = std::to_string(l.from) + " -> " + std::to_string(l.to);
      const auto* what = l.what == letter::kind::reset ? "link is reset" : "link is up";
      const auto* fate_of = how.how == fate::lost ? " lost: " : how.how == fate::slow ? " is slow from here on: " : " ";
      return link + fate_of + (l.body ? describe(*l.body) : what);
    }
    case input::kind::submit: return "* " + who + " submits its next message";
    case input::kind::elect: return "* " + who + " election timeout";
    case input::kind::suspect: return "* " + who + " the link was down for long enough to suspect";
    case input::kind::ended: return "* " + who + " there was time to dial it again";
    case input::kind::lapse: return "* " + who + " hears nobody until it has waited long enough";
    case input::kind::expire: return "* " + who + " waits no longer for reports or payload";
    case input::kind::beat: return "* " + who + " two heartbeat intervals pass";
    case input::kind::sync: return "* " + who + " disk has written all";
    case input::kind::doubt:
      return "* " + who + " sees its link to " + std::to_string(how.member_input()) + " reset" + (how.lost_links() ? ", what was on it is lost" : "");
    case input::kind::crash: {
      auto text = "* " + who + " crashes, " + std::to_string(how.member_input()) + " unsynced records survive";
      for (unsigned n = 0; n < scope_.members; ++n)
        if ((how.lost_links() >> n & 1) != 0) text += ", what was under way to " + std::to_string(n) + " is lost";
      return text;
    }
    case input::kind::restart: return "* " + who + " restarts";
  }
  return {};
}

}  // namespace

result explore(const scope& s, const bounds& b) { return exploration(s, b).run(); }

}  // namespace cohort::sim::explore
