// What a runtime says: the log's lines, and the status operators ask for.
#include "actors/group_rules.hpp"
#include "actors/runtime.hpp"

#include <cohort/contract_check.hpp>

#include <numeric>
#include <optional>
#include <utility>

namespace cohort::detail {
namespace {

/// The same event of a group is logged once in so long.
constexpr protocol::duration quiet_time = std::chrono::seconds(10);

/// Tells a process that ended from a host that is down, and both from a network that is broken.
std::string gone(const std::string& name, const protocol::event& e) {
  using protocol::absence;
  const auto ms = std::to_string(e.number) + " ms";
  switch (e.why) {
    case absence::restarted: return name + " was restarted: its former life is taken out of the view";
    case absence::reset: return name + " is taken out of the view: it closed its connection " + ms + " ago and has not come back (its process ended)";
    case absence::unheard: return name + " is taken out of the view: silent for " + ms + ", and nobody who was asked hears it (host down, or cut off from all)";
    case absence::link: return name + " is taken out of the view: alive, another member hears it, but silent here for " + ms + " (the network between this node and it is broken)";
    case absence::silent: return name + " is taken out of the view: silent for " + ms + ", and no other member could be asked";
    case absence::stuck: return name + " is taken out of the view: it answers, but has acknowledged nothing for " + ms + " (disk full or stuck)";
    case absence::unservable: return name + " is taken out of the view: it needs what the log does not hold any more, and takes no checkpoint";
    case absence::none: break;
  }
  return name + " is taken out of the view";
}

protocol::instant steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace

void runtime::view_installed(std::uint32_t group, const protocol::deliver_view& v) {
  auto told = std::make_shared<const group_view>(describe(v, *nodes_));
  std::string members, changes;
  for (auto& m : told->members)
    members += (members.empty() ? "" : ",") + m.name + (m.witness ? "(witness)" : m.active ? "" : "(away)") + (m.voter ? "" : "(learner)");
  for (auto& c : told->changes) changes += (changes.empty() ? "" : ", ") + c.name + " " + to_string(c.cause);
  const auto lost = std::accumulate(v.lost_messages.begin(), v.lost_messages.end(), std::uint64_t{0});
  auto& g = groups_[group];
  if (const auto& rules = v.what->options; rules.heartbeat != g.heartbeat || rules.election_min != g.election_min) {
    g.heartbeat = rules.heartbeat;
    g.election_min = rules.election_min;
    pulses_->configure(pulse_options_now());
  }
  const auto& how = g.entry->how;
  g.entry->message_limit.store(v.what->options.message_bytes_max, std::memory_order_relaxed);
  auto now = under_rules(how, v.what->options);
  std::optional<rules_news> other_rules;
  if (auto changed = difference(g.rules, now); !changed.empty()) {
    g.rules = std::move(now);
    auto other = difference(how, g.rules);
    log_.write(log_level::info, where(g) + (other.empty() ? "the group runs by the rules of this node's configuration"
                                              : "the group was changed while it ran, and that holds, not this node's configuration: " + other));
    other_rules = rules_news{{g.entry->name, g.rules, std::move(changed), told->number}, std::move(other)};
  }
  log_.write(log_level::info, where(g) + "view " + std::to_string(told->number) + " installed: members " + members +
                                (changes.empty() ? "" : "; " + changes) +
                                (lost ? "; own messages lost: " + std::to_string(lost) : ""));
  cc::hand_over(g.membership, view_news{std::move(told)});
  if (other_rules) cc::hand_over(g.membership, std::move(*other_rules));  // behind the view that brings them, as listeners are told
  if (!leaving_nodes_.empty()) removal_->set_after(std::chrono::nanoseconds(0));
}

void runtime::happened(std::uint32_t group, const protocol::event& e) {
  using protocol::event_kind;
  auto& g = groups_[group];
  if (e.kind == event_kind::window_open) return;
  if (e.kind == event_kind::chunk_wanted)
    return chunk_loads_->post([this, group, e, ordering = g.ordering] {
      cc::hand_over(ordering, chunk_done{e.member, e.index, static_cast<std::uint32_t>(e.number),
                                         journal_->load_chunk(place_of(group), e.index, static_cast<std::uint32_t>(e.number))});
    });
  std::uint64_t suppressed = 0;
  if (quiet(g, e, suppressed)) return;
  auto number = std::to_string(e.number);
  auto level = log_level::info;
  std::string line;
  switch (e.kind) {
    case event_kind::founded:
      journal_->mark_founded(place_of(group), {});
      endpoint_->set_blank(group, false);
      line = "founded here";
      break;
    case event_kind::leader_changed:
      if (g.entry->how.partitions == partition_policy::partitionable) {
        line = name_of(e.member) + " forms the views of this component";
        break;
      }
      line = e.member == no_member ? "no leader known" : "leader is " + name_of(e.member) + " in term " + number;
      break;
    case event_kind::elected: line = "elected leader of term " + number; break;
    case event_kind::stepped_down: line = "stepped down in term " + number; break;
    case event_kind::election_started: line = "stands for election in term " + number; break;
    case event_kind::primary:
      calls_.watch->primary(g.entry->name, e.flag);
      cc::hand_over(g.membership, group_primary{g.entry->name, e.flag});
      if (g.entry->how.partitions == partition_policy::partitionable) {
        line = e.flag ? "this component is primary" : "this component is not primary";
        break;
      }
      level = e.flag ? log_level::info : log_level::warn;
      line = e.flag ? "has contact with a quorum: serves" : "lost contact with the quorum: refuses until it is back";
      break;
    case event_kind::wedged: line = e.flag ? "sending stopped for a view change" : "sending goes on"; break;
    case event_kind::excluded:
      level = log_level::warn;
      line = "was excluded by view " + number + "; joins again with a new incarnation";
      break;
    case event_kind::transfer_started:
      line = "receives a checkpoint at log index " + std::to_string(e.index) + " from " + name_of(e.member) + ", " +
             number + " chunks";
      break;
    case event_kind::transfer_finished:
      state_judged(group, {});  // it is another one's
      line = "checkpoint received at log index " + std::to_string(e.index);
      break;
    case event_kind::clock_ahead:
      level = log_level::warn;
      line = "clock of " + name_of(e.member) + " runs ahead beyond the bound and is refused; synchronise the clocks";
      break;
    case event_kind::member_silent:
      level = log_level::warn;
      line = gone(name_of(e.member), e);
      break;
    case event_kind::member_suspected:
      line = e.flag ? "suspects " + name_of(e.member) + ": silent for " + number + " ms, which is improbable; others are asked"
                    : name_of(e.member) + " answers again";
      break;
    case event_kind::member_stuck:
      level = log_level::warn;
      line = name_of(e.member) + " answers but does not advance: nothing acknowledged for " + number +
             " ms (its disk full or slow?); it is excluded if that goes on";
      break;
    case event_kind::stalled:
      level = log_level::warn;
      line = "this node itself stood still for " + number + " ms (paused, starved of CPU or swapping); its evidence about others "
             "counts anew";
      break;
    case event_kind::unfounded_restart:
      level = log_level::error;
      g.trouble = "volatile group " + g.entry->name +
                  " was founded before and nobody is found who still holds it; if all its members were restarted, what "
                  "it held is gone: " +
                  (g.entry->created ? "delete it and create it again"
                                    : (g.entry->how.durability == durability::journaled ? "configure it as volatile and " : "") +
                                        ("start all of them with --new-epoch " + std::to_string(config_.epoch + 1)));
      line = g.trouble;
      break;
    case event_kind::handing_over:
      line = e.flag ? "asks " + name_of(e.member) + " to lead instead" : "found nobody to lead instead, leads on";
      break;
    case event_kind::change_done: line = "the change of the view that was asked for is done"; break;
    case event_kind::change_refused:
      level = log_level::warn;
      line = "a change of the view is refused: " + std::string(to_string(static_cast<protocol::change_refusal>(e.index)));
      break;
    case event_kind::left: line = "has left the group, which goes on without it"; break;
    case event_kind::barred:
      level = log_level::error;
      g.trouble = "an operator removed this node from group " + g.entry->name + "; it may come back once it is restored";
      line = g.trouble;
      break;
    case event_kind::window_open:
    case event_kind::chunk_wanted: return;
  }
  bool found = e.kind == event_kind::founded || (e.kind == event_kind::leader_changed && e.member != no_member);
  if (found) g.trouble.clear();
  if (suppressed > 0) line += " (and " + std::to_string(suppressed) + " times since the last line)";
  log_.write(level, where(g) + line);
}

/// What repeats while something stays wrong (elections without a quorum, a clock that runs ahead) is said once in 10 s.
bool runtime::quiet(group& g, const protocol::event& e, std::uint64_t& suppressed) {
  using protocol::event_kind;
  if (e.kind != event_kind::election_started && e.kind != event_kind::clock_ahead &&
      e.kind != event_kind::member_silent && e.kind != event_kind::wedged && e.kind != event_kind::stalled &&
      e.kind != event_kind::member_suspected && e.kind != event_kind::member_stuck)
    return false;
  auto key = (static_cast<std::uint64_t>(e.kind) << 32) | (std::uint64_t{e.flag} << 24) | to_index(e.member);
  auto& [last, count] = g.quieted.try_emplace(key, -quiet_time, 0).first->second;
  auto now = steady_now();
  if (now - last < quiet_time) {
    ++count;
    return true;
  }
  suppressed = std::exchange(count, 0);
  last = now;
  return false;
}

void runtime::journal_trouble(const persistence::trouble& t) {
  log_.write(t.what == persistence::trouble::kind::resumed ? log_level::info : log_level::error, "journal: " + t.text);
  if (t.what == persistence::trouble::kind::fatal) calls_.failed("the journal stopped: " + t.text);
}

void runtime::on_event(const transport::link_event& what) {
  using kind = transport::link_event_kind;
  auto level = log_level::info;
  switch (what.kind) {
    case kind::up: calls_.watch->node_up(name_of(what.member)); break;
    case kind::down: level = log_level::debug; break;  // said as evidence
    case kind::refused: level = log_level::error; break;
    case kind::stranger:
    case kind::malformed:
    case kind::dropped:
    case kind::trouble: level = log_level::warn; break;
    case kind::unreachable: calls_.watch->node_down(name_of(what.member), down_reason::partitioned, what.text); break;
  }
  if (log_.wants(level)) log_.write(level, what.text);
}

std::string runtime::where(const group& g) const {
  auto s = g.driver->status();
  return "group=" + g.entry->name + " view=" + (s.in_force ? std::to_string(s.in_force->number) : "-") +
         " term=" + std::to_string(s.term) + " ";
}

std::future<node_figures> runtime::look() {
  auto answer = std::make_shared<std::promise<node_figures>>();
  auto future = answer->get_future();
  loop_->post([this, answer] {
    node_figures out;
    out.node = config_.name;
    for (const auto& g : groups_) out.groups.push_back(status_of(g));
    for (auto& l : endpoint_->links()) out.links.push_back({name_of(l.member), std::move(l)});
    out.transport = endpoint_->stats();
    answer->set_value(std::move(out));
  });
  return future;
}

group_status runtime::status_of(const group& g) const {
  auto s = g.driver->status();
  auto j = journal_->stats();
  group_status out;
  out.group = g.entry->name;
  out.self = config_.name;
  if (s.leader != no_member) out.leader = name_of(s.leader);
  const auto compared = g.entry->compared();
  out.agreed_at = compared.agreed_at;
  out.comparisons = compared.comparisons;
  out.differences = compared.differences;
  for (const auto m : compared.last.odd) out.diverged.push_back(name_of(m));
  out.role = g.entry->diverged       ? "diverged"
             : g.driver->retired() ? "left"
             : g.witness         ? "witness"
             : s.is_leader       ? "leader"
             : !s.active         ? "joining"
             : s.voter           ? "follower"
                                 : "learner";
  out.durability = g.driver->rules().options.durable ? "journaled" : "volatile";
  if (s.in_force) {
    out.view = s.in_force->number;
    for (auto& e : s.in_force->roster)
      out.members.push_back({name_of(e.id.member), nodes_->address_of(e.id.member), e.inc, e.voter, e.active, e.witness});
  }
  out.term = s.term;
  out.incarnation = s.inc;
  out.primary = s.primary;
  out.founded = s.founded;
  out.active = s.active;
  out.transferring = s.transferring;
  out.last = s.last;
  out.commit = s.commit;
  out.applied = s.applied;
  out.durable = s.durable;
  out.checkpoint = s.checkpoint;
  out.delivered = s.delivered;
  out.backlog_bytes = g.credit->backlog() + g.credit->pending();
  out.memory_bytes = s.payload_bytes;
  out.time = s.time;
  out.journal_bytes = j.file_bytes;
  out.journal_commits = j.commits;
  out.journal_p50_us = std::chrono::duration<double, std::micro>(j.commit_p50).count();
  out.journal_p99_us = std::chrono::duration<double, std::micro>(j.commit_p99).count();
  out.trouble = j.trouble.empty() ? g.trouble : j.trouble;
  return out;
}

}  // namespace cohort::detail
