// How an exploration tells of the way to a state.
#include "framework/simulation/explore/way.hpp"

#include "framework/simulation/trace.hpp"

#include <array>
#include <stdexcept>

namespace cohort::sim::explore {

using namespace protocol;

namespace {

const char* reason(absence why) {
  switch (why) {
    case absence::none: break;
    case absence::reset: return "its link was reset";
    case absence::restarted: return "it is another life";
    case absence::unheard: return "silent, and others cannot reach it either";
    case absence::link: return "only the link to it is broken";
    case absence::silent: return "silent";
    case absence::stuck: return "stuck";
    case absence::unservable: return "it cannot be served";
  }
  return "?";
}

std::string line_of(const known_members& known, const action& how) {
  const auto who = std::to_string(how.node);
  switch (how.what) {
    case input::kind::arrive: {
      const auto& l = known.letter_at(how.number);
      const auto link = std::to_string(l.from) + " -> " + std::to_string(l.to);
      const auto* what = l.what == letter::kind::reset ? "link is reset" : "link is up";
      const auto* fate_of = how.how == fate::lost ? " lost: " : how.how == fate::slow ? " is slow from here on: " : " ";
      return link + fate_of + (l.body ? describe(*l.body) : what);
    }
    case input::kind::submit: return "* " + who + " submits its next message";
    case input::kind::elect: return "* " + who + " election timeout";
    case input::kind::suspect: return "* " + who + " the link was down for long enough to suspect";
    case input::kind::ended: return "* " + who + " there was time to dial it again";
    case input::kind::lapse: return "* " + who + " hears nobody until it has waited long enough";
    case input::kind::expire: return "* " + who + " waits no longer for reports or payload";
    case input::kind::beat: return "* " + who + " two heartbeat intervals pass";
    case input::kind::sync: return "* " + who + " disk has written all";
    case input::kind::doubt:
      return "* " + who + " sees its link to " + std::to_string(how.member_input()) + " reset" + (how.lost_links() ? ", what was on it is lost" : "");
    case input::kind::crash: {
      auto text = "* " + who + " crashes, " + std::to_string(how.member_input()) + " unsynced records survive";
      for (unsigned n = 0; n < members_max; ++n)
        if ((how.lost_links() >> n & 1) != 0) text += ", what was under way to " + std::to_string(n) + " is lost";
      return text;
    }
    case input::kind::restart: return "* " + who + " restarts";
  }
  return {};
}

}  // namespace

std::vector<std::string> retell(const scope& s, known_members& known, const std::vector<action>& way) {
  std::vector<std::string> lines;
  std::array<std::uint32_t, members_max> now{};
  for (std::uint32_t n = 0; n < s.members; ++n) now[n] = n;
  for (const auto& how : way) {
    lines.push_back(line_of(known, how));
    if (how.how != fate::arrives) continue;
    const auto before = now[how.node];
    try {
      now[how.node] = known.step_of(before, {how.what, how.member_input()}).next;
    } catch (const std::logic_error&) {
      break;
    }
    const auto& was = known.at(before);
    const auto& is = known.at(now[how.node]);
    const auto say = [&](const std::string& what) { lines.push_back("    " + std::to_string(how.node) + " " + what); };
    if (was.told.led.size() != is.told.led.size()) say("leads term " + std::to_string(is.told.led.back()));
    if (!was.inside().wedged.on && is.inside().wedged.on) say("is wedged");
    if (was.told.committed.size() != is.told.committed.size()) say("knows entry " + std::to_string(is.told.committed.size()) + " to be committed");
    for (auto e = was.told.events.size(); e < is.told.events.size(); ++e) {
      const auto& event = is.told.events[e];
      if (event.what == story::kind::batch)
        say("delivers " + std::string(to_string(event.cls)) + " message " + std::to_string(event.message) + (event.safe ? ", safe" : ""));
      if (event.what == story::kind::view) {
        std::string active;
        for (const auto& r : event.roster->roster)
          if (r.active) active += " " + std::to_string(to_index(r.id.member)) + (r.voter ? "" : " (learns)");
        say("installs view " + std::to_string(event.view) + " of" + active);
      }
      if (event.what == story::kind::restored) say("takes a checkpoint at position " + std::to_string(event.position));
      if (event.what == story::kind::lost) say("is told that message " + std::to_string(event.message) + " is lost");
      if (event.what == story::kind::born) say("is back in view " + std::to_string(event.view));
    }
    for (auto a = was.told.accused.size(); a < is.told.accused.size(); ++a)
      say("goes on without " + std::to_string(is.told.accused[a].of) + ": " + reason(is.told.accused[a].why));
  }
  return lines;
}

}  // namespace cohort::sim::explore
