// Records and marks as a whole: header, checksum, what is checked before a field may be believed.
#include "framework/protocol/records.hpp"

#include "framework/protocol/assert.hpp"
#include "framework/protocol/record_layout.hpp"

#include <limits>
#include <type_traits>

namespace cohort::protocol {

using namespace layout;

namespace {

std::span<const std::byte> blob_of(const persist_op& op) {
  const auto* b = std::get_if<persist_batch>(&op.what);
  return b ? b->what.what.blob : std::span<const std::byte>{};
}

/// Checksum of a record whose part before the blob is `head`.
std::uint64_t chain(std::span<const std::byte> head, std::span<const std::byte> blob, journal_position position,
                    checksum_fn sum) {
  return sum(head.subspan(8), sum(blob, position));
}

void put_header(byte_writer& w, journal_position position, std::uint32_t group, std::size_t length, record_type type) {
  COHORT_INVARIANT(length <= std::numeric_limits<std::uint32_t>::max(), length, position);
  w.put(std::uint64_t{0});  // the checksum, known last
  w.put(position);
  w.put(group);
  w.put(static_cast<std::uint32_t>(length));
  w.put(record_version);
  w.put(static_cast<std::uint8_t>(type));
  w.put(std::uint8_t{0});
  w.put(std::uint32_t{0});
}

void encode_into(std::uint32_t group, const persist_op& op, checksum_fn sum, std::span<std::byte> head) {
  const auto blob = blob_of(op);
  byte_writer w(head);
  std::visit(
    [&]<class Op>(const Op& what) {
      if constexpr (carried_out<Op>) {
        COHORT_INVARIANT(!"a record", op.position, group);
      } else {
        put_header(w, op.position, group, head.size() - record_header_bytes + blob.size(), type_of(what));
        put(w, what);
      }
    },
    op.what);
  COHORT_INVARIANT(w.written() == head.size(), w.written(), head.size());
  byte_writer(head).put(chain(head, blob, op.position, sum));
}

struct header {
  std::uint64_t checksum = 0;
  journal_position position = 0;
  std::uint32_t group = 0;
  std::uint32_t length = 0;
  std::uint16_t version = 0;
  std::uint8_t type = 0;
  std::uint64_t zero = 0;
};

header get_header(std::span<const std::byte> bytes) {
  byte_reader r(bytes.first(record_header_bytes));
  header h;
  h.checksum = r.get<std::uint64_t>();
  h.position = r.get<std::uint64_t>();
  h.group = r.get<std::uint32_t>();
  h.length = r.get<std::uint32_t>();
  h.version = r.get<std::uint16_t>();
  h.type = r.get<std::uint8_t>();
  h.zero = r.get<std::uint8_t>();
  h.zero |= r.get<std::uint32_t>();
  return h;
}

/// Bytes before the blob, or 0 if the record cannot hold what its header says.
std::size_t head_bytes(std::span<const std::byte> bytes, const header& h) {
  if (h.type != static_cast<std::uint8_t>(record_type::batch)) return bytes.size();
  const std::size_t fixed = h.version == 1 ? batch_fixed_bytes_v1 : h.version == 2 ? batch_fixed_bytes_v2 : batch_fixed_bytes;
  if (bytes.size() < record_header_bytes + fixed) return 0;
  byte_reader sizes(bytes.subspan(record_header_bytes + 4));
  byte_reader deps(bytes.subspan(record_header_bytes + batch_fixed_bytes_v1 + 8));
  const std::uint64_t head = record_header_bytes + fixed + 4 * std::uint64_t{sizes.get<std::uint32_t>()} +
                             (h.version == 1 ? 0 : 8 * std::uint64_t{deps.get<std::uint32_t>()});
  return head <= bytes.size() ? static_cast<std::size_t>(head) : 0;
}

/// Length, checksum, version: what must hold before a single field may be believed. `head` = bytes before the blob.
record_error check(std::span<const std::byte> bytes, journal_position expected, checksum_fn sum, header& h,
                   std::size_t& head) {
  if (bytes.size() < record_header_bytes) return record_error::too_short;
  h = get_header(bytes);
  if (bytes.size() - record_header_bytes < h.length) return record_error::too_short;
  if (bytes.size() - record_header_bytes > h.length) return record_error::malformed;
  head = head_bytes(bytes, h);
  if (head == 0) return record_error::bad_checksum;
  if (chain(bytes.first(head), bytes.subspan(head), h.position, sum) != h.checksum) return record_error::bad_checksum;
  // A sound record in the wrong place was put there by a lost or misdirected write, not by decay.
  if (h.position != expected) return record_error::wrong_position;
  if (h.version == 0 || h.version > record_version) return record_error::wrong_version;
  return h.zero == 0 ? record_error::none : record_error::malformed;
}

}  // namespace

std::vector<std::byte> encode_options(const view_options& o) {
  std::vector<std::byte> bytes(sizeof record_version + options_bytes);
  byte_writer w(bytes);
  w.put(record_version);
  put(w, o);
  return bytes;
}

bool decode_options(std::span<const std::byte> bytes, view_options& out) {
  byte_reader r(bytes);
  const auto version = r.get<std::uint16_t>();
  if (version < 6 || version > record_version) return false;  // nobody wrote them alone before
  out = get_options(r, version);
  return !r.failed() && r.rest().empty();
}

std::size_t record_bytes(const persist_op& op) {
  return std::visit(
    [&]<class Op>(const Op& what) -> std::size_t {
      if constexpr (carried_out<Op>) return 0;
      else return record_header_bytes + head_size(what) + blob_of(op).size();
    },
    op.what);
}

void encode_record(std::uint32_t group, const persist_op& op, checksum_fn sum, std::span<std::byte> out) {
  const auto blob = blob_of(op);
  encode_into(group, op, sum, out.first(out.size() - blob.size()));
  if (!blob.empty()) std::memcpy(out.data() + out.size() - blob.size(), blob.data(), blob.size());
}

std::span<const std::byte> encode_record_head(std::uint32_t group, const persist_op& op, checksum_fn sum,
                                              std::vector<std::byte>& head) {
  const auto blob = blob_of(op);
  head.resize(record_bytes(op) - blob.size());
  encode_into(group, op, sum, head);
  return blob;
}

std::size_t record_length(std::span<const std::byte> front) {
  return front.size() < record_header_bytes ? 0 : record_header_bytes + std::size_t{get_header(front).length};
}

record_error decode_record(std::span<const std::byte> bytes, journal_position expected, checksum_fn sum,
                           decoded_record& out) {
  header h;
  std::size_t head = 0;
  if (const auto error = check(bytes, expected, sum, h, head); error != record_error::none) return error;
  out.group = h.group;
  out.op.position = h.position;
  byte_reader r(bytes.first(head).subspan(record_header_bytes));
  switch (static_cast<record_type>(h.type)) {
    case record_type::batch: out.op.what = get_batch(r, h.version, bytes.subspan(head)); break;
    case record_type::entry: out.op.what = get_entry(r, h.version); break;
    case record_type::truncate: out.op.what = get_truncate(r); break;
    case record_type::state: out.op.what = get_state(r, h.version); break;
    case record_type::install: out.op.what = get_install(r, h.version); break;
    case record_type::component: out.op.what = get_component(r); break;
    case record_type::mark:
    default: return record_error::malformed;
  }
  return r.failed() || !r.rest().empty() ? record_error::malformed : record_error::none;
}

const char* to_string(record_error e) {
  switch (e) {
    case record_error::none: return "sound";
    case record_error::too_short: return "too short";
    case record_error::bad_checksum: return "bad checksum";
    case record_error::wrong_position: return "wrong position";
    case record_error::wrong_version: return "unknown version";
    case record_error::malformed: return "malformed";
  }
  return "unknown error";
}

std::vector<std::byte> encode_mark(const mark& m, std::uint32_t chunks, checksum_fn sum) {
  const std::size_t length = 4 + mark_size(m);
  std::vector<std::byte> out(record_header_bytes + length);
  byte_writer w(out);
  put_header(w, m.index, 0, length, record_type::mark);
  w.put(chunks);
  put(w, m);
  COHORT_INVARIANT(w.written() == out.size(), w.written(), out.size());
  byte_writer(out).put(chain(out, {}, m.index, sum));
  return out;
}

record_error decode_mark(std::span<const std::byte> bytes, checksum_fn sum, mark& out, std::uint32_t& chunks) {
  if (bytes.size() < record_header_bytes) return record_error::too_short;
  header h;
  std::size_t head = 0;
  if (const auto error = check(bytes, get_header(bytes).position, sum, h, head); error != record_error::none)
    return error;
  if (h.type != static_cast<std::uint8_t>(record_type::mark) || h.group != 0) return record_error::malformed;
  byte_reader r(bytes.subspan(record_header_bytes));
  chunks = r.get<std::uint32_t>();
  out = get_mark(r, h.version);
  if (out.index != h.position) r.fail();
  return r.failed() || !r.rest().empty() ? record_error::malformed : record_error::none;
}

}  // namespace cohort::protocol
