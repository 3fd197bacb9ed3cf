#include <cohort/order.hpp>

namespace cohort {

const char* to_string(order o) {
  switch (o) {
    case order::unordered: return "unordered";
    case order::fifo: return "fifo";
    case order::safe_fifo: return "safe_fifo";
    case order::causal: return "causal";
    case order::safe_causal: return "safe_causal";
    case order::total: return "total";
  }
  return "?";
}

}  // namespace cohort
