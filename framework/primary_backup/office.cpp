#include "framework/primary_backup/office.hpp"

namespace cohort::primary_backup {

office in_view(const office& before, const protocol::view& v) {
  office first;
  first.since = v.number;
  for (const auto& e : v.roster) {
    if (!e.active || e.witness) continue;
    if (e.id.member == before.who && e.inc == before.inc) return before;
    if (e.voter && first.who == no_member) {
      first.who = e.id.member;
      first.inc = e.inc;
    }
  }
  return first;
}

}  // namespace cohort::primary_backup
