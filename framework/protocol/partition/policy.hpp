#pragma once

#include "framework/protocol/partition/types.hpp"

#include <cohort/contract.hpp>

namespace cohort::protocol::partition {

/// Which of the view's sides gives its state to all, by a policy that is not the application's (rule P7). Equal at all
/// members: it reads nothing but the view.
///
/// `largest_component`: the side with most members; of equal ones that whose state comes from the later view; else the
/// first. `primary_descended`: the side that descends from the newest primary view; of several, or if there is none, as
/// above. A blank side has nothing to give: it wins only if all are blank.
std::size_t winner(const component_view& v, merge_policy how);

/// The newest primary view whose state went into what a merge of the view's sides gives.
component_id descent_of_merged(const component_view& v, merge_policy how);

}  // namespace cohort::protocol::partition
