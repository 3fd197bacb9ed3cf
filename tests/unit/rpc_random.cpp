// Random answers, repeated, of old lives and other views, early and late, while members come and go, against what a
// call promises, written down plainly: the history of each call is looked through anew after every event.
#include "framework/rpc/collator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

using namespace cohort;
using namespace cohort::rpc;

namespace {

constexpr std::size_t members = 5;

struct happening {
  enum class kind { answer, delivery, view } what;
  collator::answer answer;
  std::vector<process> active;  ///< delivery, view
  std::vector<member_id> left;  ///< view
};

struct history {
  collate how;
  unsigned count;
  std::uint64_t deadline;
  place at;
  std::vector<happening> all;
};

struct expected {
  call_end end = call_end::open;
  std::vector<member_standing> standings;
};

/// What the caller may be told after all of this, `now`.
expected look_through(const history& h, std::uint64_t now) {
  expected e;
  const auto delivery = std::ranges::find(h.all, happening::kind::delivery, &happening::what);
  if (delivery == h.all.end()) return e;
  std::size_t answered = 0, awaited = 0, too_large = 0;
  for (const auto& p : delivery->active) {
    // The first answer that counts, and the first view without the process.
    const auto good = [&](const happening& x) {
      return x.what == happening::kind::answer && x.answer.from == p && x.answer.view == h.at.view &&
             x.answer.to == h.at.caller;
    };
    const auto gone = std::find_if(delivery, h.all.end(), [&](const happening& x) {
      return x.what == happening::kind::view && std::ranges::find(x.active, p) == x.active.end();
    });
    const auto heard = std::find_if(h.all.begin(), gone, good);
    auto s = member_standing::awaited;
    if (heard != gone)
      s = heard->answer.too_large ? member_standing::too_large : member_standing::answered;
    else if (gone != h.all.end())
      s = std::ranges::find(gone->left, p.member) != gone->left.end() ? member_standing::left : member_standing::failed;
    answered += s == member_standing::answered;
    awaited += s == member_standing::awaited;
    too_large += s == member_standing::too_large;
    e.standings.push_back(s);
  }
  const auto enough = h.how == collate::first      ? 1
                      : h.how == collate::some     ? h.count
                      : h.how == collate::majority ? delivery->active.size() / 2 + 1
                                                   : 0;
  if (h.how == collate::none)
    e.end = call_end::met;
  else if (h.how == collate::all)
    e.end = awaited > 0 ? call_end::open : answered > 0 && too_large == 0 ? call_end::met : call_end::unmet;
  else if (answered >= enough)
    e.end = call_end::met;
  else if (answered + awaited < enough)
    e.end = call_end::unmet;
  if (e.end == call_end::open && h.deadline <= now) {
    e.end = call_end::late;
    std::ranges::replace(e.standings, member_standing::awaited, member_standing::late);
  }
  return e;
}

class game {
public:
  explicit game(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < members; ++i) inc_[i] = 100 * (i + 1);
    active_ = everybody();
  }

  void step() {
    const auto what = below(100);
    if (calls_.empty() || what < 12)
      open();
    else if (what < 24)
      deliver();
    else if (what < 32)
      change_view();
    else if (what < 38)
      now_ += below(40);
    else
      answer();
    c_.expire(protocol::instant(now_));
    compare();
  }
  std::map<call_end, int> ends;

private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::vector<process> everybody() const {
    std::vector<process> all;
    for (std::size_t i = 0; i < members; ++i) all.push_back({member_id(i), inc_[i]});
    return all;
  }
  history* any(bool delivered) {
    std::vector<history*> fit;
    for (auto& [number, h] : calls_)
      if ((std::ranges::find(h.all, happening::kind::delivery, &happening::what) != h.all.end()) == delivered)
        fit.push_back(&h);
    return fit.empty() ? nullptr : fit[below(fit.size())];
  }
  std::uint64_t number_of(const history* h) const {
    return std::ranges::find_if(calls_, [&](const auto& c) { return &c.second == h; })->first;
  }

  void open() {
    history h{static_cast<collate>(below(5)), static_cast<unsigned>(1 + below(4)), now_ + 1 + below(200), {}, {}};
    collation o;
    o.how = h.how;
    o.count = h.count;
    c_.open(++last_, o, protocol::instant(h.deadline));
    calls_.emplace(last_, h);
  }
  void deliver() {
    auto* h = any(false);
    if (!h) return;
    h->at = {view_, ++position_, position_, wall_time(0), inc_[0]};
    h->all.push_back({happening::kind::delivery, {}, active_, {}});
    c_.delivered(number_of(h), h->at, active_);
  }
  void change_view() {
    ++view_;
    std::vector<member_id> left;
    const auto before = active_;
    active_.clear();
    for (std::size_t i = 0; i < members; ++i) {
      const auto fate = i == 0 ? 0 : below(6);  // the caller stays
      if (fate == 1) ++inc_[i];                 // back under a new life
      if (fate == 2) left.push_back(member_id(i));
      if (fate < 2 || fate > 3) active_.push_back({member_id(i), inc_[i]});
    }
    for (auto& [number, h] : calls_) h.all.push_back({happening::kind::view, {}, active_, left});
    c_.view_installed(active_, left);
  }
  void answer() {
    auto number = below(8) == 0 ? below(last_) + 1
                                : std::next(calls_.begin(), static_cast<std::ptrdiff_t>(below(calls_.size())))->first;
    auto* h = calls_.contains(number) ? &calls_.at(number) : nullptr;
    collator::answer a;
    const auto m = below(members);
    a.from = {member_id(m), inc_[m] - (below(6) == 0 ? below(3) : 0)};
    a.view = view_ - (below(5) == 0 ? below(3) : 0);
    if (h && h->at.view != 0 && below(4) != 0) a.view = h->at.view;
    a.to = inc_[0] - (below(8) == 0);
    a.too_large = below(12) == 0;
    a.bytes = {static_cast<std::byte>(below(256))};
    if (h) {
      // Of a member the collator keeps two early answers: what goes beyond is out of this model's sight, too.
      if (h->at.view == 0) {
        const auto of_member = std::ranges::count_if(h->all, [&](const happening& x) {
          return x.what == happening::kind::answer && x.answer.from.member == a.from.member;
        });
        if (of_member >= 2) return;
      }
      h->all.push_back({happening::kind::answer, a, {}, {}});
    }
    c_.answered(number, std::move(a));
  }

  void compare() {
    std::map<std::uint64_t, call_report> told;
    for (auto& e : c_.ended_calls()) REQUIRE(told.emplace(e.number, std::move(e.report)).second);
    c_.ended_calls().clear();
    for (auto at = calls_.begin(); at != calls_.end();) {
      CAPTURE(at->first);
      CAPTURE(to_string(at->second.how));
      const auto e = look_through(at->second, now_);
      const auto report = told.find(at->first);
      REQUIRE((report == told.end()) == (e.end == call_end::open));
      if (e.end == call_end::open) {
        ++at;
        continue;
      }
      ++ends[e.end];
      REQUIRE(std::string(to_string(report->second.end)) == to_string(e.end));
      REQUIRE(report->second.members.size() == e.standings.size());
      for (std::size_t i = 0; i < e.standings.size(); ++i)
        REQUIRE(std::string(to_string(report->second.members[i].what)) == to_string(e.standings[i]));
      told.erase(report);
      at = calls_.erase(at);
    }
    REQUIRE(told.empty());
  }

  std::mt19937_64 random_;
  collator c_{[](member_id m) { return "n" + std::to_string(to_index(m) + 1); }};
  incarnation inc_[members];
  std::vector<process> active_;
  view_number view_ = 10;
  std::uint64_t now_ = 0, last_ = 0, position_ = 0;
  std::map<std::uint64_t, history> calls_;
};

}  // namespace

TEST_SUITE("rpc: random") {
  TEST_CASE("a call ends when its history says so, with what its history says") {
    std::map<call_end, int> ends;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      CAPTURE(seed);
      game g(seed);
      for (int i = 0; i < 400; ++i) g.step();
      for (const auto& [end, times] : g.ends) ends[end] += times;
    }
    for (const auto end : {call_end::met, call_end::unmet, call_end::late}) {
      CAPTURE(to_string(end));
      CHECK(ends[end] > 500);
    }
  }
}
