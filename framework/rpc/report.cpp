#include "framework/protocol/bytes.hpp"

#include <cohort/collation.hpp>

#include <algorithm>

namespace cohort {
namespace {

constexpr std::uint8_t report_version = 1;
constexpr std::size_t members_most = 1024;

}  // namespace

const char* to_string(collate c) {
  switch (c) {
    case collate::none:
      return "none";
    case collate::first:
      return "first";
    case collate::some:
      return "some";
    case collate::majority:
      return "majority";
    case collate::all:
      return "all";
    case collate::custom:
      return "custom";
  }
  return "?";
}

const char* to_string(member_standing s) {
  switch (s) {
    case member_standing::awaited:
      return "awaited";
    case member_standing::answered:
      return "answered";
    case member_standing::too_large:
      return "answer too large";
    case member_standing::left:
      return "left";
    case member_standing::failed:
      return "failed";
    case member_standing::late:
      return "late";
  }
  return "?";
}

const char* to_string(call_end e) {
  switch (e) {
    case call_end::open:
      return "open";
    case call_end::met:
      return "met";
    case call_end::unmet:
      return "unmet";
    case call_end::late:
      return "late";
    case call_end::cancelled:
      return "cancelled";
    case call_end::stopped:
      return "stopped";
    case call_end::undelivered:
      return "undelivered";
  }
  return "?";
}

std::size_t call_report::count(member_standing s) const {
  return static_cast<std::size_t>(std::ranges::count(members, s, &member_answer::what));
}

const member_answer* call_report::any() const {
  const auto found = std::ranges::find(members, member_standing::answered, &member_answer::what);
  return found == members.end() ? nullptr : &*found;
}

void write_report(std::vector<std::byte>& out, const call_report& r) {
  std::size_t bytes = 2 + 4 * 8 + 4;
  for (const auto& m : r.members) bytes += 1 + 8 + 4 + 4 + m.member.size() + m.answer.size();
  out.resize(bytes);
  protocol::byte_writer w(out);
  w.put(report_version);
  w.put(static_cast<std::uint8_t>(r.end));
  w.put(r.view);
  w.put(r.position);
  w.put(r.index);
  w.put(static_cast<std::uint64_t>(r.time.count()));
  w.put(static_cast<std::uint32_t>(r.members.size()));
  for (const auto& m : r.members) {
    w.put(static_cast<std::uint8_t>(m.what));
    w.put(m.incarnation);
    w.put(static_cast<std::uint32_t>(m.member.size()));
    w.put(static_cast<std::uint32_t>(m.answer.size()));
    w.put_bytes(std::as_bytes(std::span(m.member)));
    w.put_bytes(m.answer);
  }
}

bool read_report(std::span<const std::byte> bytes, call_report& out) {
  protocol::byte_reader r(bytes);
  out = {};
  if (r.get<std::uint8_t>() != report_version) return false;
  const auto end = r.get<std::uint8_t>();
  if (end > static_cast<std::uint8_t>(call_end::undelivered)) return false;
  out.end = static_cast<call_end>(end);
  out.view = r.get<std::uint64_t>();
  out.position = r.get<std::uint64_t>();
  out.index = r.get<std::uint64_t>();
  out.time = wall_time(static_cast<std::int64_t>(r.get<std::uint64_t>()));
  const auto members = r.get_count(17, members_most);
  for (std::size_t i = 0; i < members; ++i) {
    member_answer m;
    const auto what = r.get<std::uint8_t>();
    if (what > static_cast<std::uint8_t>(member_standing::late)) return false;
    m.what = static_cast<member_standing>(what);
    m.incarnation = r.get<std::uint64_t>();
    const auto name_bytes = r.get<std::uint32_t>(), answer_bytes = r.get<std::uint32_t>();
    const auto name = r.get_bytes(name_bytes), answer = r.get_bytes(answer_bytes);
    m.member.assign(reinterpret_cast<const char*>(name.data()), name.size());
    m.answer.assign(answer.begin(), answer.end());
    out.members.push_back(std::move(m));
  }
  return !r.failed() && r.rest().empty();
}

}  // namespace cohort
