// In simulations a broken invariant ends the run of one seed, not the process that runs all of them.
#include "framework/protocol/assert.hpp"

#include <stdexcept>
#include <string>

namespace cohort::protocol {

void broken_invariant(const char* condition, const char* file, int line, std::uint64_t a, std::uint64_t b) {
  std::string where = file;
  where.erase(0, where.find_last_of('/') + 1);
  throw std::logic_error("invariant " + std::string(condition) + " at " + where + ":" + std::to_string(line) + " (" +
                         std::to_string(a) + ", " + std::to_string(b) + ")");
}

}  // namespace cohort::protocol
