// What the simulated application of a partitionable group says, hears and keeps.
#include "framework/protocol/partition/policy.hpp"
#include "framework/simulation/partition/node.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>

namespace cohort::sim::partition {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

std::uint64_t number_of(std::span<const std::byte> text) {
  std::uint64_t number = 0;
  std::memcpy(&number, text.data(), sizeof number);
  return number;
}
std::uint64_t tail_of(std::span<const std::byte> text) { return number_of(text.last(sizeof(std::uint64_t))); }

/// A message's bytes: its number at both ends, and what tells where a piece is missing or twice in between.
std::vector<std::byte> text_of(std::uint64_t number, std::size_t size) {
  std::vector<std::byte> text(size);
  auto x = number;
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<std::byte>((x = mix(x, i)) >> 56);
  std::memcpy(text.data(), &number, sizeof number);
  std::memcpy(text.data() + size - sizeof number, &number, sizeof number);
  return text;
}

}  // namespace

void world::deliver(unsigned n, const delivery_op& what) {
  auto& here = *nodes_[n];
  if (const auto* batch = std::get_if<deliver_batch>(&what)) {
    auto b = *batch;
    if (!b.part.whole() && !here.parts.take(b)) return;
    const auto* bytes = b.what.blob.data();
    auto position = b.position;
    for (const auto size : b.what.sizes) {
      const auto number = number_of({bytes, size});
      if (b.own && here.submitted.erase(number) == 0)
        throw std::logic_error(message_name(seen_, number) + " is answered to who did not submit it");
      if (b.cls == order::total) here.grow(number);
      auto& s = add(n, step_kind::delivers);
      s.message = number;
      s.position = b.cls == order::total ? position++ : 0;
      s.intact = text_of(number, size) == std::vector<std::byte>(bytes, bytes + size);
      s.time = b.time;
      s.wall = wall(n);
      s.late = b.late;
      s.at = first_time(n, s);
      bytes += size;
    }
  } else if (const auto* e = std::get_if<deliver_void>(&what)) {
    here.parts.drop(*e);
    if (e->part.more) return;
    const auto* bytes = e->what.blob.data();
    for (const auto size : e->what.sizes) {
      // Of a large message the last part is here, and all parts are alike for what is asked of them.
      auto& s = add(n, step_kind::expires);
      s.message = e->part.whole() ? number_of({bytes, size}) : tail_of({bytes, size});
      s.wall = wall_time(now_.count() / 1000 + scenario_.skew_most);
      bytes += size;
    }
  } else if (const auto* v = std::get_if<deliver_component>(&what)) {
    here.parts.view_installed(*protocol::partition::as_view(*v->what));
    const auto& steps = seen_.lives[here.life].steps;
    const auto last = std::ranges::find(steps.rbegin(), steps.rend(), step_kind::enters, &step::kind);
    if (last != steps.rend() && last->view->id == v->what->id) return;  // told again behind a restart
    auto& s = add(n, step_kind::enters);
    s.view = v->what;
    s.at = first_time(n, s);
    if (now_ < scenario_.faults_until && chance_.chance(80)) cut_at_random();  // while others do not know yet
  } else if (const auto* c = std::get_if<deliver_checkpoint>(&what)) {
    store(n, c->at);
  } else if (const auto* t = std::get_if<deliver_transition>(&what)) {
    auto& s = add(n, step_kind::transition);
    s.id = t->view;
    s.together = t->together;
  } else if (const auto* o = std::get_if<deliver_offer>(&what)) {
    std::vector<std::byte> bytes(here.state.size() * sizeof(std::uint64_t));
    if (!bytes.empty()) std::memcpy(bytes.data(), here.state.data(), bytes.size());
    at(now_ + microseconds(chance_.between(10, scenario_.offer_delay)),
       [this, n, start = here.starts, view = o->view, bytes] {
         if (!nodes_[n]->core || nodes_[n]->starts != start) return;
         nodes_[n]->core->tick(now_, wall(n));
         nodes_[n]->core->offer_ready(view, bytes);
         plan_pass(n, now_);
       });
  } else if (const auto* m = std::get_if<deliver_merge>(&what)) {
    // The application's own way: what one side has and an earlier one has not, in the sides' order.
    const bool all = scenario_.options.merge == merge_policy::application;
    const auto only = all ? 0 : protocol::partition::winner(*m->what, scenario_.options.merge);
    here.begin_anew();
    std::set<std::uint64_t> known;
    for (std::size_t side = all ? 0 : only; side < (all ? m->states.size() : only + 1); ++side)
      for (std::size_t i = 0; i + sizeof(std::uint64_t) <= m->states[side]->size(); i += sizeof(std::uint64_t)) {
        std::uint64_t number = 0;
        std::memcpy(&number, m->states[side]->data() + i, sizeof number);
        if (known.insert(number).second) here.grow(number);
      }
    add(n, step_kind::merges).id = m->what->id;
  }
}

/// The application of a member goes on sending until faults end.
void world::submit_some(unsigned n) {
  auto& here = *nodes_[n];
  at(now_ + microseconds(chance_.between(1, 2 * scenario_.pause_between)), [this, n, start = here.starts] {
    auto& sender = *nodes_[n];
    if (!sender.core || sender.starts != start || now_ > scenario_.faults_until + milliseconds(500)) return;
    std::vector<order> orders;
    for (std::size_t o = 0; o < order_count; ++o)
      if (scenario_.options.orders.has(static_cast<order>(o))) orders.push_back(static_cast<order>(o));
    const auto how = orders[chance_.below(orders.size())];
    const auto number = ++messages_;
    const bool large = chance_.chance(scenario_.large);
    const auto size = large ? chance_.between(1, 8 * static_cast<std::int64_t>(scenario_.options.part_bytes))
                            : chance_.between(0, 60);
    auto length = 2 * sizeof number + static_cast<std::size_t>(size);
    if (length % scenario_.options.part_bytes < sizeof number) length += sizeof number;  // the last part names it
    auto bytes = text_of(number, length);
    wall_time deadline{};
    if (chance_.chance(scenario_.deadlines)) deadline = wall(n) + milliseconds(chance_.between(1, 700));
    sender.core->tick(now_, wall(n));
    if (bytes.size() > scenario_.options.part_bytes) {
      if (!sender.large) sender.large = large_message{number, how, deadline, std::move(bytes), 0};
      give_parts(n);
    } else {
      const std::span<const std::byte> one(bytes);
      if (sender.core->submit({&one, 1}, how, deadline) == submit_status::taken)
        taken(n, number, how, deadline, one.size());
    }
    submit_some(n);
  });
}

void world::taken(unsigned n, std::uint64_t number, order how, wall_time deadline, std::size_t size) {
  const auto& here = *nodes_[n];
  seen_.messages[number] = {{here.id.member, here.inc}, how, size, deadline};
  nodes_[n]->submitted.insert(number);
  add(n, step_kind::submits).message = number;
  plan_pass(n, now_);
}

/// As many parts as the core takes now. Small messages go on being submitted beside it.
void world::give_parts(unsigned n) {
  auto& here = *nodes_[n];
  if (!here.core) return;
  here.core->tick(now_, wall(n));
  while (here.large) {
    auto& m = *here.large;
    const auto size = std::min(scenario_.options.part_bytes, m.bytes.size() - m.given);
    const bool more = m.given + size < m.bytes.size();
    const auto part = std::span<const std::byte>(m.bytes).subspan(m.given, size);
    const auto status = here.core->submit_part(part, more, m.how, m.deadline);
    if (status == submit_status::busy || status == submit_status::part_waits) break;
    if (status == submit_status::interrupted) {
      m.given = 0;
      ++seen_.interrupted;
      continue;
    }
    if (status == submit_status::taken) {
      m.given += size;
      plan_pass(n, now_);
      if (more) continue;
      taken(n, m.number, m.how, m.deadline, m.bytes.size());
    }
    here.large.reset();
  }
}

}  // namespace cohort::sim::partition
