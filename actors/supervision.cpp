#include "actors/supervision_parts.hpp"

#include "actors/throw_stack.hpp"

#include <algorithm>
#include <random>

namespace cohort::detail {

using namespace supervision;

supervision_host::supervision_host(caf::actor_config& config, std::shared_ptr<const tree_spec> root, std::uint64_t seed,
                                   std::shared_ptr<supervision_board> board, std::shared_ptr<dead_letters> letters,
                                   supervision_calls calls)
    : event_based_actor(config),
      root_spec_(std::move(root)),
      random_([generator = std::make_shared<std::mt19937_64>(seed)] { return (*generator)(); }),
      board_(std::move(board)),
      letters_(std::move(letters)),
      calls_(std::move(calls)) {}

supervision_host::~supervision_host() = default;

caf::behavior supervision_host::make_behavior() {
  throw_stack warm;  // loads what the first stack would wait for
  root_ = std::make_unique<branch>(*root_spec_, random_);
  root_->spec = root_spec_;
  begin(*root_);
  settle(*root_);
  arm();
  return {
    [this](const host_call& c) {
      c.run(*this);
      gone_.clear();
      gone_leaves_.clear();
      arm();
    },
    [this](host_tick) {
      armed_ = never;
      const std::vector<branch*> all(branches_.begin(), branches_.end());
      for (auto* b : all)
        if (branches_.contains(b) && b->machine.next_deadline() <= instant_now()) {
          b->machine.tick(instant_now());
          settle(*b);
        }
      gone_.clear();
      gone_leaves_.clear();
      arm();
    },
  };
}

/// One timer, for the nearest deadline; CAF's cannot be cancelled, so an early one finds nothing to do.
void supervision_host::arm() {
  auto next = never;
  for (auto* b : branches_) next = std::min(next, b->machine.next_deadline());
  if (next >= armed_) return;
  armed_ = next;
  cc::delayed_send(this, caf::actor(this), std::max(next - instant_now(), instant(0)), host_tick{});
}

void supervision_host::begin(branch& b) {
  branches_.insert(&b);
  for (auto& c : b.spec->children) add(b, c);
  b.machine.begin(instant_now());
}

supervision_host::leaf& supervision_host::add(branch& b, child_spec what) {
  auto made = std::make_unique<leaf>();
  auto& l = *made;
  l.key = next_key_++;
  l.path = b.path.empty() || what.hidden ? (what.hidden ? b.path : what.name) : b.path + "/" + what.name;
  l.in = &b;
  l.spec = std::move(what);
  // Supervisors bound their own stop by their children's limits; one that still starts waits for them.
  const bool bounds_itself = l.spec.nested != nullptr;
  l.id = b.machine.add(instant_now(), {l.spec.how.restart, bounds_itself ? never : instant(l.spec.how.start_limit),
                               bounds_itself ? never : instant(l.spec.how.stop_limit)});
  leaves_[l.key] = &l;
  if (!l.spec.hidden) {
    paths_[l.path] = l.key;
    std::lock_guard guard(board_->mutex);
    auto& row = board_->children[l.path];
    row.since = std::chrono::steady_clock::now();
    row.status.path = l.path;
    row.status.state = "waiting";
    row.status.is_supervisor = bounds_itself;
    row.status.restart = l.spec.how.restart;
  }
  b.leaves[l.id] = std::move(made);
  return l;
}

// ---- calls ----------------------------------------------------------------------------------------------------------

std::string supervision_host::start(const std::string& parent, child_spec what) {
  auto* b = branch_at(parent);
  if (!b) return "there is no supervisor at \"" + parent + "\"";
  const auto path = parent.empty() ? what.name : parent + "/" + what.name;
  if (paths_.contains(path)) return "there is a child at " + path + " already";
  const auto key = add(*b, std::move(what)).key;
  settle(*b);
  return leaf_of(key) ? "" : path + " was not started: its supervisor has ended";
}

bool supervision_host::remove(const std::string& path) {
  auto* l = leaf_at(path);
  if (!l) return false;
  auto* b = l->in;
  b->machine.remove(instant_now(), l->id);
  settle(*b);
  return true;
}

bool supervision_host::start_again(const std::string& path) {
  auto* l = leaf_at(path);
  if (!l) return false;
  auto* b = l->in;
  const bool done = b->machine.start_again(instant_now(), l->id);
  settle(*b);
  return done;
}

void supervision_host::outside_failed(const std::string& name, const std::string& why) {
  auto* l = leaf_at(name);
  if (!l || !l->spec.outside) return;
  l->cause = why;
  l->in->machine.ended(instant_now(), l->id, l->number, death::failed);
  settle(*l->in);
}

// ---- carrying out ---------------------------------------------------------------------------------------------------

/// What was decided is done first and told afterwards: a restart does not wait for the log.
void supervision_host::settle(branch& b) {
  if (std::exchange(b.settling, true)) return;
  auto tell_all = [&] {
    for (auto& each : std::exchange(b.untold, {})) tell(b, each);
  };
  while (!b.machine.outputs().empty()) {
    auto todo = std::exchange(b.machine.outputs(), {});
    for (auto& each : todo) {
      if (auto* r = std::get_if<report>(&each)) {
        notice(b, *r);
        continue;
      }
      if (std::holds_alternative<finished>(each)) tell_all();  // before the parent hears of it
      if (auto* w = std::get_if<start_child>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<stop_child>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<all_up>(&each)) carry_out(b, *w);
      if (auto* w = std::get_if<finished>(&each)) carry_out(b, *w);
    }
  }
  tell_all();
  b.settling = false;
  if (b.leaves.size() == b.machine.size()) return;
  std::vector<leaf*> forgotten;
  for (auto& [id, l] : b.leaves)
    if (!b.machine.knows(id)) forgotten.push_back(l.get());
  for (auto* l : forgotten) forget(*l, true);
}

void supervision_host::carry_out(branch& b, const all_up&) {
  if (!b.of) return;
  auto* parent = b.of->in;
  parent->machine.started(instant_now(), b.of->id, b.number);
  settle(*parent);
}

// ---- finding --------------------------------------------------------------------------------------------------------

supervision_host::leaf* supervision_host::leaf_of(std::uint64_t key) {
  const auto known = leaves_.find(key);
  return known == leaves_.end() ? nullptr : known->second;
}

supervision_host::leaf* supervision_host::leaf_at(const std::string& path) {
  const auto known = paths_.find(path);
  return known == paths_.end() ? nullptr : leaf_of(known->second);
}

/// The empty path is the supervisor of the application's own trees: the root's last.
supervision_host::branch* supervision_host::branch_at(const std::string& path) {
  if (!path.empty()) {
    auto* l = leaf_at(path);
    return l ? l->nested.get() : nullptr;
  }
  if (!root_ || root_->leaves.empty()) return nullptr;
  return root_->leaves.rbegin()->second->nested.get();
}

}  // namespace cohort::detail
