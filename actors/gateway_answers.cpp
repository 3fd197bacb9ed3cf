#include "actors/gateway_answers.hpp"

namespace cohort::detail {

using namespace transport::gateway;

namespace {

reason reason_of(session_outcome o) {
  switch (o) {
    case session_outcome::replied: return reason::none;
    case session_outcome::no_session: return reason::no_session;
    case session_outcome::forgotten: return reason::forgotten;
    case session_outcome::too_far: return reason::too_far;
    case session_outcome::answers_full: return reason::answers_full;
    case session_outcome::sessions_full: return reason::sessions_full;
    case session_outcome::cancelled: return reason::cancelled;
    case session_outcome::behind: return reason::other;
    case session_outcome::malformed: return reason::malformed;
  }
  return reason::other;
}

}  // namespace

answer refused_as(reason because, bool retry, const std::string& why) {
  answer a;
  a.because = because;
  a.retry = retry;
  a.why = why;
  return a;
}

answer answer_of(outcome o) {
  answer a;
  a.why = to_string(o);
  switch (o) {
    case outcome::replied: a.what = verdict::replied; a.why.clear(); break;
    case outcome::no_quorum: a.because = reason::no_quorum; a.retry = true; break;
    case outcome::busy: a.because = reason::busy; a.retry = true; break;
    case outcome::not_member: a.because = reason::not_member; a.retry = true; break;
    case outcome::too_large: a.because = reason::too_large; break;
    case outcome::lost: a.because = reason::lost; a.retry = true; break;
    case outcome::unknown: a.what = verdict::unknown; a.because = reason::unresolved; a.retry = true; break;
    case outcome::stopped: a.because = reason::stopped; a.retry = true; break;
    case outcome::not_enabled: a.because = reason::not_enabled; break;
    case outcome::expired: a.what = verdict::expired; a.because = reason::expired; break;
  }
  return a;
}

void take_reply(answer& a, const session_reply& r) {
  a.because = reason_of(r.what);
  a.what = r.what == session_outcome::replied ? verdict::replied : verdict::refused;
  if (r.what != session_outcome::replied) a.why = to_string(r.what);
  a.repeated = r.repeated;
  a.position = r.position;
  a.index = r.index;
  a.view = r.view;
  a.time_us = r.time.count();
  a.birth = r.birth;
  a.payload.assign(r.payload.begin(), r.payload.end());
}

answer no_such_group(const std::string& name) {
  return refused_as(reason::no_group, false, "this node hosts no group \"" + name + "\"; discover names those it hosts");
}

answer no_sessions(const std::string& group, bool primary_backup) {
  return refused_as(reason::not_enabled, false,
                    primary_backup ? "group \"" + group +
                                       "\" is one of primary and backups, which have no sessions: its requests go without one, and are named "
                                       "by their callers"
                                   : "group \"" + group + "\" has no sessions: its contract does not say sessions = true");
}

std::optional<order> order_named(const std::string& name) {
  for (std::size_t i = 0; i < order_count; ++i)
    if (name == to_string(static_cast<order>(i))) return static_cast<order>(i);
  return std::nullopt;
}

}  // namespace cohort::detail
