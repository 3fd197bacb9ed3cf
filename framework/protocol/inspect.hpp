#pragma once

#include "framework/protocol/core_impl.hpp"

namespace cohort::protocol {

/// Lets simulations and directed tests look at the inside of a core. Looks only: what it gives is constant.
struct inspector {
  using inside = core::impl;
  static const inside& of(const core& c) { return *c.impl_; }
};

}  // namespace cohort::protocol
