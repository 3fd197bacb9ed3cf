// The table of sessions as part of the replicated state's checkpoint. A busy group's has tens of thousands of answers, and is written
// again and again: what an answer shares with the one before is not repeated.
#include "framework/protocol/bytes.hpp"
#include "framework/session/session_table.hpp"
#include "framework/session/short_number.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace cohort::session {

/// Spares a call of the sink for each number.
class gathering_sink {
public:
  explicit gathering_sink(sink& out) : out_(out) {}
  ~gathering_sink() { flush(); }
  gathering_sink(const gathering_sink&) = delete;
  gathering_sink& operator=(const gathering_sink&) = delete;

  void put(std::uint64_t value) {
    make_room(sizeof value);
    protocol::store_little(bytes_.data() + used_, value);
    used_ += sizeof value;
  }
  /// Where so many bytes may be written in place, and how far that went.
  std::byte* room(std::size_t bytes) {
    make_room(bytes);
    return bytes_.data() + used_;
  }
  void written(const std::byte* end) { used_ = static_cast<std::size_t>(end - bytes_.data()); }
  void put(std::span<const std::byte> bytes) {
    make_room(bytes.size());
    if (bytes.size() > bytes_.size()) return out_.write(bytes);
    std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += bytes.size();
  }

private:
  void make_room(std::size_t bytes) {
    if (used_ + bytes > bytes_.size()) flush();
  }
  void flush() {
    if (used_ > 0) out_.write(std::span(bytes_).first(used_));
    used_ = 0;
  }

  sink& out_;
  std::array<std::byte, 4096> bytes_;
  std::size_t used_ = 0;
};

namespace {

constexpr std::size_t head_bytes_max = 3 * short_bytes_max + 1 + 3 * 8;  ///< of an answer
constexpr unsigned same_entry = 4;  ///< beside an answer's fate: log entry, view and time are those of the answer before

[[noreturn]] void refuse() { throw truncated_checkpoint("the checkpoint's sessions make no sense: it is damaged"); }

std::uint64_t read_short(source& in) {
  std::uint64_t value = 0;
  if (!take_short(value, [&](std::byte& next) {
        in.read(std::span(&next, 1));
        return true;
      }))
    refuse();
  return value;
}

void read_answer(source& in, std::uint64_t size, std::vector<std::byte>& answer) {
  if (size > in.left()) refuse();
  answer.resize(static_cast<std::size_t>(size));
  in.read(answer);
}

// Positions of consecutive numbers may go either way.
std::uint64_t folded(std::uint64_t difference) { return difference << 1 ^ (difference >> 63 != 0 ? ~std::uint64_t{0} : 0); }
std::uint64_t unfolded(std::uint64_t value) { return value >> 1 ^ ((value & 1) != 0 ? ~std::uint64_t{0} : 0); }

}  // namespace

void session_table::checkpoint(sink& to) const {
  gathering_sink out(to);
  std::vector<const sessions::value_type*> sorted;
  for (const auto& s : sessions_) sorted.push_back(&s);
  std::ranges::sort(sorted, {}, [](const auto* s) { return s->first; });
  out.put(static_cast<std::uint64_t>(now_.count()));
  out.put(sorted.size());
  for (const auto* each : sorted) {
    const auto& s = each->second;
    const std::uint64_t fields[] = {each->first.high, each->first.low, s.birth, s.owner, static_cast<std::uint64_t>(s.expires.count()),
      static_cast<std::uint64_t>(s.limits.lifetime.count()), s.limits.open_requests_max, s.limits.answer_bytes_max,
      s.limits.table_bytes_max, s.limits.sessions_max, s.limits.sessions_per_owner_max, s.low};
    for (const auto f : fields) out.put(f);
    checkpoint_answers(out, s);
  }
}

void session_table::checkpoint_answers(gathering_sink& out, const one_session& s) const {
  out.put(s.kept);
  stamp before;
  auto next = s.low;
  for (std::uint64_t n = s.low; n < s.low + s.slots.size(); ++n) {
    const auto& x = s.slots[n & (s.slots.size() - 1)];
    if (x.what == fate::open) continue;
    const bool same = x.at.index == before.index && x.at.view == before.view && x.at.time == before.time;
    auto* at = put_short(out.room(head_bytes_max + kept_answer::in_place), n - next);
    *at++ = static_cast<std::byte>(static_cast<unsigned>(x.what) | (same ? same_entry : 0));
    if (!same)
      for (const auto f : {x.at.index, x.at.view, static_cast<std::uint64_t>(x.at.time.count())}) {
        protocol::store_little(at, f);
        at += 8;
      }
    at = put_short(put_short(at, folded(x.at.position - before.position)), x.answer.size());
    const auto answer = x.answer.bytes();
    const bool is_short = answer.size() <= kept_answer::in_place;
    if (is_short) std::memcpy(at, answer.data(), kept_answer::in_place);  // of one length: cheaper than to look at it
    out.written(at + (is_short ? answer.size() : 0));
    if (!is_short) out.put(answer);
    before = x.at;
    next = n + 1;
  }
}

void session_table::restore(source& in, std::uint64_t written_in) {
  *this = session_table();
  now_ = wall_time(static_cast<std::int64_t>(in.read_u64()));
  for (auto left = in.read_u64(); left > 0; --left) {
    session_id id;
    id.high = in.read_u64();
    id.low = in.read_u64();
    if (sessions_.contains(id)) refuse();
    auto& s = sessions_[id];
    s.birth = in.read_u64();
    if (!births_.emplace(s.birth, id).second) refuse();
    s.owner = in.read_u64();
    s.expires = wall_time(static_cast<std::int64_t>(in.read_u64()));
    s.limits.lifetime = std::chrono::milliseconds(in.read_u64());
    s.limits.open_requests_max = static_cast<std::uint32_t>(in.read_u64());
    s.limits.answer_bytes_max = in.read_u64();
    s.limits.table_bytes_max = in.read_u64();
    s.limits.sessions_max = static_cast<std::uint32_t>(in.read_u64());
    s.limits.sessions_per_owner_max = static_cast<std::uint32_t>(in.read_u64());
    s.low = in.read_u64();
    if (s.limits.open_requests_max == 0 || s.limits.open_requests_max > open_requests_limit || s.low == 0) refuse();
    if (s.owner != 0) ++owners_[s.owner];
    watch(id, s.expires);
    if (written_in == 1)
      restore_answers_1(in, s);
    else
      restore_answers(in, s);
  }
}

void session_table::restore_answers(source& in, one_session& s) {
  std::vector<std::byte> answer;
  stamp at;
  auto next = s.low;
  for (auto kept = in.read_u64(); kept > 0; --kept) {
    const auto number = next + read_short(in);
    std::byte head{};
    in.read(std::span(&head, 1));
    const auto bits = std::to_integer<unsigned>(head);
    if ((bits & same_entry) == 0) {
      at.index = in.read_u64();
      at.view = in.read_u64();
      at.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
    }
    at.position += unfolded(read_short(in));
    read_answer(in, read_short(in), answer);
    restore_answer(s, number, bits & ~same_entry, at, answer);
    next = number + 1;
  }
}

void session_table::restore_answers_1(source& in, one_session& s) {
  std::vector<std::byte> answer;
  for (auto kept = in.read_u64(); kept > 0; --kept) {
    const auto number = in.read_u64();
    const auto what = in.read_u64();
    stamp at;
    at.position = in.read_u64();
    at.index = in.read_u64();
    at.view = in.read_u64();
    at.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
    read_answer(in, in.read_u64(), answer);
    restore_answer(s, number, what, at, answer);
  }
}

void session_table::restore_answer(one_session& s, std::uint64_t number, std::uint64_t what, const stamp& at, std::span<const std::byte> answer) {
  if (number < s.low || number - s.low >= s.limits.open_requests_max || (what != 1 && what != 2)) refuse();
  auto& where = place(s, number);
  if (where.what != fate::open) refuse();
  keep(s, where, static_cast<fate>(what), answer, at);
}

}  // namespace cohort::session
