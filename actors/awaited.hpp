#pragma once

#include <chrono>
#include <functional>
#include <future>

namespace cohort::detail {

/// How often is looked whether what is waited for was given up, or, where nobody tells, is there.
inline constexpr auto look_every = std::chrono::milliseconds(20);

/// False if it was given up before it was ready.
template <class T>
bool awaited(std::future<T>& what, const std::function<bool()>& given_up) {
  while (what.wait_for(look_every) != std::future_status::ready)
    if (given_up()) return false;
  return true;
}

}  // namespace cohort::detail
