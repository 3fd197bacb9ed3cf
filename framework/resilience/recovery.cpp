#include "framework/resilience/records.hpp"

#include <algorithm>

namespace cohort::resilience {

recovery_report engine::recover(stable_store& from) {
  recovery_report report;
  claim(from);
  std::vector<kept_checkpoint> found;
  from.scan(name_, head_prefix, [&](std::string_view key, std::string_view value) {
    if (!key.starts_with(head_prefix)) return false;
    string_source in(value);
    kept_checkpoint c;
    for (const char d : key.substr(head_prefix.size()))
      c.position = c.position * 10 + static_cast<std::uint64_t>(d - '0');
    c.pieces = in.read_u64();
    found.push_back(c);
    return true;
  });
  std::string why;
  for (kept_ = found; !kept_.empty(); kept_.pop_back()) {
    reset();
    if (restore(from, kept_.back(), why)) break;
    unwanted_.push_back(kept_.back());
    report.unreadable.push_back("process " + name_ + ", checkpoint at position " +
                                std::to_string(kept_.back().position) + ": " + why);
  }
  if (kept_.empty()) reset();
  report.checkpoint = applied();
  const auto range = from.log_range(name_, journal_log);
  const bool reaches = range.first == 0 ? range.last <= applied() : range.first <= applied() + 1;
  if (!reaches || range.last < applied()) {
    std::string text =
        "process " + name_ + " cannot be brought back: its journal " +
        (range.last < applied() ? "ends at " + std::to_string(range.last) : "begins at " + std::to_string(range.first)) +
        ", and its state is that of position " + std::to_string(applied());
    for (const auto& u : report.unreadable) text += "; " + u;
    throw unrecoverable(text + "; put back the storage's file, or start the program that wrote the checkpoint");
  }
  report.redone = redo(from);
  batched_ = durable_ = applied();
  return report;
}

/// R6: two that believe to be the process read the same number, and one of them gets the next.
void engine::claim(stable_store& in) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const auto life = in.get(name_, life_key);
    token_ = life ? string_source(*life).read_u64() + 1 : 1;
    const auto taken = in.commit(
        stable_batch().expect(name_, life_key, life).put(name_, life_key, encode_u64(token_)).fence(name_, token_));
    if (taken) return;
    if (taken.code != stable_code::conflict && taken.code != stable_code::busy)
      throw unrecoverable("process " + name_ + " cannot be claimed: " + taken.why);
  }
  throw unrecoverable("process " + name_ + " cannot be claimed: others do so all the time");
}

void engine::reset() {
  state_ = process_state(make_);
  batched_ = durable_ = 0;
  pending_.clear();
  answers_.clear();
  acks_.clear();
  events_since_ = bytes_since_ = 0;
}

bool engine::restore(stable_store& from, const kept_checkpoint& c, std::string& why) try {
  std::string bytes;
  for (std::uint64_t i = 0; i < c.pieces; ++i) {
    const auto piece = from.get(name_, piece_key(c.position, i));
    if (!piece) throw std::runtime_error("piece " + std::to_string(i) + " is missing");
    bytes += *piece;
  }
  string_source in(bytes);
  if (const auto format = in.read_u64(); format != checkpoint_format)
    throw std::runtime_error("it has format " + std::to_string(format) + ", this program knows " +
                             std::to_string(checkpoint_format));
  const auto version = in.read_u64();
  if (version > machine().version())
    throw std::runtime_error("version " + std::to_string(version) + " of the application wrote it, this is version " +
                             std::to_string(machine().version()));
  state_.restore(in, static_cast<std::uint32_t>(version));
  if (applied() != c.position) throw std::runtime_error("it is that of position " + std::to_string(applied()));
  if (in.left() != 0) throw std::runtime_error(std::to_string(in.left()) + " bytes of it were not read");
  return true;
} catch (const std::exception& e) {
  why = e.what();
  return false;
}

std::uint64_t engine::redo(stable_store& from) {
  const auto start = applied();
  from.read_log(name_, journal_log, start + 1, [&](std::uint64_t position, std::string_view bytes) {
    const auto fail = [&](const std::string& what) {
      throw unrecoverable("process " + name_ + " cannot be brought back: event " + std::to_string(position) + " " +
                          what);
    };
    if (position != applied() + 1) fail("follows " + std::to_string(applied()));
    record r;
    try {
      r = decode(bytes);
    } catch (const truncated_checkpoint&) {
      fail("is too short");
    } catch (const std::exception& e) {
      fail(e.what());
    }
    if (r.version > machine().version())
      fail("was written by version " + std::to_string(r.version) + " of the application, this is version " +
           std::to_string(machine().version()));
    state_.apply(r, position);
    if (events_since_++ == 0) oldest_since_ = r.time;
    bytes_since_ += bytes.size();
    return true;
  });
  return applied() - start;
}

}  // namespace cohort::resilience
