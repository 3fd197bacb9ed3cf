// A resilient process that a group holds, over the world of primary_backup_world.hpp: it decides by chance, throws at some
// inputs, and its effects go over a network that loses, doubles and reorders to an observer who counts.
#include "framework/resilience/records.hpp"
#include "framework/resilience/replicated.hpp"
#include "framework/memory_stream.hpp"
#include "primary_backup_world.hpp"

#include <cohort/fence.hpp>

using namespace cohort;
using namespace cohort::primary_backup;
using namespace cohort::primary_backup::test;
using namespace cohort::resilience;

namespace {

const std::string observer = "outside";

/// Folds what it decided by chance into a number, and tells the observer each time, now and then twice.
class gambler final : public resilient_machine {
public:
  explicit gambler(sim::random& chance) : chance_(chance) {}
  std::optional<std::string> decide(const resilient_input& in, std::string& answer) const override {
    if (in.body != "?") return std::string(in.body) + '#' + std::to_string(chance_.below(1000));
    answer = std::to_string(state_);
    return std::nullopt;
  }
  void apply(const resilient_event& e, resilient_output& out) override {
    for (const char c : e.body) state_ = state_ * 1099511628211u + static_cast<unsigned char>(c);
    if (e.body.starts_with("poison")) throw std::runtime_error("poison");
    out.reply(std::to_string(state_));
    out.send(observer, std::to_string(e.position) + ":" + std::to_string(state_));
    if (state_ % 3 == 0) out.send(observer, "again");
  }
  void checkpoint(sink& out) const override { out.write_u64(state_); }
  void restore(source& in, std::uint32_t) override { state_ = in.read_u64(); }

private:
  sim::random& chance_;
  std::uint64_t state_ = 1;
};

/// Ends the process that executes a deadly input, and remembers of what.
class deadly_witness final : public execution_witness {
public:
  deadly_witness(std::deque<death_tale>& words, std::map<std::string, unsigned>& deaths, std::function<bool(std::string_view)> refused)
      : words_(words), deaths_(deaths), refused_(std::move(refused)) {}
  void begins(const delivery& request, view_number office) override {
    const auto in = peek_input(request.payload);
    if (!in || !in->body.starts_with("deadly") || refused_(in->from)) return;
    words_.push_back({office, request.position});
    ++deaths_[std::string(in->from) + std::string(in->body)];
    throw process_ended{};
  }
  void ends() override {}

private:
  std::deque<death_tale>& words_;
  std::map<std::string, unsigned>& deaths_;
  const std::function<bool(std::string_view)> refused_;  ///< the machine is not asked any more
};

struct packet {
  std::size_t member = 0;
  incarnation inc = 0;
  fencing_token activation = 0;
  effect what;
};

class process_world final : public world {
public:
  explicit process_world(std::uint64_t seed)
      : world(seed), dice_(seed + 1), fenced_(seed % 2 == 0), deadly_(seed % 3 == 0), reference_(machines()), fronts_(size_) {}

  std::size_t effects() const { return observed_.size(); }
  std::uint64_t acknowledged = 0, poisoned = 0, refused = 0, doubled = 0, late_acks = 0, ended = 0, put_aside = 0,
                refused_again = 0;
  unsigned most = 0;

private:
  resilient_factory machines() {
    return [this] { return std::make_unique<gambler>(dice_); };
  }
  std::unique_ptr<member> make(std::size_t m, backup_kind kind) override {
    // Made before `boot` gives the process its new incarnation.
    const auto release = [this, m](fencing_token activation, std::vector<effect>&& effects) {
      for (auto& e : effects) {
        network_.push_back({m, processes_[m].inc, activation, e});
        fronts_[m].sent.push_back({m, processes_[m].inc, activation, std::move(e)});
      }
    };
    fronts_[m] = {};
    auto one = std::make_unique<member>(
      member_id(static_cast<std::uint16_t>(m)),
      [this, m, release] {
        return std::make_unique<replicated_process>(
          machines(), memory_limits{}, 2,
          replicated_calls{release,
                           [this, m](const resilience::message& in, bool ended, unsigned, auto&) {
                             ++(ended ? put_aside : poisoned);
                             if (ended) refused_[m].emplace(in.from);
                           },
                           {}});
      },
      kind, kind == backup_kind::cold ? std::make_unique<store_in_memory>() : nullptr);
    for (const auto& t : words_[m]) one->died_of(t);
    refused_[m].clear();
    one->witnessed_by(std::make_shared<deadly_witness>(words_[m], deaths_, [this, m](std::string_view from) {
      const auto since = condemned_.find(std::string(from));
      return refused_[m].contains(std::string(from)) || (since != condemned_.end() && since->second <= processes_[m].applied);
    }));
    return one;
  }
  void died(std::size_t m) override { fronts_[m] = {}; }

  // ---- callers ----

  std::vector<std::byte> next_request(process& p) override {
    const auto m = index_of(p);
    auto& c = customers_[m];
    std::string bytes;
    if (chance_.chance(500)) {
      if (c.answered >= c.number) ++c.number;  // else it asks once more
      bytes = input_request({customer(m), c.number, "n" + std::to_string(c.number), c.number});
    } else {
      const auto luck = chance_.below(20);
      const auto number = std::to_string(++plain_);
      // The deadly ones come again and again, each from one sender who gets no answer.
      const auto deadly = deadly_ ? "d" + std::to_string(chance_.below(3)) : std::string();
      if (luck == 2 && deadly_) bytes = input_request({deadly, 1, "deadly", 1});
      else if (luck == 0 && chance_.chance(500)) bytes = input_request({"p" + std::to_string(chance_.below(3)), 1, "poison", 1});
      else bytes = input_request({{}, 0, luck == 0 ? "poison" : luck == 1 ? "?" : "x" + number});
      if (luck > 2 || (luck == 2 && !deadly_)) plain_inputs_.insert("x" + number);
    }
    const auto b = bytes_of(bytes);
    return {b.begin(), b.end()};
  }
  static std::string customer(std::size_t m) { return "c" + std::to_string(m); }

  struct request {
    std::string from, body;
    std::uint64_t number = 0;
  };
  static std::optional<request> read(std::string_view bytes) {
    if (bytes[0] != 1) return std::nullopt;
    string_source in(bytes.substr(1));
    request r;
    r.from = in.read_bytes();
    r.number = in.read_u64();
    in.read_u64();
    r.body = in.read_bytes();
    return r;
  }

  void ordered(std::span<const std::byte> bytes) override {
    if (const auto r = read(text_of(bytes)); r && r->from.empty() && r->body[0] == 'x') ordered_.insert(r->body);
  }
  void answered(const std::string& asked, const std::string& answer) override {
    const auto r = read(asked);
    const auto a = read_answer(bytes_of(answer));
    if (!r) return;  // acknowledgements
    const bool known_before = !r->from.empty() && a.what == outcome_kind::refused;
    if (known_before && (r->body == "poison" || r->body == "deadly")) ++refused_again;
    if (r->body == "poison") REQUIRE((a.what == outcome_kind::failed || known_before));
    if (r->body == "poison") return;
    if (r->body == "deadly") REQUIRE((a.what == outcome_kind::deadly || known_before));
    if (r->body == "deadly") return;
    if (a.what == outcome_kind::outdated) return;
    REQUIRE(a.what == outcome_kind::replied);
    if (r->body == "?") return;
    ++acknowledged;
    const auto key = r->from.empty() ? r->body : r->from + '/' + std::to_string(r->number);
    REQUIRE_MESSAGE(replies_.contains(key), "an answer comes before its effect is agreed upon");
    REQUIRE_MESSAGE(replies_[key] == a.body, "the answer is not the effect");
    for (auto& [m, c] : customers_)
      if (r->from == customer(m)) c.answered = std::max(c.answered, r->number);
  }

  // ---- what all have agreed upon ----

  void first_seen(std::size_t at, const ordered_message& m, bool accepted) override {
    if (!accepted) return;
    std::vector<settled_request> settled;
    REQUIRE(update_reader::read(m.bytes, settled));
    for (const auto& s : settled) {
      const auto asked = text_of(std::span(log_[s.position - 1].message.bytes).subspan(1));
      if (asked[0] == 2) {
        const auto activation = string_source(std::string_view(asked).substr(1)).read_u64();
        if (activation != activation_of(office_since(at))) ++late_acks;
        if (!s.change.empty()) {
          REQUIRE_MESSAGE(activation == activation_of(office_since(at)), "what a fenced activation acknowledged is applied");
        }
      }
      if (s.change.empty()) continue;
      if (const auto r = read(asked); r && (r->body == "deadly" || r->body == "poison")) {
        REQUIRE_MESSAGE((r->body == "poison" || deaths_[r->from + r->body] > 0), "an input is refused that has ended no process");
        REQUIRE_MESSAGE(!r->from.empty(), "an input without a number is refused for ever");
        REQUIRE_MESSAGE(condemned_.emplace(r->from, at).second, "an input is put aside twice");
        continue;
      }
      REQUIRE(string_source(text_of(s.change)).read_u64() != 0x7464726576);
      const auto r = decode(text_of(s.change));
      const auto reply = reference_.apply(r, reference_.applied() + 1);
      for (auto& e : reference_.take_effects(reference_.applied())) caused_.push_back(e.body);
      if (r.acks_only) continue;
      const auto key = r.from.empty() ? r.body.substr(0, r.body.find('#')) : r.from + '/' + std::to_string(r.number);
      REQUIRE_MESSAGE(replies_.emplace(key, reply).second, "an input is applied twice");
    }
  }

  // ---- outside ----

  struct front {
    std::vector<packet> sent;
    std::vector<acknowledgement> acks;
    fencing_token activation = 0;  ///< to which they belong
  };

  void more(process& p) override {
    auto& f = fronts_[index_of(p)];
    for (int i = settling_ ? 1000 : 3; i > 0 && !network_.empty(); --i) carry();
    words_[index_of(p)] = p.logic->untold();
    if (!p.logic->executes() && chance_.chance(100)) f = {};  // it learns so at last
    if (chance_.chance(settling_ ? 500 : 100))
      for (const auto& s : f.sent) network_.push_back(s);
    if (!f.acks.empty()) {
      const auto bytes = acks_request(f.activation, std::exchange(f.acks, {}));
      p.outbox.push_back({framed(frame::request, bytes_of(bytes)), index_of(p), p.inc});
    }
  }

  void carry() {
    const auto i = chance_.below(std::min<std::size_t>(network_.size(), settling_ ? 1 : 5));
    const auto p = network_[i];
    const auto luck = chance_.below(10);
    if (settling_ || luck < 8) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(i));
    if (!settling_ && luck < 2) return;
    if (fenced_ && !fence_.admit(p.activation)) {
      ++refused;
      return;
    }
    if (p.what.number <= observed_.size()) {
      REQUIRE_MESSAGE(observed_[p.what.number - 1] == p.what.body, "an effect was seen that says something else now");
      ++doubled;
    } else if (p.what.number == observed_.size() + 1) {
      observed_.push_back(p.what.body);
    } else {
      return;
    }
    auto& to = processes_[p.member];
    if (!to.logic || to.inc != p.inc) return;
    auto& f = fronts_[p.member];
    std::erase_if(f.sent, [&](const packet& s) { return s.what.number <= p.what.number; });
    if (f.activation != p.activation) f.acks.clear();
    f.activation = p.activation;
    f.acks.push_back({observer, p.what.number});
  }

  void ended_well() {
    for (const auto& [input, deaths] : deaths_) {
      ended += deaths;
      most = std::max(most, deaths);
      REQUIRE_MESSAGE(deaths <= size_ + 1, input << " ended " << deaths << " processes of " << size_);
    }
  }

  bool outside_is_quiet() override { return network_.empty() && reference_.outbox() == 0; }

  void judge(std::span<const std::byte> checkpoint, member&) override {
    REQUIRE_MESSAGE(observed_ == caused_, "the observer did not see each effect once");
    ended_well();
    string_sink expected;
    reference_.checkpoint(expected);
    REQUIRE_MESSAGE(text_of(checkpoint).ends_with(expected.bytes), "the state is not that of its events");
    for (const auto& body : ordered_) REQUIRE_MESSAGE(replies_.contains(body), "an input is lost");
    for (const auto& [m, c] : customers_)
      for (std::uint64_t n = 1; n <= c.answered; ++n)
        REQUIRE_MESSAGE(replies_.contains(customer(m) + '/' + std::to_string(n)), "an acknowledged input is lost");
  }

  struct customer_state {
    std::uint64_t number = 0, answered = 0;
  };
  sim::random dice_;
  const bool fenced_, deadly_;
  std::map<std::size_t, std::deque<death_tale>> words_;  ///< of each member's disk
  std::map<std::string, unsigned> deaths_;               ///< by input
  std::map<std::string, std::size_t> condemned_;         ///< senders of what is refused, from that place of the log on
  std::map<std::size_t, std::set<std::string>> refused_;  ///< by the executing copy of each member
  process_state reference_;
  std::vector<front> fronts_;
  std::vector<packet> network_;
  fence fence_;
  std::vector<std::string> caused_, observed_;
  std::map<std::size_t, customer_state> customers_;
  std::map<std::string, std::string> replies_;
  std::set<std::string> plain_inputs_, ordered_;
  std::uint64_t plain_ = 0;
};

}  // namespace

TEST_SUITE("resilience: replicated") {
  TEST_CASE("each activation sends what is not acknowledged once, and the next one all of it again") {
    sim::random dice(1);
    std::string seen;
    replicated_process p([&] { return std::make_unique<gambler>(dice); }, {}, 1,
                         {.release =
                            [&](fencing_token activation, std::vector<effect>&& effects) {
                              for (const auto& e : effects)
                                seen += std::to_string(activation) + ":" + std::to_string(e.number) + "/" + std::to_string(e.low) + " ";
                            },
                          .put_aside = {},
                          .tell = {}});
    record r;
    r.version = 1;
    for (int i = 1; i <= 2; ++i) {
      r.body = "once" + std::to_string(i);
      p.apply(bytes_of(encode(r)));
    }
    const auto sent = p.state().outbox();
    CHECK(seen == "");
    p.act(2);
    p.act(2);
    CHECK(seen.starts_with("3:1/1 3:2/1 "));
    CHECK(static_cast<std::size_t>(std::count(seen.begin(), seen.end(), ' ')) == sent);
    r = {};
    r.version = 1;
    r.acks_only = true;
    r.acks = {{observer, 1}, {"nobody", 7}};
    p.apply(bytes_of(encode(r)));
    seen.clear();
    p.act(4);
    CHECK(seen.starts_with("5:2/2"));
  }

  TEST_CASE("what threw is refused at all members, its sender goes on without it, and it is applied once when it is replayed") {
    sim::random dice(1);
    std::string aside;
    const auto make = [&] {
      const auto put_aside = [&](const resilience::message& in, bool ended, unsigned times, const std::string& why) {
        aside += std::string(in.from) + std::to_string(in.number) + (ended ? " ended " : " threw ") + std::to_string(times) + ": " +
                 why + "; ";
      };
      return std::make_unique<replicated_process>([&] { return std::make_unique<gambler>(dice); }, memory_limits{}, 2,
                                                  replicated_calls{.release = {}, .put_aside = put_aside, .tell = {}});
    };
    auto p = make();
    auto backup = make();
    std::vector<std::string> requests;
    const auto ask = [&](const std::string& request) {
      requests.push_back(request);
      delivery d;
      d.payload = bytes_of(request);
      state_update change;
      reply answer;
      unsigned times = 0;
      for (;; ++times) {
        try {
          p->execute(d, change, answer);
          if (!change.bytes().empty()) p->perform(change.bytes(), answer);
          if (!change.bytes().empty()) backup->apply(change.bytes());
          break;
        } catch (const std::exception& e) {
          change.clear();
          answer.clear();
          if (p->failed(d, times + 1, e.what(), change, answer) == after_failure::again) continue;
          memory_sink image;  // the next executing copy
          backup->checkpoint(image);
          p = make();
          memory_source in(image.bytes());
          p->restore(in);
          if (!change.bytes().empty()) p->apply(change.bytes());
          if (!change.bytes().empty()) backup->apply(change.bytes());
          break;
        }
      }
      return std::to_string(static_cast<int>(read_answer(answer.bytes()).what)) + "/" + std::to_string(times);
    };
    const auto is = [](outcome_kind what, unsigned throws) {
      return std::to_string(static_cast<int>(what)) + "/" + std::to_string(throws);
    };
    CHECK(ask(input_request({{}, 0, "poison"})) == is(outcome_kind::failed, 1));
    CHECK(ask(input_request({{}, 0, "poison"})) == is(outcome_kind::failed, 1));  // without a number it is another one
    aside.clear();
    CHECK(ask(input_request({"q", 1, "a", 1})) == is(outcome_kind::replied, 0));
    CHECK(ask(input_request({"q", 2, "poison", 2})) == is(outcome_kind::failed, 1));
    CHECK(aside == "q2 threw 2: poison; ");
    CHECK(ask(input_request({"q", 2, "poison", 2})) == is(outcome_kind::refused, 0));
    CHECK(ask(input_request({"q", 3, "c", 2})) == is(outcome_kind::gap, 0));
    CHECK(ask(input_request({"q", 3, "c", 3})) == is(outcome_kind::replied, 0));
    std::swap(p, backup);  // it knows, too
    CHECK(ask(input_request({"q", 2, "poison", 2})) == is(outcome_kind::refused, 0));
    memory_sink image;
    p->checkpoint(image);
    backup = make();
    memory_source in(image.bytes());
    backup->restore(in);
    std::swap(p, backup);
    CHECK(ask(input_request({"q", 2, "poison", 2})) == is(outcome_kind::refused, 0));
    CHECK(ask(input_request({"q", 4, "poison", 4})) == is(outcome_kind::failed, 1));
    CHECK(ask(input_request({"q", 4, "poison", 4})) == is(outcome_kind::refused, 0));
    CHECK(ask(pardon_request({"q", 4, "poison", 4})) == is(outcome_kind::replied, 0));
    CHECK(ask(replay_request({"q", 4, "poison", 4})) == is(outcome_kind::failed, 1));  // it does it again, and is refused again
    CHECK(ask(input_request({"q", 4, "poison", 4})) == is(outcome_kind::refused, 0));
    CHECK(ask(pardon_request({"q", 2, "poison", 2})) == is(outcome_kind::replied, 0));
    CHECK(ask(input_request({"q", 2, "b", 2})) == is(outcome_kind::refused, 0));  // its sender has gone on without it
    CHECK(ask(replay_request({"q", 2, "b", 2})) == is(outcome_kind::replied, 0));
    CHECK(ask(replay_request({"q", 2, "b", 2})) == is(outcome_kind::outdated, 0));
  }

  TEST_CASE("one activation at a time, each effect seen once, nothing of a fenced one applied") {
    std::uint64_t acknowledged = 0, dropped = 0, effects = 0, poisoned = 0, refused = 0, doubled = 0, late_acks = 0, ended = 0;
    std::uint64_t put_aside = 0, refused_again = 0;
    unsigned most = 0;
    for (std::uint64_t seed = 1; seed <= 900; ++seed) {
      CAPTURE(seed);
      process_world w(seed);
      w.run(static_cast<int>(200 + seed % 5 * 150));
      acknowledged += w.acknowledged;
      dropped += w.dropped();
      effects += w.effects();
      poisoned += w.poisoned;
      refused += w.refused;
      doubled += w.doubled;
      late_acks += w.late_acks;
      ended += w.ended;
      put_aside += w.put_aside;
      refused_again += w.refused_again;
      most = std::max(most, w.most);
    }
    MESSAGE(acknowledged << " inputs were acknowledged, " << effects << " effects seen, " << doubled << " times again, "
                         << refused << " refused by a fence; " << dropped << " updates dropped, " << late_acks
                         << " acknowledgements to a former activation, " << poisoned << " inputs put aside, " << put_aside << " since they ended " << ended << " processes, up to "
                         << most << " each");
    CHECK(refused_again > 20);
    CHECK(put_aside > 200);
    CHECK(ended > put_aside);
    CHECK(acknowledged > 5000);
    CHECK(effects > 5000);
    CHECK(doubled > 1000);
    CHECK(refused > 30);
    CHECK(dropped > 300);
    CHECK(late_acks > 20);
    CHECK(poisoned > 100);
  }
}
