#include "framework/resilience/records.hpp"

namespace cohort::resilience {

std::string encode(const record& r) {
  string_sink out;
  out.write_u64(r.replayed ? replayed_format : record_format);
  out.write_u64(r.version);
  out.write_u64(static_cast<std::uint64_t>(r.time.count()));
  out.write_u64(r.number);
  out.write_u64(r.acks_only ? 2 : r.changes ? 1 : 0);
  out.write_bytes(r.from);
  out.write_bytes(r.body);
  out.write_u64(static_cast<std::uint64_t>(r.forget_before.count()));
  out.write_u64(r.acks.size());
  for (const auto& a : r.acks) {
    out.write_bytes(a.to);
    out.write_u64(a.number);
  }
  return std::move(out.bytes);
}

record decode(std::string_view bytes) {
  string_source in(bytes);
  const auto format = in.read_u64();
  if (format != record_format && format != replayed_format)
    throw std::runtime_error("has format " + std::to_string(format) + ", this program knows " + std::to_string(record_format) +
                             " and " + std::to_string(replayed_format));
  record r;
  r.replayed = format == replayed_format;
  r.version = static_cast<std::uint32_t>(in.read_u64());
  r.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
  r.number = in.read_u64();
  const auto kind = in.read_u64();
  r.changes = kind == 1;
  r.acks_only = kind == 2;
  r.from = in.read_bytes();
  r.body = in.read_bytes();
  r.forget_before = wall_time(static_cast<std::int64_t>(in.read_u64()));
  for (auto n = in.read_u64(); n > 0; --n) {
    auto to = in.read_bytes();
    r.acks.push_back({std::move(to), in.read_u64()});
  }
  return r;
}

}  // namespace cohort::resilience
