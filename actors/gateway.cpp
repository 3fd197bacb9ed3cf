#include "actors/gateway.hpp"

#include "actors/gateway_answers.hpp"

#include <cohort/session.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace cohort::detail {

using namespace transport::gateway;

namespace {

constexpr auto picture_kept = std::chrono::milliseconds(50);  ///< a look at the groups' cores costs the protocol thread a pass

/// What a linearizable read is said to be.
read_kind freshest(const group_entry& g) {
  return g.by_lease.load(std::memory_order_relaxed) ? read_kind::lease : read_kind::linearizable;
}

}  // namespace

gateway::gateway(const node_config& config, const std::string& listen,
                 const std::map<std::string, std::shared_ptr<group_entry>, std::less<>>& groups, open_port open,
                 server_trouble trouble)
    : config_(config), open_(std::move(open)) {
  so_far_->wake = [this] { wakes_.tell(); };
  for (const auto& [name, entry] : groups) enter(entry);
  try {
    server_ = std::make_unique<server>(listen, limits{}, *this, wakes_, std::move(trouble));
  } catch (const std::runtime_error& e) {
    throw node_error(e.what());
  }
}

gateway::~gateway() {
  server_.reset();
  {
    std::lock_guard guard(so_far_->mutex);
    so_far_->wake = {};
  }
  for (auto& [name, g] : groups_)
    if (g.entry->hub) g.entry->hub->on_news({});
}

void gateway::enter(const std::shared_ptr<group_entry>& entry) {
  const auto wake = [this] { wakes_.tell(); };
  auto& g = groups_[entry->name];
  g.entry = entry;
  g.port = open_(entry->name, wake);
  if (entry->hub) entry->hub->on_news(wake);
}

void gateway::host(std::shared_ptr<group_entry> entry) {
  {
    std::lock_guard guard(news_mutex_);
    news_.push_back({std::move(entry), false});
  }
  wakes_.tell();
}

void gateway::drop(std::shared_ptr<group_entry> entry) {
  {
    std::lock_guard guard(news_mutex_);
    news_.push_back({std::move(entry), true});
  }
  wakes_.tell();
}

/// In the order in which it happened. A name that comes back waits until the former group has answered all.
void gateway::settle_groups() {
  std::erase_if(groups_, [](auto& each) {
    auto& g = each.second;
    if (!g.gone || !g.waiting.empty() || !g.calls.empty()) return false;
    if (g.entry->hub) g.entry->hub->on_news({});
    return true;
  });
  std::lock_guard guard(news_mutex_);
  std::size_t done = 0;
  for (; done < news_.size(); ++done) {
    const auto& n = news_[done];
    const auto known = groups_.find(n.entry->name);
    if (!n.gone && known != groups_.end()) break;
    if (n.gone && known != groups_.end() && known->second.entry == n.entry) known->second.gone = true;
    if (n.gone) continue;
    try {
      enter(n.entry);
    } catch (const node_error&) {
      groups_.erase(n.entry->name);  // it is deleted by now
    }
  }
  news_.erase(news_.begin(), news_.begin() + static_cast<std::ptrdiff_t>(done));
}

gateway::group* gateway::serving(const std::string& name) {
  const auto known = groups_.find(name);
  return known == groups_.end() || known->second.gone ? nullptr : &known->second;
}

void gateway::ask(const request& what, std::function<void(answer&&)> done) {
  auto* const known = serving(what.group);
  if (!known) return done(no_such_group(what.group));
  auto& g = *known;
  const bool of_session = what.what != request::kind::submit && what.what != request::kind::query;
  if (of_session && !g.entry->how.sessions) return done(no_sessions(what.group, g.entry->make_service != nullptr));
  pending p{std::move(done), what.what, what.how, what.what != request::kind::submit && g.entry->how.sessions, {}};
  if (what.what == request::kind::query) return query(g, what, std::move(p));
  submit(g, what, std::move(p));
}

void gateway::submit(group& g, const request& what, pending p) {
  const session_name name{{what.session.id_high, what.session.id_low}, what.session.birth};
  submit_options how;
  how.within = what.within;
  how.session_request = what.what != request::kind::submit;
  std::span<const std::byte> message = message_;
  switch (what.what) {
    case request::kind::open: {
      auto limits = limits_;
      if (what.lifetime.count() > 0) limits.lifetime = what.lifetime;
      write_open(message_, name, limits, what.owner);
      break;
    }
    case request::kind::close: write_close(message_, name); break;
    case request::kind::call: write_call(message_, name, what.number, what.acknowledged_below, what.payload); break;
    case request::kind::cancel: write_cancel(message_, name, what.number); break;
    case request::kind::submit:
      message = what.payload;
      if (!what.order.empty()) {
        how.how = order_named(what.order);
        if (!how.how) return p.done(refused_as(reason::not_enabled, false, "there is no order \"" + what.order + '"'));
      }
      break;
    case request::kind::query: return;
  }
  if (how.session_request) message = message_;
  const auto tag = g.next_tag++;
  g.waiting.emplace(tag, std::move(p));
  g.port.submit(message, tag, how);
  g.asked = true;
}

void gateway::query(group& g, const request& what, pending p) {
  const auto tag = g.next_tag++;
  auto how = reads::local;
  if (p.session) {
    wall_time not_before{};
    if (what.how == read_kind::bounded)
      not_before = std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch() - what.max_age);
    if (what.how == read_kind::linearizable || what.how == read_kind::lease) how = reads::linearizable;
    write_question(message_, what.how == read_kind::session ? what.seen : 0, not_before, what.payload);
    if (what.how == read_kind::session || what.how == read_kind::bounded) write_question(p.question, 0, {}, what.payload);
  } else {
    // Without sessions nothing tells how far a state has come: only the freshest and the stalest can be had.
    how = what.how == read_kind::local ? reads::local : reads::linearizable;
    message_.assign(what.payload.begin(), what.payload.end());
  }
  if (how != reads::local) p.how = freshest(*g.entry);
  const bool session = p.session;
  g.waiting.emplace(tag, std::move(p));
  g.port.query(message_, how, tag, session);
  g.asked = true;
}

void gateway::flush() {
  for (auto& [name, g] : groups_)
    if (std::exchange(g.asked, false)) g.port.flush();
}

void gateway::collect() {
  for (auto& [name, g] : groups_) {
    while (g.port.take(done_))
      for (std::size_t i = 0; i < done_.size(); ++i) finish(g, done_[i]);
  }
  tell_judges();
  settle_groups();
  flush();
}

void gateway::forget() {
  for (auto& [name, g] : groups_) {
    g.waiting.clear();
    for (auto& [tag, call] : std::exchange(g.calls, {})) g.port.cancel(tag);
  }
}

void gateway::finish(group& g, const completion& c) {
  if (auto call = g.calls.extract(c.tag); !call.empty()) return finish(g, std::move(call.mapped()), c);
  const auto found = g.waiting.find(c.tag);
  if (found == g.waiting.end()) return;
  auto p = std::move(found->second);
  g.waiting.erase(found);
  auto a = answer_of(c.outcome);
  a.read = p.how;
  session_reply r;
  if (c.outcome == outcome::replied) {
    if (!p.session)
      a.payload.assign(c.reply.begin(), c.reply.end());
    else if (!read_reply(c.reply, r))
      a = refused_as(reason::other, false, "the group's answer is none of a session: do all members run the same program?");
    else if (r.what == session_outcome::behind && !p.question.empty()) {
      const auto tag = g.next_tag++;
      g.port.query(p.question, reads::linearizable, tag, true);
      p.question.clear();
      p.how = freshest(*g.entry);
      g.waiting.emplace(tag, std::move(p));
      g.asked = true;
      return;
    } else
      take_reply(a, r);
  }
  p.done(std::move(a));
}

picture gateway::look() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < picture_kept) return picture_;
  looked_ = now;
  picture_ = {config_.name, config_.cluster, {}, {}};
  for (const auto& [name, g] : groups_) {
    if (g.gone) continue;
    const auto s = g.port.status();
    transport::gateway::group out{name, s.leader, s.view, {}, s.applied, s.primary, g.entry->how.sessions};
    for (const auto& m : s.members) out.members.push_back({m.name, m.active, m.voter});
    picture_.groups.push_back(std::move(out));
  }
  for (const auto& m : config_.gateways) picture_.gateways.push_back({m.name, m.address});
  return picture_;
}

std::unique_ptr<subscription> gateway::watch(const std::string& group, answer& why) {
  const auto* known = serving(group);
  if (known && known->entry->hub) return known->entry->hub->subscribe();
  why = known ? refused_as(reason::not_enabled, false,
                           "group \"" + group + "\" is one of primary and backups: what its primary changes is not shown to clients")
              : no_such_group(group);
  return nullptr;
}

}  // namespace cohort::detail
