#pragma once

#include <string>
#include <vector>

namespace cohort::detail {

/// While it lives, the calls that led to an exception thrown on this thread are kept: by the time a handler of CAF sees the
/// exception, they are unwound. Costs nothing unless something is thrown. Nests.
class throw_stack {
public:
  throw_stack();
  ~throw_stack();
  throw_stack(const throw_stack&) = delete;
  throw_stack& operator=(const throw_stack&) = delete;

  /// Of the newest exception thrown on this thread, innermost first; empty where the C++ library does not let us see it.
  static std::vector<void*> newest();
  /// One line a call: function and offset where symbols are exported, else file and address for `addr2line`.
  static std::vector<std::string> describe(const std::vector<void*>& frames);
};

}  // namespace cohort::detail
