// Explicit-state search. A state is one number per member, naming what that member looks like, and the letters on their
// way: millions of group states are made of some thousand states of members.
#include "framework/simulation/explore/explorer.hpp"

#include "framework/protocol/frontier.hpp"
#include "framework/simulation/explore/action.hpp"
#include "framework/simulation/explore/known_members.hpp"
#include "framework/simulation/explore/properties.hpp"
#include "framework/simulation/explore/way.hpp"
#include "framework/simulation/random.hpp"

#include <algorithm>
#include <bit>
#include <deque>
#include <stdexcept>
#include <unordered_set>

namespace cohort::sim::explore {

using namespace protocol;

namespace {

class exploration {
public:
  exploration(const scope& s, const bounds& b) : scope_(s), bounds_(b), known_(s) {}

  result run();

private:
  void check_pairs(const state& s, unsigned changed);
  void check_accusations(const state& before, const state& after, unsigned who) const;

  // ---- states
  bool enter(state&& s, std::uint32_t parent, action how);
  void expand(const state& s, std::uint32_t index);
  void act(const state& s, std::uint32_t index, action how);
  void post(state& s, std::uint32_t number) const;
  void drop_stale(state& s, unsigned reader);
  std::uint64_t hash(const state& s) const;
  bool seen(std::uint64_t h);
  std::uint64_t link_of(std::uint32_t number) const {
    const auto& l = known_.letter_at(number);
    return (l.from * members_max + l.to) * 2 + (l.what != letter::kind::message ? 1 : 0);
  }

  bool few_slow() const { return scope_.slow_links != scope::all_links; }

  std::vector<std::string> trace(std::uint32_t index);

  const scope& scope_;
  const bounds& bounds_;
  known_members known_;
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

void exploration::check_pairs(const state& s, unsigned changed) {
  for (unsigned other = 0; other < scope_.members; ++other) {
    if (other == changed) continue;
    for (const auto& [a, b] : {std::pair(s.members[changed], s.members[other]), std::pair(s.members[other], s.members[changed])})
      if (!agreeing_.contains(std::uint64_t(a) << 32 | b)) {
        check_pair(known_.at(a), known_.at(b));
        agreeing_.insert(std::uint64_t(a) << 32 | b);
      }
  }
}

void exploration::check_accusations(const state& before, const state& after, unsigned who) const {
  const auto already = known_.at(before.members[who]).told.accused.size();
  const auto& accuser = known_.at(after.members[who]);
  if (accuser.told.accused.size() <= already) return;
  std::vector<const member*> all;
  for (unsigned n = 0; n < scope_.members; ++n) all.push_back(&known_.at(after.members[n]));
  for (auto i = already; i < accuser.told.accused.size(); ++i) check_accusation(accuser, accuser.told.accused[i], all, known_.options());
}

std::uint64_t exploration::hash(const state& s) const {
  std::uint64_t h = mix(s.left.word(), s.slow);
  for (unsigned n = 0; n < scope_.members; ++n) h = mix(h, s.members[n]);
  for (const auto l : s.flight) h = mix(h, l);
  return h == 0 ? 1 : h;
}

bool exploration::seen(std::uint64_t h) {
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
  if (seen(hash(s))) return false;
  ways_.push_back({parent, how.packed()});
  bool view = false, complete = false;
  for (unsigned n = 0; n < scope_.members; ++n) {
    view |= known_.can(s.members[n]).new_view;
    complete |= known_.can(s.members[n]).complete;
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
  const auto& l = known_.letter_at(number);
  if (scope_.newest_ack && l.what == letter::kind::message)
    if (const auto* newer = std::get_if<ack>(l.body.get()))
      std::erase_if(s.flight, [&](std::uint32_t other) {
        const auto& o = known_.letter_at(other);
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
  if (!known_.can(s.members[reader]).up) return;
  std::erase_if(s.flight, [&](std::uint32_t number) {
    const auto& l = known_.letter_at(number);
    if (l.to != reader || l.what != letter::kind::message || !std::holds_alternative<ack>(*l.body)) return false;
    return known_.step_of(s.members[reader], {input::kind::arrive, number}).idle;
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
  const auto& r = known_.step_of(s.members[how.node], {how.what, how.member_input()});
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
          const auto& l = known_.letter_at(number);
          return (l.from == how.node && l.to == how.member_input()) || (l.to == how.node && l.from == how.member_input());
        });
      break;
    case input::kind::restart: --next.left.restarts; break;
    case input::kind::crash:
      --next.left.crashes;
      std::erase_if(next.flight, [&](std::uint32_t number) {
        const auto& l = known_.letter_at(number);
        return l.to == how.node || (l.from == how.node && (how.lost_links() >> l.to & 1) != 0);
      });
      break;
    default: break;
  }
  for (const auto number : r.sent)
    if (known_.can(next.members[known_.letter_at(number).to]).up) post(next, number);
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
    const auto to = static_cast<std::uint8_t>(known_.letter_at(number).to);
    act(s, index, {input::kind::arrive, fate::arrives, to, number});
    if (s.left.losses > 0 && known_.letter_at(number).what == letter::kind::message) act(s, index, {input::kind::arrive, fate::lost, to, number});
    if (!slow && static_cast<unsigned>(std::popcount(s.slow)) < scope_.slow_links) act(s, index, {input::kind::arrive, fate::slow, to, number});
  }
  for (std::uint8_t n = 0; n < scope_.members; ++n) {
    const auto can = known_.can(s.members[n]);
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
        const auto of = known_.can(s.members[other]);
        if (other != n && of.up && (can.leads || (of.leads ? scope_.doubts_of_leader : scope_.doubts_of_followers)))
          for (std::uint32_t lost = 0; lost <= (few_slow() ? 1u : 0u); ++lost)
            act(s, index, {input::kind::doubt, fate::arrives, n, other | lost << 8});
      }
    std::uint32_t to_whom = 0;  // something is on its way
    for (const auto number : s.flight)
      if (known_.letter_at(number).from == n) to_whom |= 1u << known_.letter_at(number).to;
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
  for (unsigned n = 0; n < scope_.members; ++n) first.members[n] = known_.name(std::move(group[n]));
  for (const auto& l : flight) post(first, known_.name(l));
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
  result_.member_states = known_.size();
  result_.letters = known_.letters();
  result_.depth = depth_;
  result_.complete = !bounded && result_.broken.empty();
  return result_;
}

/// The way to a state and the action that was tried there.
std::vector<std::string> exploration::trace(std::uint32_t index) {
  std::vector<action> way{attempt_};
  for (; index != 0; index = ways_[index].parent) way.push_back(action::unpacked(ways_[index].how));
  std::ranges::reverse(way);
  return retell(scope_, known_, way);
}

}  // namespace

result explore(const scope& s, const bounds& b) { return exploration(s, b).run(); }

}  // namespace cohort::sim::explore
