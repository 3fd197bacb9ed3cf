// How a runtime's groups end, and how their places become free for others.
#include "actors/runtime.hpp"

#include "actors/awaited.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace cohort::detail {
namespace {

/// The number in the name under which the journal has a group. Nothing: it is one of the program's own.
std::optional<std::uint32_t> number_in(const persistence::group_options& held) {
  const auto hash = held.name.rfind('#');
  if (hash == std::string::npos) return std::nullopt;
  std::uint32_t number = 0;
  const auto* const end = held.name.data() + held.name.size();
  const auto [at, error] = std::from_chars(held.name.data() + hash + 1, end, number);
  return error == std::errc{} && at == end && place_of(number) == held.index ? std::optional(number) : std::nullopt;
}

}  // namespace

bool runtime::makes_room(std::uint32_t number, const std::function<bool()>& given_up) {
  const auto place = place_of(number);
  auto looked = std::make_shared<std::promise<bool>>();
  auto ended = looked->get_future();
  loop_->post([this, place, looked] {
    const bool ends = std::ranges::any_of(ending_, [&](const auto& e) { return place_of(e->entry->index) == place; });
    looked->set_value(!ends && !groups_.at_place(place));
  });
  if (!awaited(ended, given_up) || !ended.get()) return false;
  for (const auto& [there, leaves] : journal_->held()) {
    if (there.index != place) continue;
    if (leaves) return false;
    const auto former = number_in(there);
    // Of a later one than this node's table knows, or one of the program's own, nothing is thrown away: `host` says what is there.
    if (!former || life_of(*former) >= life_of(number)) return true;
    journal_->forget(place, there.name, {});
    drop_files(*former);
    return false;
  }
  return true;
}

std::vector<std::uint32_t> runtime::kept() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [there, leaves] : journal_->held())
    if (const auto number = number_in(there); number && !leaves) numbers.push_back(*number);
  return numbers;
}

void runtime::drop(std::uint32_t number) {
  loop_->post([this, number] {
    const auto g = groups_.take(number);
    if (!g) return drop_kept(number);
    endpoint_->drop(number);
    disconnect(*g);
    g->driver->retire();
    pulses_->say(number, {});
    pulses_->configure(pulse_options_now());
    schedule_.set(place_of(number), protocol::never);
    for (auto& port : g->entry->open_ports()) port->refuse_inbox(outcome::stopped);
    cc::hand_over(g->ordering, actor_stop{});
    cc::hand_over(g->membership, group_deleted{g->entry->name});
    cc::hand_over(g->membership, actor_stop{});
    ending_.push_back(g);
    // Its journal is not touched before nobody writes to it any more.
    caf::actor_cast<caf::abstract_actor*>(g->process)->attach_functor([this, number](const caf::error&) {
      loop_->post([this, number] { forget(number); });
    });
    cc::hand_over(g->process, process_stop{});
  });
}

/// Of an earlier start, or never there.
void runtime::drop_kept(std::uint32_t number) {
  if (std::ranges::any_of(ending_, [&](const auto& e) { return e->entry->index == number; })) return;
  for (const auto& [there, leaves] : journal_->held())
    if (number_in(there) == number && !leaves) journal_->forget(there.index, there.name, {});
  drop_files(number);
}

void runtime::forget(std::uint32_t number) {
  const auto at = std::ranges::find_if(ending_, [&](const auto& e) { return e->entry->index == number; });
  if (at == ending_.end()) return;
  const auto name = (*at)->entry->name, shown = shown_name(*(*at)->entry);
  ending_.erase(at);
  calls_.watch->group_deleted(name);
  journal_->forget(place_of(number), shown, [this, name](const std::string& error) {
    log_.write(log_level::info, "group=" + name + (error.empty() ? " is deleted, and what it had on disk is free" : " is deleted; its journal goes on the next start: " + error));
  });
  drop_files(number);
}

/// What a group had beside the journal.
void runtime::drop_files(std::uint32_t number) {
  checkpoints_->post([files = cold_files(number), mark = wrong_state_mark(number)] {
    std::error_code ignored;
    std::filesystem::remove(mark, ignored);
    for (const auto& f : std::filesystem::directory_iterator(files.parent_path(), ignored)) {
      const auto file = f.path().filename().string();
      const auto own = files.filename().string();
      if (file == own || file.starts_with(own + '.') || file.starts_with(own + '-')) std::filesystem::remove_all(f.path(), ignored);
    }
  });
}

}  // namespace cohort::detail
