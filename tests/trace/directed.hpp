#pragma once

#include "tests/trace/stage.hpp"

#include <doctest/doctest.h>

namespace cohort::trace {

inline core_options durable() {
  core_options o;
  o.checkpoint_bytes = 1u << 30;
  return o;
}

inline core_options in_memory() {
  auto o = durable();
  o.durable = false;
  return o;
}

inline core_options leased() {
  auto o = durable();
  o.reads = read_mode::lease;
  return o;
}

/// The property under test holds without a mistake and not with it.
inline void falls_with(mutation m, bool (*holds)()) {
  CHECK(holds());
  planting p(m);
  CHECK_FALSE(holds());
}

inline const auto everything = [](const flying&) { return true; };

}  // namespace cohort::trace
