#include "tests/sim/checkers/history.hpp"

#include "framework/simulation/trace.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace cohort::sim {

using namespace protocol;

namespace {

/// Reads one word from left to right.
class word {
public:
  explicit word(std::string_view text) : text_(text) {}
  bool at_end() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  char take() {
    if (text_.empty()) throw std::invalid_argument("a word ends too early");
    const char c = text_.front();
    text_.remove_prefix(1);
    return c;
  }
  bool take(char c) {
    if (peek() != c) return false;
    take();
    return true;
  }
  std::uint64_t number() {
    if (!std::isdigit(static_cast<unsigned char>(peek()))) throw std::invalid_argument("a number is missing");
    std::uint64_t n = 0;
    while (std::isdigit(static_cast<unsigned char>(peek()))) n = n * 10 + static_cast<std::uint64_t>(take() - '0');
    return n;
  }

private:
  std::string_view text_;
};

order order_named(char c) {
  switch (c) {
    case 'U': return order::unordered;
    case 'F': return order::fifo;
    case 'S': return order::safe_fifo;
    case 'C': return order::causal;
    case 's': return order::safe_causal;
    case 'T': return order::total;
    default: throw std::invalid_argument(std::string("no order is called ") + c);
  }
}

class stage {
public:
  explicit stage(const std::function<std::unique_ptr<checker>(book&)>& make) : checked_(make(book_)) {}

  std::string run(std::string_view text) {
    std::istringstream words{std::string(text)};
    std::string next;
    bool first = true;
    while (words >> next) {
      if (std::exchange(first, false)) {
        if (next == "-") continue;
        for (const char m : {'a', 'b', 'c'}) start(member(m), {});
        for (const char m : {'a', 'b', 'c'}) install(member(m), founders());
      }
      try {
        act(word(next));
      } catch (const std::invalid_argument& problem) {
        FAIL("the word " << next << ": " << problem.what());
      }
      tell([](checker& c) { c.time({}); });  // as before everything that happens
    }
    return checked_->broken();
  }

private:
  struct sent {
    unsigned sender = 0;
    incarnation inc = 0;
    order cls{};
    sequence seq = 0;
    std::uint64_t position = 0;
  };
  struct person {
    life now;
    bool alive = false;
    view_ptr in;
    incarnation inc = 0;
    std::map<lane_kind, sequence> sealed;
  };

  static unsigned member(char c) {
    const int lower = std::tolower(static_cast<unsigned char>(c));
    if (lower < 'a' || lower > 'e') throw std::invalid_argument(std::string("no member is called ") + c);
    return static_cast<unsigned>(lower - 'a');
  }
  static view_ptr founders() {
    auto v = std::make_shared<view>();
    for (unsigned m = 0; m < 3; ++m) {
      v->roster.push_back({{static_cast<member_id>(m), 100 + m}, 1, true, true});
      v->notes.push_back({v->roster.back().id, view_cause::founded});
    }
    v->options.orders = order_set::all();
    v->kinds = kinds_of(v->options.orders);
    return v;
  }
  template <class Tell>
  void tell(Tell what) {
    what(static_cast<checker&>(book_));
    what(*checked_);
  }

  void start(unsigned m, const disk::found& found) {
    auto& p = people_[m];
    if (p.alive) tell([&](checker& c) { c.stopped(p.now); });
    p.alive = true;
    p.now.node = m;
    p.now.number = ++lives_;
    p.now.id = {static_cast<member_id>(m), 100 + m};
    p.in = found.checkpoint ? found.checkpoint->in_force : nullptr;
    p.inc = 0;
    p.sealed.clear();
    tell([&](checker& c) { c.started(p.now, found); });
  }

  log_index index(word& w) {
    if (w.take('>')) return w.number();
    return ++index_;
  }

  void install(unsigned m, const view_ptr& v) {
    word nothing("");
    install(m, v, nothing);
  }
  void install(unsigned m, const view_ptr& v, word& w) {
    auto& p = people_[m];
    deliver_view d;
    d.index = index(w);
    d.what = v;
    const auto before = p.inc;
    p.inc = 0;
    for (const auto& r : v->roster)
      if (r.active && r.id == p.now.id && (before == r.inc || fresh_[m] == r.inc || v->number == 0)) p.inc = r.inc;
    if (p.inc != before) p.sealed.clear();
    d.member = p.inc != 0 || w.take('=');
    if (told_) {
      d.together = *std::exchange(told_, std::nullopt);
    } else if (p.in && p.in->number + 1 == v->number && p.inc != 0 && p.inc == before && !by_checkpoint_) {
      for (const auto& r : v->roster)
        if (r.active && slot_of(*p.in, r.id, r.inc) != no_slot) d.together.push_back(r.id.member);
    }
    by_checkpoint_ = false;
    p.in = v;
    tell([&](checker& c) { c.installed(p.now, d); });
  }

  static std::vector<view_note> true_notes(const view& old, const view& now) {
    std::vector<view_note> notes;
    for (const auto& was : old.roster) {
      const auto* r = find(now, was.id);
      if (was.active && !(r && r->active && r->inc == was.inc)) notes.push_back({was.id, view_cause::failed});
      if (was.voter && !(r && r->voter)) notes.push_back({was.id, view_cause::replaced});
    }
    for (const auto& r : now.roster) {
      const auto* was = find(old, r.id);
      if (r.active && !(was && was->active && was->inc == r.inc))
        notes.push_back({r.id, was && was->voter ? view_cause::recovered : view_cause::joined});
      if (r.voter && !(was && was->voter)) notes.push_back({r.id, view_cause::promoted});
    }
    return notes;
  }
  static std::vector<view_note> read_notes(word& w) {
    std::vector<view_note> notes;
    while (std::isalpha(static_cast<unsigned char>(w.peek()))) {
      const auto m = member(w.take());
      const auto cause = std::string_view("?jrpfxy").find(w.take());
      if (cause == std::string_view::npos) throw std::invalid_argument("no cause is called that");
      notes.push_back({{static_cast<member_id>(m), 100 + m}, static_cast<view_cause>(cause)});
    }
    return notes;
  }

  /// N, or N:names; without names as the view before.
  view_ptr read_view(word& w, const view_ptr& before) {
    const auto number = w.number();
    std::string names;
    if (w.take(':'))
      while (std::isalpha(static_cast<unsigned char>(w.peek())) || (w.peek() != 0 && std::string_view("*_!.").find(w.peek()) != std::string_view::npos)) names += w.take();
    auto v = std::make_shared<view>(before ? *before : *founders());
    v->number = number;
    v->notes.clear();
    if (names.empty()) return v;
    if (const auto known = views_.find({number, names}); known != views_.end()) return known->second;
    const view old = *v;
    for (auto& r : v->roster) r.active = false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto m = member(names[i]);
      const voter_id id{static_cast<member_id>(m), 100 + m};
      auto r = std::ranges::find(v->roster, id, &roster_entry::id);
      if (r == v->roster.end()) r = v->roster.insert(r, {id, 1, false, false});
      if (fresh_[m] == 0) fresh_[m] = r->inc;
      const char how = i + 1 < names.size() ? names[i + 1] : ' ';
      if (how == '*') r->voter = true;
      if (how == '_') r->voter = false;
      r->active = how != '!' && how != '.';
      if (how == '!') v->roster.erase(r);
      else if (std::isupper(static_cast<unsigned char>(names[i]))) fresh_[m] = ++r->inc;
      if (!std::isalpha(static_cast<unsigned char>(how))) ++i;
    }
    std::erase_if(v->roster, [](const auto& r) { return !r.voter && !r.active; });
    v->notes = w.take(';') ? read_notes(w) : true_notes(old, *v);
    std::ranges::sort(v->roster, {}, &roster_entry::id);
    views_[{number, names}] = v;
    return v;
  }

  mark read_mark(word& w, const view_ptr& before) {
    mark at;
    at.in_force = read_view(w, before);
    at.cut.assign(lane_count(*at.in_force), 0);
    if (w.take('/')) do {
      const auto m = member(w.take());
      const auto* r = find(*at.in_force, {static_cast<member_id>(m), 100 + m});
      if (!r) throw std::invalid_argument("a lane of somebody who is not in the view");
      const auto cut_at = [&](lane_kind k) { return slot_of(*at.in_force, r->id, r->inc, k); };
      at.cut.at(cut_at(lane_kind::plain)) = w.number();
      if (w.take(':')) at.cut.at(cut_at(lane_kind::causal)) = w.number();
    } while (w.take(','));
    if (w.take('?')) at.missed = read_missed(w);
    at.index = index(w);
    return at;
  }

  static missed_ptr read_missed(word& w) {
    auto missed = std::make_shared<missed_messages>();
    missed->complete = !w.take('!');
    do {
      missed_run r;
      r.lane = {static_cast<member_id>(member(w.take())), 1, lane_kind::plain};
      if (w.take('\'')) r.lane.inc = w.number();
      if (w.take(':')) r.lane.kind = lane_kind::causal;
      else w.take('.');
      r.from = w.number();
      r.to = w.take('-') ? w.number() : r.from;
      missed->runs.push_back(r);
    } while (w.take(','));
    return missed;
  }

  static payload bytes_of(const std::vector<std::uint64_t>& messages) {
    struct owned {
      std::vector<std::uint32_t> sizes;
      std::vector<std::byte> blob;
    };
    auto o = std::make_shared<owned>();
    for (const auto m : messages) {
      const auto text = std::to_string(m);
      o->sizes.push_back(static_cast<std::uint32_t>(text.size()));
      for (const char c : text) o->blob.push_back(static_cast<std::byte>(c));
    }
    payload p;
    p.sizes = o->sizes;
    p.blob = o->blob;
    p.owner = std::move(o);
    return p;
  }

  void act(word w) {
    if (w.take('.')) {
      tell([](checker& c) { c.finished({}); });
      return;
    }
    const auto m = member(w.take());
    auto& p = people_[m];
    switch (w.take()) {
      case '!': {
        const auto cls = order_named(w.take());
        const auto number = w.number();
        auto& s = sent_[number];
        s = {m, p.inc, cls, ++p.sealed[kind_of(cls)], 0};
        const auto hash = hash_payload(bytes_of({number}));
        tell([&](checker& c) { c.submitted(p.now, cls, hash); });
        return;
      }
      case '-': {
        const auto number = w.number();
        const auto hash = hash_payload(bytes_of({number}));
        const auto cls = sent_[number].cls;
        tell([&](checker& c) { c.undelivered(p.now, cls, hash); });
        return;
      }
      case '<': deliver(p, w); return;
      case '|': {
        const auto v = read_view(w, p.in);
        if (w.take('^')) {
          told_.emplace();
          while (std::isalpha(static_cast<unsigned char>(w.peek()))) told_->push_back(static_cast<member_id>(member(w.take())));
        }
        install(m, v, w);
        return;
      }
      case '*': {
        event e;
        const auto kind = std::string_view("pwfxst").find(w.take());
        if (kind == std::string_view::npos) throw std::invalid_argument("no event is called that");
        using enum event_kind;
        e.kind = std::array{primary, wedged, founded, excluded, transfer_started, transfer_finished}[kind];
        e.flag = w.take('+');
        tell([&](checker& c) { c.happened(p.now, e); });
        return;
      }
      case '$': {
        const auto at = read_mark(w, p.in);
        tell([&](checker& c) { c.restored(p.now, at); });
        return;
      }
      case '&': {
        const auto at = read_mark(w, p.in);
        tell([&](checker& c) { c.restored(p.now, at); });
        const auto same_index = ">" + std::to_string(at.index);
        word where(same_index);
        by_checkpoint_ = true;
        install(m, at.in_force, where);
        return;
      }
      case '+': {
        disk::found found;
        if (!w.at_end()) found.checkpoint = read_mark(w, p.in);
        start(m, found);
        return;
      }
      case 'x':
        p.alive = false;
        tell([&](checker& c) { c.stopped(p.now); });
        return;
      default: throw std::invalid_argument("what does it do?");
    }
  }

  void deliver(person& p, word& w) {
    std::vector<std::uint64_t> numbers;
    do numbers.push_back(w.number());
    while (w.take('+'));
    auto& s = sent_[numbers.front()];
    deliver_batch d;
    d.what = bytes_of(numbers);
    d.cls = s.cls;
    d.sender = static_cast<member_id>(s.sender);
    d.inc = s.inc == 0 ? 1 : s.inc;
    d.seq = s.seq == 0 ? 1 : s.seq;
    d.view = p.in ? p.in->number : 0;
    d.index = index_;
    while (!w.at_end()) switch (w.take()) {
        case '@': d.seq = w.number(); break;
        case '#': d.position = w.number(); break;
        case '>': d.index = w.number(); break;
        case '%': d.view = w.number(); break;
        case ':': d.sender = static_cast<member_id>(member(w.take())); break;
        case '=': d.cls = order_named(w.take()); break;
        case '~': unstable_ = true; break;
        case '^': stable_ = true; break;
        default: throw std::invalid_argument("what about this delivery?");
      }
    if (d.cls == order::total && d.position == 0) {
      if (s.position == 0) s.position = ++positions_;
      d.position = s.position;
    }
    d.stable = (is_safe(d.cls) || std::exchange(stable_, false)) && !std::exchange(unstable_, false);
    d.own = d.sender == p.now.member();
    tell([&](checker& c) { c.delivered(p.now, d); });
  }

  book book_;
  std::unique_ptr<checker> checked_;
  std::map<unsigned, person> people_;
  std::map<unsigned, incarnation> fresh_;  ///< newest incarnation that was admitted
  std::map<std::pair<view_number, std::string>, view_ptr> views_;
  std::map<std::uint64_t, sent> sent_;
  std::uint64_t lives_ = 0, positions_ = 0;
  log_index index_ = 0;
  bool stable_ = false, unstable_ = false, by_checkpoint_ = false;
  std::optional<std::vector<member_id>> told_;
};

}  // namespace

std::string run_history(const std::function<std::unique_ptr<checker>(book&)>& make, std::string_view text) { return stage(make).run(text); }

void check_histories(const std::function<std::unique_ptr<checker>(book&)>& make, const std::vector<history_case>& legal,
                     const std::vector<history_case>& violating) {
  CHECK(legal.size() >= 10);
  CHECK(violating.size() >= 10);
  for (const auto& h : legal) {
    INFO(h.what, ": ", h.text);
    CHECK(run_history(make, h.text) == "");
  }
  for (const auto& h : violating) {
    INFO(h.what, ": ", h.text);
    CHECK(run_history(make, h.text) != "");
  }
}

}  // namespace cohort::sim
