#pragma once

// Inside actors/ only: includes CAF.
#include "actors/pinned.hpp"

#include <cohort/group.hpp>
#include <cohort/listener.hpp>

#include <memory>

namespace cohort::detail {

using view_ptr = std::shared_ptr<const group_view>;

struct view_subscribe {
  caf::actor process;
  group_news what{};
};
struct view_unsubscribe {
  caf::actor_addr process;
};
struct view_news {
  view_ptr what;
};
struct rules_news {
  group_rules_changed what;
  std::string other;  ///< how they differ from the configuration's; empty: they do not
};
/// The membership actor of a group on this node: gets the views, and what else there is to tell, from the ordering side, tells it
/// to the processes that subscribed (the newest at once), and watches these.
caf::actor spawn_membership(caf::actor_system& system, std::shared_ptr<pinned_unit> unit);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_subscribe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_unsubscribe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_news)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::rules_news)
