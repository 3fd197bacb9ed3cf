#include "transport/gateway/writing.hpp"

namespace cohort::transport::gateway {

std::size_t size_of(const answer& a) { return answer_overhead + a.payload.size() + a.why.size(); }

std::size_t size_of(const collected& c) {
  auto bytes = size_of(c.what);
  for (const auto& m : c.report.members) bytes += answer_overhead + m.answer.size();
  return bytes;
}

void put(wire::Answer::Builder out, const answer& a) {
  out.setVerdict(static_cast<wire::Verdict>(a.what));
  out.setReason(static_cast<wire::Reason>(a.because));
  out.setRetry(a.retry);
  if (!a.why.empty()) out.setWhy(a.why.c_str());
  if (!a.payload.empty()) out.setPayload({reinterpret_cast<const kj::byte*>(a.payload.data()), a.payload.size()});
  out.setRepeated(a.repeated);
  out.setPosition(a.position);
  out.setIndex(a.index);
  out.setView(a.view);
  out.setTimeUs(a.time_us);
  out.setBirth(a.birth);
  out.setRead(static_cast<wire::Read>(a.read));
}

void put(::capnp::List<wire::Member>::Builder out, const std::vector<member>& members) {
  for (unsigned i = 0; i < members.size(); ++i) {
    out[i].setName(members[i].name.c_str());
    out[i].setActive(members[i].active);
    out[i].setVoter(members[i].voter);
  }
}

void put(wire::Event::Builder out, const event& e) {
  if (auto* missed = std::get_if<missed_event>(&e)) return out.setMissed(missed->count);
  if (auto* d = std::get_if<delivery_event>(&e)) {
    auto to = out.initDelivery();
    to.setPayload({reinterpret_cast<const kj::byte*>(d->payload.data()), d->payload.size()});
    to.setOrder(d->order.c_str());
    to.setPosition(d->position);
    to.setIndex(d->index);
    to.setView(d->view);
    to.setSender(d->sender.c_str());
    to.setTimeUs(d->time_us);
    to.setLate(d->late);
    to.setRequest(d->request);
    return;
  }
  auto& v = std::get<view_event>(e);
  auto to = out.initView();
  to.setNumber(v.number);
  to.setIndex(v.index);
  to.setTimeUs(v.time_us);
  put(to.initMembers(static_cast<unsigned>(v.members.size())), v.members);
  auto changes = to.initChanges(static_cast<unsigned>(v.changes.size()));
  for (unsigned i = 0; i < v.changes.size(); ++i) changes.set(i, v.changes[i].c_str());
}

void put(wire::Collected::Builder out, const collected& c) {
  put(out.initAnswer(), c.what);
  out.setEnd(static_cast<wire::End>(c.report.end));
  const auto& all = c.report.members;
  auto members = out.initMembers(static_cast<unsigned>(all.size()));
  for (unsigned i = 0; i < all.size(); ++i) {
    members[i].setMember(all[i].member.c_str());
    members[i].setIncarnation(all[i].incarnation);
    members[i].setStanding(static_cast<wire::Standing>(all[i].what));
    if (!all[i].answer.empty()) members[i].setPayload({reinterpret_cast<const kj::byte*>(all[i].answer.data()), all[i].answer.size()});
  }
}

}  // namespace cohort::transport::gateway
