#include "actors/figures.hpp"
#include "actors/name_list.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <initializer_list>
#include <tuple>
#include <utility>

namespace cohort::detail {
namespace {

constexpr std::size_t children_max = 200;  ///< with figures of their own: trees may have a hundred thousand

using label = std::pair<const char*, std::string>;

class page {
public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_ += std::string("# HELP ") + name + ' ' + help + "\n# TYPE " + name + ' ' + type + '\n';
  }
  void sample(std::initializer_list<label> labels, double value, const char* suffix = "") {
    text_ += name_ + suffix;
    char before = '{';
    for (const auto& [key, of] : labels) {
      text_ += before + std::string(key) + "=\"" + escaped(of) + '"';
      before = ',';
    }
    if (before == ',') text_ += '}';
    char number[40];
    std::snprintf(number, sizeof number, " %.17g\n", value);
    text_ += number;
  }
  void sample(std::initializer_list<label> labels, std::uint64_t value) { sample(labels, static_cast<double>(value)); }
  std::string take() { return std::move(text_); }

private:
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '\\' || c == '"') out += '\\';
      if (c == '\n') out += "\\n";
      else out += c;
    }
    return out;
  }
  std::string text_, name_;
};

struct group_gauge {
  const char* name;
  const char* type;
  const char* help;
  double (*of)(const group_status&);
};

template <auto Field>
double field(const group_status& s) {
  return static_cast<double>(s.*Field);
}

const group_gauge group_gauges[] = {
  {"cohort_group_view", "gauge", "Number of the view in force.", field<&group_status::view>},
  {"cohort_group_term", "gauge", "Term of the leader.", field<&group_status::term>},
  {"cohort_group_leads", "gauge", "1 if this node leads the group.", [](const group_status& s) { return s.role == "leader" ? 1.0 : 0.0; }},
  {"cohort_group_primary", "gauge", "1 if this node has contact with a quorum's leader.", field<&group_status::primary>},
  {"cohort_group_active", "gauge", "1 if this node is an active member.", field<&group_status::active>},
  {"cohort_group_transferring", "gauge", "1 while this node receives a checkpoint.", field<&group_status::transferring>},
  {"cohort_group_log_index", "gauge", "Newest log entry held.", field<&group_status::last>},
  {"cohort_group_commit_index", "gauge", "Newest log entry known committed.", field<&group_status::commit>},
  {"cohort_group_applied_index", "gauge", "Newest log entry handed to the replica.", field<&group_status::applied>},
  {"cohort_group_durable_index", "gauge", "Newest log entry on this node's disk.", field<&group_status::durable>},
  {"cohort_group_checkpoint_index", "gauge", "Log entry which the newest checkpoint covers.", field<&group_status::checkpoint>},
  {"cohort_group_delivered_total", "counter", "Messages in the total order.", field<&group_status::delivered>},
  {"cohort_group_backlog_bytes", "gauge", "Delivered, not applied yet.", field<&group_status::backlog_bytes>},
  {"cohort_group_memory_bytes", "gauge", "Payload held by the protocol.", field<&group_status::memory_bytes>},
  {"cohort_group_states_agreed_position", "gauge", "Newest position behind which all active members' states were found equal.", field<&group_status::agreed_at>},
  {"cohort_group_state_comparisons_total", "counter", "Comparisons of the members' states since the replica began.", field<&group_status::comparisons>},
  {"cohort_group_state_differences_total", "counter", "Comparisons in which members' states differed.", field<&group_status::differences>},
  {"cohort_group_diverged_members", "gauge", "Members whose state differs as of the newest comparison.", [](const group_status& s) { return static_cast<double>(s.diverged.size()); }},
  {"cohort_group_trouble", "gauge", "1 if something is wrong that the log tells.", [](const group_status& s) { return s.trouble.empty() ? 0.0 : 1.0; }},
};

void groups(page& out, const node_figures& f) {
  for (const auto& gauge : group_gauges) {
    out.family(gauge.name, gauge.type, gauge.help);
    for (const auto& g : f.groups) out.sample({{"group", g.group}}, gauge.of(g));
  }
  out.family("cohort_group_members", "gauge", "Members in the view in force, by their standing.");
  for (const auto& g : f.groups) {
    const auto count = [&](auto&& which) { return static_cast<double>(std::ranges::count_if(g.members, which)); };
    out.sample({{"group", g.group}, {"standing", "voter"}}, count([](auto& m) { return m.voter; }));
    out.sample({{"group", g.group}, {"standing", "active"}}, count([](auto& m) { return m.active; }));
    out.sample({{"group", g.group}, {"standing", "away"}}, count([](auto& m) { return !m.active && !m.witness; }));
  }
}

void node(page& out, const node_figures& f) {
  if (!f.groups.empty()) {
    const auto& any = f.groups.front();
    out.family("cohort_journal_bytes", "gauge", "Size of the journal's file.");
    out.sample({}, any.journal_bytes);
    out.family("cohort_journal_commits_total", "counter", "Commits since the runtime began.");
    out.sample({}, any.journal_commits);
    out.family("cohort_journal_commit_seconds", "gauge", "Of the last 512 commits.");
    out.sample({{"quantile", "0.5"}}, any.journal_p50_us / 1e6);
    out.sample({{"quantile", "0.99"}}, any.journal_p99_us / 1e6);
  }
  out.family("cohort_link_up", "gauge", "1 if the link to that node is up.");
  for (const auto& l : f.links) out.sample({{"peer", l.peer}}, l.now.up ? 1.0 : 0.0);
  out.family("cohort_link_queued_bytes", "gauge", "Waiting for that node to read.");
  for (const auto& l : f.links) out.sample({{"peer", l.peer}}, std::uint64_t{l.now.control_queued + l.now.payload_queued});
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    out.family(name, "counter", help);
    out.sample({}, value);
  };
  const auto& t = f.transport;
  counter("cohort_transport_sent_bytes_total", "Bytes sent to other nodes.", t.bytes_sent);
  counter("cohort_transport_received_bytes_total", "Bytes received from other nodes.", t.bytes_received);
  counter("cohort_transport_sent_frames_total", "Frames sent.", t.frames_sent);
  counter("cohort_transport_received_frames_total", "Frames received.", t.frames_received);
  counter("cohort_transport_dropped_bytes_total", "Payload dropped because a node did not read.", t.payload_dropped_bytes);
  counter("cohort_transport_waiting_batches_total", "Batches that were to be sent again while they still waited for their link.", t.payload_waited);
  counter("cohort_transport_links_lost_total", "Links that went down.", t.links_down);
  counter("cohort_transport_refused_total", "Connections refused because the nodes do not fit.", t.refused);
  counter("cohort_transport_malformed_total", "Links closed because of what came over them.", t.malformed);
  counter("cohort_transport_strangers_total", "Connections closed before they said who they are.", t.strangers_closed);
}

void gateway(page& out, const transport::gateway::counters& c) {
  namespace gw = transport::gateway;
  const auto value = [](const gw::counters::number& n) { return n.load(std::memory_order_relaxed); };
  const auto one = [&](const char* name, const char* type, const char* help, const gw::counters::number& n) {
    out.family(name, type, help);
    out.sample({}, value(n));
  };
  one("cohort_gateway_connections", "gauge", "Clients' connections.", c.connections);
  one("cohort_gateway_open_requests", "gauge", "Requests of clients that are not answered yet.", c.open_requests);
  one("cohort_gateway_streams", "gauge", "Clients that watch.", c.streams);
  one("cohort_gateway_connections_total", "counter", "Connections taken.", c.connections_total);
  one("cohort_gateway_turned_away_total", "counter", "Connections beyond those that the gateway, or an address, may have.", c.turned_away_total);
  one("cohort_gateway_hung_up_total", "counter", "Connections of clients that did not take their answers.", c.hung_up_total);
  one("cohort_gateway_requests_total", "counter", "Requests of clients.", c.requests_total);
  one("cohort_gateway_sessions_opened_total", "counter", "Sessions opened, or opened again, through this gateway.", c.sessions_opened_total);
  one("cohort_gateway_sessions_closed_total", "counter", "Sessions closed through this gateway.", c.sessions_closed_total);
  one("cohort_gateway_failures_total", "counter", "Failures after which the gateway began anew.", c.failures_total);
  out.family("cohort_gateway_answers_total", "counter", "Answers that did not refuse, by what they say.");
  out.sample({{"verdict", "replied"}}, value(c.replied_total));
  out.sample({{"verdict", "expired"}}, value(c.expired_total));
  out.sample({{"verdict", "unknown"}}, value(c.unknown_total));
  out.family("cohort_gateway_refused_total", "counter", "Requests that were refused, by reason.");
  for (std::size_t i = 1; i < gw::reason_count; ++i) out.sample({{"reason", gw::reason_words[i]}}, value(c.refused[i]));
  out.family("cohort_gateway_latency_seconds", "histogram", "From a request to its answer, within the gateway.");
  std::uint64_t below = 0;
  auto most = gw::first_latency_us;
  for (std::size_t i = 0; i + 1 < gw::latency_steps; ++i, most *= 2) {
    char bound[32];
    std::snprintf(bound, sizeof bound, "%g", most / 1e6);
    out.sample({{"le", bound}}, static_cast<double>(below += value(c.latency[i])), "_bucket");
  }
  below += value(c.latency.back());
  out.sample({{"le", "+Inf"}}, static_cast<double>(below), "_bucket");
  out.sample({}, static_cast<double>(value(c.latency_us_total)) / 1e6, "_sum");
  out.sample({}, static_cast<double>(below), "_count");
}

std::string gateway_line(const transport::gateway::counters& c) {
  const auto text = [](const transport::gateway::counters::number& n) { return std::to_string(n.load(std::memory_order_relaxed)); };
  std::uint64_t refused = 0;
  for (const auto& n : c.refused) refused += n.load(std::memory_order_relaxed);
  return "gateway: " + text(c.connections) + " connections, " + text(c.open_requests) + " open requests, " + text(c.streams) + " streams; so far " +
         text(c.requests_total) + " requests, " + std::to_string(refused) + " refused, " + text(c.failures_total) + " failures\n";
}

void supervised(page& out, const supervision_figures& f) {
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    out.family(name, "counter", help);
    out.sample({}, value);
  };
  counter("cohort_runtime_restarts_total", "Restarts of the node's replicas, all together.", f.runtime_restarts);
  counter("cohort_processes_started_total", "Starts of supervised processes.", f.counters.starts);
  counter("cohort_processes_restarted_total", "Restarts of supervised processes.", f.counters.restarts);
  counter("cohort_supervisors_gave_up_total", "Supervisors that gave up.", f.counters.gave_up);
  counter("cohort_processes_late_total", "Processes that did not start or stop in time.", f.counters.start_late + f.counters.stop_late);
  counter("cohort_processes_stuck_total", "Processes that could not be ended.", f.counters.stuck);
  counter("cohort_poison_messages_total", "Messages put aside because they ended their receiver.", f.counters.poison);
  out.family("cohort_inputs_put_aside_total", "counter", "Inputs of resilient processes put aside, by what they did each time.");
  out.sample({{"cause", "threw"}}, f.poison.threw);
  out.sample({{"cause", "ended_process"}}, f.poison.ended);
  counter("cohort_inputs_refused_total", "Inputs that came again after they were put aside, and were refused at once.",
          f.poison.refused);
  counter("cohort_process_ends_total", "Ends of this node's process by what it executed, over all its starts.", f.poison.ends);
  out.family("cohort_dead_letters", "gauge", "Messages put aside and not yet dropped or replayed.");
  out.sample({}, std::uint64_t{f.letters});
  out.family("cohort_processes", "gauge", "Supervised processes.");
  out.sample({}, static_cast<double>(std::ranges::count_if(f.children, [](auto& c) { return !c.is_supervisor; })));
  std::vector<const child_status*> failing;
  for (const auto& c : f.children)
    if (c.restarts > 0) failing.push_back(&c);
  std::ranges::sort(failing, [](auto* a, auto* b) { return a->restarts > b->restarts; });
  failing.resize(std::min(failing.size(), children_max));
  out.family("cohort_process_restarts_total", "counter", "Restarts of one supervised process; of those with most of them.");
  for (const auto* c : failing) out.sample({{"child", c->path}}, c->restarts);
}

struct resilient_gauge {
  const char* name;
  const char* type;
  const char* help;
  double (*of)(const resilient_status&);
};

template <auto Field>
double figure(const resilient_status& s) {
  return static_cast<double>(s.*Field);
}

double seconds_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

const resilient_gauge resilient_gauges[] = {
  {"cohort_resilient_life", "gauge", "Number of the life, or of the activation of a replicated process.", figure<&resilient_status::life>},
  {"cohort_resilient_active", "gauge", "1 if it executes here.", figure<&resilient_status::active>},
  {"cohort_resilient_events_total", "counter", "Events applied ever.", figure<&resilient_status::applied>},
  {"cohort_resilient_journal_events", "gauge", "Events behind the newest checkpoint: what a restart redoes.", figure<&resilient_status::to_redo>},
  {"cohort_resilient_checkpoint_age_seconds", "gauge", "Since the newest checkpoint was taken; 0: there is none.",
   [](const resilient_status& s) {
     const auto taken = std::chrono::duration<double>(s.checkpoint_taken).count();
     return taken == 0 ? 0.0 : std::max(0.0, seconds_now() - taken);
   }},
  {"cohort_resilient_down", "gauge", "1 if it stays down, since its journal ended the whole process.",
   [](const resilient_status& s) { return s.down.empty() ? 0.0 : 1.0; }},
  {"cohort_resilient_undelivered_total", "counter", "Messages that their receivers refused for good.",
   figure<&resilient_status::undelivered>},
  {"cohort_resilient_outbox", "gauge", "Messages that their receivers have not taken.", figure<&resilient_status::outbox>},
  {"cohort_resilient_senders", "gauge", "Numbered senders remembered.", figure<&resilient_status::senders>},
  {"cohort_resilient_restarts_total", "counter", "Lives that followed another one since the node started.", figure<&resilient_status::restarts>},
  {"cohort_resilient_redone_events", "gauge", "Events that this life began with.", figure<&resilient_status::redone>},
  {"cohort_resilient_restart_seconds", "gauge", "Until they were redone.",
   [](const resilient_status& s) { return std::chrono::duration<double>(s.took).count(); }},
  {"cohort_resilient_unreadable_checkpoints", "gauge", "Checkpoints that this life passed over.",
   [](const resilient_status& s) { return static_cast<double>(s.unreadable.size()); }},
};

/// Of those that stay down, and that would redo most: there may be a hundred thousand.
void resilient(page& out, std::vector<resilient_status> all) {
  out.family("cohort_resilient_processes", "gauge", "Resilient processes that have lived since the node started.");
  out.sample({}, std::uint64_t{all.size()});
  const auto shown = std::min(all.size(), children_max);
  const auto more = [](const resilient_status& a, const resilient_status& b) {
    return std::tuple(!a.down.empty(), a.to_redo, a.outbox) > std::tuple(!b.down.empty(), b.to_redo, b.outbox);
  };
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end(), more);
  all.resize(shown);
  for (const auto& gauge : resilient_gauges) {
    out.family(gauge.name, gauge.type, gauge.help);
    for (const auto& s : all) out.sample({{"process", s.name}}, gauge.of(s));
  }
}

}  // namespace

std::string metrics_text(const std::string& name, const node_figures* figures, const supervision_figures& supervision) {
  page out;
  out.family("cohort_up", "gauge", "1 if the node's runtime answers, 0 while it starts again.");
  out.sample({{"node", name}}, figures ? 1.0 : 0.0);
  if (figures) {
    groups(out, *figures);
    node(out, *figures);
    if (figures->gateway) gateway(out, *figures->gateway);
  }
  supervised(out, supervision);
  if (!supervision.resilient.empty()) resilient(out, supervision.resilient);
  return out.take();
}

std::string status_text(const node_figures& figures) {
  std::string text = "node " + figures.node + '\n';
  for (const auto& g : figures.groups) {
    text += "group " + g.group + ": " + g.role + ", view " + std::to_string(g.view) + ", leader " + (g.leader.empty() ? "unknown" : g.leader) +
            ", applied " + std::to_string(g.applied) + (g.diverged.empty() ? "" : ", states differ: " + joined(g.diverged)) + (g.trouble.empty() ? "" : ", trouble: " + g.trouble) + '\n';
    for (const auto& m : g.members)
      text += "  " + m.name + ' ' + m.address + (m.voter ? " voter" : " learner") + (m.witness ? ", witness" : m.active ? "" : ", away") + '\n';
  }
  for (const auto& [group, why] : figures.not_hosted) text += "group " + group + ": does not run here: " + why + '\n';
  for (const auto& l : figures.links)
    text += "link to " + l.peer + (l.now.up ? ": up" : ": down" + (l.now.trouble.empty() ? "" : ", " + l.now.trouble)) + '\n';
  if (figures.gateway) text += gateway_line(*figures.gateway);
  return text;
}

}  // namespace cohort::detail
