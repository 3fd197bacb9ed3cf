#include "actors/death_book.hpp"

#include "actors/log.hpp"
#include "persistence/journal.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace cohort::detail {

using persistence::last_word;
using resilience::death;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

wall_time now() { return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch()); }

/// Anything may be in it.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c < 127 && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += hex;
  }
  return out;
}

std::string how(const last_word& w) {
  return w.signal == 0 ? std::string()
                       : "by signal " + std::to_string(w.signal) + " (" + ::strsignal(static_cast<int>(w.signal)) + ")";
}

std::string sender_of(const last_word& w) {
  std::string text = w.from.empty() ? "of an ordinary sender" : "of " + w.from;
  if (w.number != 0) text += ", number " + std::to_string(w.number);
  return text;
}

std::string what_of(const last_word& w) {
  return sender_of(w) + ", " + std::to_string(w.body_bytes) + (w.body_bytes == 1 ? " byte" : " bytes") + ": \"" +
         printable(w.excerpt) + (w.excerpt.size() < w.body_bytes ? "...\"" : "\"");
}

}  // namespace

std::uint64_t death_book::identity_of(std::string_view process, const resilience::message& in) {
  auto digest = persistence::checksum(bytes_of(process), in.number);
  digest = persistence::checksum(bytes_of(in.from), digest);
  return persistence::checksum(bytes_of(in.body), digest);
}

std::uint64_t death_book::identity_of_place(std::string_view process, death::kind what, std::uint64_t position) {
  return persistence::checksum(bytes_of(process), position << 8 | static_cast<std::uint64_t>(what));
}

void death_book::open(const std::filesystem::path& data, bool again) {
  const auto file = data / "last_words";
  std::error_code none;
  if (file_ || (again && !std::filesystem::exists(file, none))) return;
  auto opened = std::make_unique<persistence::last_words>(file);
  if (opened->in_use()) {  // by the process that has the directory: this one is refused in a moment, with better words
    if (!again) log_.write(log_level::warn, opened->trouble());
    return;
  }
  const std::lock_guard guard(mutex_);
  if (!opened->trouble().empty()) log_.write(log_level::warn, opened->trouble());
  box_ = std::make_unique<persistence::letter_box>(data / "deaths");
  for (const auto& [number, bytes] : box_->all())
    if (auto d = resilience::decode_death({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        !d || !table_.add(number, std::move(*d)))
      box_->drop(number);
  drop(table_.expire(now() - age_max));
  for (const auto& [number, d] : table_.all())
    if (d.what == death::kind::tally) ends_ = d.number;
  note(opened->found());
  if (const auto trouble = box_->trouble(); !trouble.empty()) log_.write(log_level::warn, trouble);
  opened->noted();
  file_ = std::move(opened);
  words_.store(file_.get(), std::memory_order_release);
  look_again();
}

void death_book::note(const persistence::last_words_found& found) {
  if (found.foreign)
    log_.write(log_level::warn,
               "the file last_words is of another version: what the process before was executing is not known");
  if (found.torn > 0)
    log_.write(log_level::warn, "the file last_words has " + std::to_string(found.torn) +
                                    " torn places, as a power failure leaves them; they are not believed");
  // Killed from outside, a node that had much to do was nearly always applying something.
  const auto counts = [&](const last_word& w) {
    return persistence::is_suspect(w, found) && (w.signal != 0 || w.kind != persistence::word_kind::delivery);
  };
  if (std::ranges::any_of(found.words, counts)) count_end();
  for (const auto& w : found.words) {
    const auto ended = "the process before this one ended" + (w.signal == 0 ? "" : " " + how(w)) + " while ";
    // Killed from outside while it had much to do, a process was nearly always executing something.
    const auto level = w.signal != 0 ? log_level::error : log_level::warn;
    const bool of_group = w.kind == persistence::word_kind::request;
    const bool of_place = w.kind == persistence::word_kind::redo || w.kind == persistence::word_kind::checkpoint;
    if (w.kind == persistence::word_kind::delivery) {
      log_.write(level, ended + "group " + w.process + " applied the message of member " + w.from + " at position " +
                            std::to_string(w.position) + ", in view " + std::to_string(w.activation) +
                            (w.position == w.first ? ": \"" + printable(w.excerpt) + "\"" : "") +
                            "; all members apply it alike");
      continue;
    }
    if (!persistence::is_suspect(w, found)) {
      log_.write(log_level::warn, "when the process before this one ended in another thread, " +
                                      std::string(of_group ? "the primary of group " : "resilient process ") +
                                      w.process + (of_place ? " came back" : " executed an input " + what_of(w)) +
                                      "; it is not held against it");
      continue;
    }
    if (of_place) {
      note_place(w, ended, level);
      continue;
    }
    obituaries_[w.process] = ended + "it executed an input " + what_of(w);
    death d{.what = of_group ? death::kind::request : death::kind::input,
            .word = w.id,
            .time = now(),
            .process = w.process,
            .from = w.from,
            .number = w.number,
            .position = w.position,
            .activation = w.activation,
            .identity = w.identity,
            .body_bytes = w.body_bytes,
            .excerpt = w.excerpt,
            .how = how(w)};
    keep(std::move(d));
    if (of_group) {
      log_.write(level, ended + "it executed, as the primary of group " + w.process + " since view " +
                            std::to_string(w.activation) + ", the request at position " + std::to_string(w.position) +
                            ", an input " + what_of(w) + "; the group is told");
      continue;
    }
    log_.write(level, ended + "resilient process " + w.process + ", in its life " + std::to_string(w.activation) +
                          ", executed an input " + what_of(w) + "; so far it " + in_words(table_.of(w.identity)));
  }
}

void death_book::note_place(const last_word& w, const std::string& ended, log_level level) {
  const bool redone = w.kind == persistence::word_kind::redo;
  const auto kind = redone ? death::kind::redo : death::kind::checkpoint;
  const auto identity = identity_of_place(w.process, kind, w.position);
  const auto what = (redone ? "redid event " + std::to_string(w.position) + " of its journal"
                            : "read its checkpoint at position " + std::to_string(w.position));
  obituaries_[w.process] = ended + "it " + what;
  keep({.what = kind,
        .word = w.id,
        .time = now(),
        .process = w.process,
        .position = w.position,
        .activation = w.activation,
        .identity = identity,
        .how = how(w)});
  log_.write(level, ended + "resilient process " + w.process + ", in its life " + std::to_string(w.activation) + ", " + what +
                        "; so far it " + in_words(table_.of(identity)));
}

/// However many inputs are suspected, the process ended once.
void death_book::count_end() {
  std::vector<std::uint64_t> former;
  for (const auto& [number, d] : table_.all())
    if (d.what == death::kind::tally) former.push_back(number);
  for (const auto number : former) table_.remove(number);
  drop(former);
  keep({.what = death::kind::tally, .time = now(), .number = ++ends_});
}

void death_book::keep(death d) {
  if (table_.knows(d)) return;
  const auto bytes = resilience::encode(d);
  if (const auto number = box_->put(bytes_of(bytes)); number != 0) table_.add(number, std::move(d));
  const auto kept = box_->all();
  std::vector<std::uint64_t> crowded_out;
  for (const auto& [number, each] : table_.all())
    if (!kept.contains(number)) crowded_out.push_back(number);
  for (const auto number : crowded_out) table_.remove(number);
}

void death_book::drop(const std::vector<std::uint64_t>& letters) {
  if (letters.empty()) return;
  for (const auto number : letters) box_->drop(number);
  look_again();
}

void death_book::look_again() {
  bool input = !condemned_.empty(), place = false;
  for (const auto& [number, d] : table_.all()) {
    const bool of_place = d.what == death::kind::redo || d.what == death::kind::checkpoint;
    place = place || of_place;
    input = input || (!of_place && d.what != death::kind::tally);
  }
  any_.store(input, std::memory_order_relaxed);
  any_place_.store(place, std::memory_order_relaxed);
}

input_record death_book::of(std::uint64_t identity) const {
  const std::lock_guard guard(mutex_);
  return {table_.of(identity), condemned_.contains(identity)};
}

std::string death_book::in_words(const resilience::toll& t) {
  if (t.threw) return "threw each time it was executed, and was put aside: " + t.how;
  return "ended the whole process " + std::to_string(t.lives) + (t.lives == 1 ? " time" : " times") +
         (t.how.empty() ? "" : std::string(t.lives == 1 ? ", " : ", the last time ") + t.how);
}

void death_book::survived(std::uint64_t identity) {
  const std::lock_guard guard(mutex_);
  if (box_) drop(table_.forget(identity));
}

void death_book::condemn(std::uint64_t identity) {
  const std::lock_guard guard(mutex_);
  condemned_.insert(identity);
  look_again();
}

void death_book::put_aside(std::string_view process, std::uint64_t identity, const std::string& threw) {
  count_put_aside(threw.empty());
  const std::lock_guard guard(mutex_);
  if (!box_) return;
  if (!threw.empty()) {
    std::vector<std::uint64_t> others;
    for (const auto& [number, d] : table_.all())
      if (d.what == death::kind::threw) others.push_back(number);
    if (others.size() >= threw_max) {
      table_.remove(others.front());
      drop({others.front()});
    }
  }
  keep({.what = threw.empty() ? death::kind::put_aside : death::kind::threw,
        .word = {0, 0, identity},
        .time = now(),
        .process = std::string(process),
        .identity = identity,
        .how = threw});
  condemned_.erase(identity);
  look_again();
}

bool death_book::pardon(std::uint64_t identity) {
  const std::lock_guard guard(mutex_);
  const auto known = table_.of(identity);
  condemned_.erase(identity);
  if (box_) drop(table_.forget(identity));
  look_again();
  return known.lives > 0 || (known.put_aside && !known.threw);
}

std::optional<resilience::deadly_place> death_book::worst_place(std::string_view process) const {
  if (!any_place_.load(std::memory_order_relaxed)) return std::nullopt;
  const std::lock_guard guard(mutex_);
  return table_.worst_place(process);
}

resilience::toll death_book::of_checkpoint(std::string_view process, std::uint64_t position) const {
  if (!any_place_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard guard(mutex_);
  return table_.of(identity_of_place(process, death::kind::checkpoint, position));
}

void death_book::forget_places(std::string_view process) {
  if (!any_place_.load(std::memory_order_relaxed)) return;
  const std::lock_guard guard(mutex_);
  if (box_) drop(table_.forget_places(process));
}

poison_figures death_book::figures() const { return {threw_, ended_, refused_, ends_}; }

std::vector<death> death_book::untold(const std::string& group) const {
  const std::lock_guard guard(mutex_);
  std::vector<death> list;
  for (const auto& [number, d] : table_.all())
    if (d.what == death::kind::request && d.process == group) list.push_back(d);
  return list;
}

void death_book::told(const std::string& group, std::uint64_t office, std::uint64_t position) {
  const std::lock_guard guard(mutex_);
  std::vector<std::uint64_t> letters;
  for (const auto& [number, d] : table_.all())
    if (d.what == death::kind::request && d.process == group && d.activation == office && d.position == position)
      letters.push_back(number);
  for (const auto number : letters) table_.remove(number);
  drop(letters);
}

std::string death_book::obituary(const std::string& process) {
  const std::lock_guard guard(mutex_);
  const auto found = obituaries_.find(process);
  if (found == obituaries_.end()) return {};
  auto text = std::move(found->second);
  obituaries_.erase(found);
  return text;
}

}  // namespace cohort::detail
