#include "framework/resilience/records.hpp"

#include <algorithm>

namespace cohort::resilience {

namespace {

/// Until what was begun is over.
struct watched {
  explicit watched(recovery_witness* w) : who(w) {}
  ~watched() {
    if (who) who->ends();
  }
  watched(const watched&) = delete;
  watched& operator=(const watched&) = delete;
  recovery_witness* const who;
};

}  // namespace

recovery_report engine::recover(stable_store& from, bool alone, recovery_witness* seen_by) {
  recovery_report report;
  kept_.clear();
  unwanted_.clear();
  claim(from, alone);
  find_checkpoints(from);
  for (; !kept_.empty(); kept_.pop_back()) {
    reset();
    try {
      restore(from, seen_by);
      break;
    } catch (const std::exception& e) {
      unwanted_.push_back(kept_.back());
      report.unreadable.push_back("process " + name_ + ", checkpoint at position " + std::to_string(kept_.back().position) +
                                  ": " + e.what());
    }
  }
  if (kept_.empty()) reset();
  for (auto c = kept_.rbegin(); c != kept_.rend() && c->base != 0; ++c) ++report.changes;
  report.checkpoint = applied();
  const auto range = from.log_range(name_, journal_log);
  trimmed_ = range.last != 0 && range.first != 1;
  const bool reaches = range.first == 0 ? range.last <= applied() : range.first <= applied() + 1;
  if (!reaches || range.last < applied()) {
    std::string text =
        "process " + name_ + " cannot be brought back: its journal " +
        (range.last < applied() ? "ends at " + std::to_string(range.last) : "begins at " + std::to_string(range.first)) +
        ", and its state is that of position " + std::to_string(applied());
    for (const auto& u : report.unreadable) text += "; " + u;
    throw unrecoverable(text + "; put back the storage's file, or start the program that wrote the checkpoint");
  }
  report.redone = redo(from, range.last, seen_by);
  batched_ = durable_ = applied();
  return report;
}

/// R6: two that believe to be the process read the same number, and one of them gets the next.
void engine::claim(stable_store& in, bool alone) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    former_claim_ = in.get(name_, life_key);
    token_ = former_claim_ ? string_source(*former_claim_).read_u64() + 1 : 1;
    if (alone) return;
    stable_batch batch;
    add_claim(batch);
    const auto taken = in.commit(std::move(batch.fence(name_, token_)));
    if (taken) {
      claimed_ = true;
      return;
    }
    if (taken.code != stable_code::conflict && taken.code != stable_code::busy)
      throw unrecoverable("process " + name_ + " cannot be claimed: " + taken.why);
  }
  throw unrecoverable("process " + name_ + " cannot be claimed: others do so all the time");
}

void engine::add_claim(stable_batch& to) const {
  to.expect(name_, life_key, former_claim_).put(name_, life_key, encode_u64(token_));
}

void engine::find_checkpoints(stable_store& from) {
  from.scan(name_, head_prefix, [&](std::string_view key, std::string_view value) {
    if (!key.starts_with(head_prefix)) return false;
    string_source in(value);
    kept_checkpoint c;
    for (const char d : key.substr(head_prefix.size()))
      c.position = c.position * 10 + static_cast<std::uint64_t>(d - '0');
    c.pieces = in.read_u64();
    c.bytes = in.read_u64();
    c.base = in.read_u64();
    c.taken = wall_time(static_cast<std::int64_t>(in.read_u64()));
    kept_.push_back(c);
    return true;
  });
}

void engine::reset() {
  state_ = process_state(make_);
  batched_ = durable_ = 0;
  pending_.clear();
  answers_.clear();
  acks_.clear();
  events_since_ = bytes_since_ = 0;
}

void engine::restore(stable_store& from, recovery_witness* seen_by) {
  std::vector<const kept_checkpoint*> chain{&kept_.back()};
  while (chain.back()->base != 0) {
    const auto base = std::find_if(kept_.begin(), kept_.end(), [&](const auto& c) { return c.position == chain.back()->base; });
    if (base == kept_.end() || base->position >= chain.back()->position)
      throw std::runtime_error("it builds upon the one at position " + std::to_string(chain.back()->base) + ", which is not there");
    chain.push_back(&*base);
  }
  for (auto c = chain.rbegin(); c != chain.rend(); ++c) {
    try {
      restore_one(from, **c, seen_by);
    } catch (const std::exception& e) {
      if (*c == &kept_.back()) throw;
      throw std::runtime_error("it builds upon the one at position " + std::to_string((*c)->position) + ": " + e.what());
    }
  }
}

void engine::restore_one(stable_store& from, const kept_checkpoint& c, recovery_witness* seen_by) {
  std::string bytes;
  for (std::uint64_t i = 0; i < c.pieces; ++i) {
    const auto piece = from.get(name_, piece_key(c.position, i));
    if (!piece) throw std::runtime_error("piece " + std::to_string(i) + " is missing");
    bytes += *piece;
  }
  string_source in(bytes);
  const auto format = in.read_u64();
  if (format < oldest_checkpoint_format || format > checkpoint_format)
    throw std::runtime_error("it has format " + std::to_string(format) + ", this program knows " +
                             std::to_string(checkpoint_format));
  const auto version = in.read_u64();
  if (version > machine().version())
    throw std::runtime_error("version " + std::to_string(version) + " of the application wrote it, this is version " +
                             std::to_string(machine().version()));
  if (const auto base = in.read_u64(); base != c.base)
    throw std::runtime_error("it builds upon position " + std::to_string(base) + ", its head says " + std::to_string(c.base));
  const watched over(seen_by);
  if (const auto why = seen_by ? seen_by->restores(c.position) : std::string(); !why.empty()) throw std::runtime_error(why);  // R11
  if (c.base == 0) state_.restore(in, static_cast<std::uint32_t>(version), format);
  else state_.restore_changes(in, static_cast<std::uint32_t>(version), format);
  if (applied() != c.position) throw std::runtime_error("it is that of position " + std::to_string(applied()));
  if (in.left() != 0) throw std::runtime_error(std::to_string(in.left()) + " bytes of it were not read");
}

std::uint64_t engine::redo(stable_store& from, std::uint64_t last, recovery_witness* seen_by) {
  const auto start = applied();
  if (last <= start) return 0;
  const watched over(seen_by);
  if (seen_by) seen_by->redoes(start + 1, last);
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
    if (seen_by) seen_by->at(position);
    state_.apply(r, position);
    if (events_since_++ == 0) oldest_since_ = r.time;
    bytes_since_ += bytes.size();
    return true;
  });
  return applied() - start;
}

}  // namespace cohort::resilience
