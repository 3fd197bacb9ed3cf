// Which members, and which letters, are alike.
#include "framework/protocol/digester.hpp"
#include "framework/simulation/explore/member.hpp"
#include "framework/simulation/trace.hpp"

namespace cohort::sim::explore {

using namespace protocol;

fingerprint digest(const letter& l) {
  digester d;
  d.all(l.from, l.to, l.what, l.sender);
  if (l.body) d.add(*l.body);
  return d.result();
}

fingerprint digest(const member& m) {
  digester d;
  const auto& [node, process, up, life, submitted, now, c, told, open, checkpoints, disk, unsynced, held] = m;
  d.all(node, process, up, life, submitted, open, checkpoints);
  if (up) {
    const auto inside = inspector::digest(*c);
    d.all(now, inside.high, inside.low);
  } else {  // nobody asks it any more, but its log is still compared
    const auto& log = inspector::of(*c).log;
    for (log_index i = 1; i <= log.last(); ++i) d.add(hash_entry(log.at(i)));
  }
  const auto& [events, committed, led, evident, accused] = told;
  d.all(events.size(), committed.size(), led, accused.size());
  for (const auto& [reset, asked, vouched] : evident) d.all(reset, asked, vouched);
  for (const auto& [of, why] : accused) d.all(of, why);
  for (const auto& [what, member, safe, cls, message, past, number, inc, sender, seq, position, hash, roster] : events)
    d.all(what, member, safe, cls, message, past, number, inc, sender, seq, position, hash);
  for (const auto& [hash, counted] : committed) d.all(hash, counted);
  const auto& [promises, entries, batches] = disk;
  d.all(promises, entries, batches, unsynced, held.size());
  for (const auto& [needs, to, what] : held) d.all(needs, to, *what);
  return d.result();
}

}  // namespace cohort::sim::explore
