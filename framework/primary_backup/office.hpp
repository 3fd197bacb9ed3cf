#pragma once

#include "framework/protocol/view.hpp"

namespace cohort::primary_backup {

/// Who executes, from which view on. A function of the views alone, so equal at all members at the same place of the order.
struct office {
  member_id who = no_member;
  incarnation inc = 0;
  view_number since = 0;
  bool operator==(const office&) const = default;
};

/// The office in view `v`: who held it keeps it while active under the same incarnation, else the first active voter with
/// payload takes it. Vacant if there is none.
office in_view(const office& before, const protocol::view& v);

}  // namespace cohort::primary_backup
