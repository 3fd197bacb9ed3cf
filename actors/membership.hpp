#pragma once

// Inside actors/ only: includes CAF.
#include "actors/pinned.hpp"

#include <cohort/group.hpp>
#include <cohort/listener.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cohort::detail {

using view_ptr = std::shared_ptr<const group_view>;

struct view_subscribe {
  caf::actor process;
};
struct view_unsubscribe {
  caf::actor_addr process;
};
struct view_news {
  view_ptr what;
};
/// A link went down. The ordering side was told by a direct call on the same thread, because evidence must not be
/// overtaken by the news that the link is up again.
struct link_lost {
  member_id peer = no_member;
  bool reset = false;
};

/// What the membership actor does to the rest of its node. Called on the protocol thread.
struct membership_calls {
  std::function<void(const std::string& line)> log;
};

/// The membership actor of a group on this node: gets the views from the ordering side, tells them to the processes
/// that subscribed (the newest one at once), watches these, and says what links tell about members: evidence, no more.
caf::actor spawn_membership(caf::actor_system& system, std::shared_ptr<pinned_unit> unit,
                            std::vector<std::string> names, membership_calls calls);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_subscribe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_unsubscribe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::view_news)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::link_lost)
