#include "actors/supervision.hpp"

#include "actors/resilient_process.hpp"

namespace cohort {

void detail::supervision_host::poisoned(const std::string& path, std::uint64_t letter, unsigned kills,
                                        const std::string& cause, const std::string& message) {
  supervision_event e;
  e.path = path;
  e.what = "poison";
  e.cause = cause;
  e.message = message;
  std::lock_guard guard(board_->mutex);
  ++board_->counters.poison;
  tell(std::move(e), log_level::error,
       "child=" + path + " event=poison letter=" + std::to_string(letter) + " a message that ended " + std::to_string(kills) +
         (kills == 1 ? " life" : " lives") + " is put aside: " + message + ": " + cause);
  if (auto trouble = letters_->trouble(); !trouble.empty()) calls_.log(log_level::warn, trouble);
}

std::vector<dead_letter> supervisors::dead_letters() const {
  auto letters = impl_->letters.lock();
  return letters ? letters->list() : std::vector<dead_letter>();
}

std::string supervisors::replay(std::uint64_t letter) {
  auto letters = impl_->letters.lock();
  if (!letters) return "the node has stopped";
  std::string path, why;
  auto content = letters->open(letter, path, why);
  if (!content) return why;
  auto child = address(path);
  if (const auto front = child || !impl_->replicated ? caf::actor() : impl_->replicated(path)) {
    // Whether it does it again shows in the group only: its letter stays.
    caf::anon_send(front, detail::replayed_input{std::move(*content)});
    return {};
  }
  if (!child) return "there is no child at " + path + " now; start it, then replay dead letter " + std::to_string(letter);
  const auto deaths = impl_->deaths.lock();
  // What ends the process once more is in no mailbox afterwards: its letter stays. A numbered one is applied once however often it
  // is given, so its letter stays until that has happened.
  const auto process = impl_->resilient_at ? impl_->resilient_at(path) : std::string();
  const bool deadly = deaths && !process.empty() && detail::pardon(*deaths, process, *content);
  const bool numbered = !process.empty() && content->match_elements<resilient_message>();
  if (numbered) {
    auto again = content->get_as<resilient_message>(0);
    again.letter = letter;
    content = caf::make_message(std::move(again));
  }
  if (!deadly && !numbered && !letters->drop(letter)) return "dead letter " + std::to_string(letter) + " was taken by another";
  caf::anon_send(child, std::move(*content));
  return {};
}

bool supervisors::drop(std::uint64_t letter) {
  auto letters = impl_->letters.lock();
  return letters && letters->drop(letter);
}

}  // namespace cohort
