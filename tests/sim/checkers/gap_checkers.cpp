// The checker of what a member is told that was away, against histories.
#include "tests/sim/checkers/history.hpp"

#include <doctest/doctest.h>

using namespace cohort::sim;

TEST_SUITE("checkers") {
  TEST_CASE("S4: gaps") {
    check_histories(
      check_gaps,
      {
        {"nothing is missing", "a!F1 a<1 b<1 c<1 c&0:abc/a1"},
        {"one message is", "a!F1 a!F2 a<1 a<2 b<1 b<2 c<1 c&0:abc/a2?a2"},
        {"all are", "a!F1 a!F2 a<1 a<2 c&0:abc/a2?a1-2"},
        {"of the causal lane", "a!C1 a<1 b<1 c&0:abc/a0:1?a:1"},
        {"of a lane that ended meanwhile", "a!F1 a!F2 a<1 a<2 b<1 b<2 c<1 b|1:bc c&1:bc?a2"},
        {"of a lane that began and ended meanwhile", "a|1:bA a!F1 a<1 b|1:bA b<1 b|2:bc c&2:bc?a'2.1"},
        {"more was delivered than the checkpoint covers", "a!F1 a!F2 a<1 a<2 c<1 c<2 c&0:abc/a1"},
        {"total order was passed over", "a!C1 a!T2 a!C3 a<1 a<3 c<1 c<3 a<2#1 c&0:abc/a0:3?a:2"},
        {"new to the group", "- a+ a&0:abc/a3"},
        {"a new life is told again", "a!F1 a<1 c&0:abc/a1?a1>7 c+0:abc/a1?a1>7"},
        {"away twice", "a!F1 a!F2 a<1 a<2 c&0:abc/a1?a1 c&0:abc/a2?a2"},
        {"unordered ones beyond the final cut", "a!U1 a!U2 a!U3 b<1 b<3 b|1:bc c&1:bc?a1,a3"},
        {"unordered ones were delivered above what is missing", "a!U1 a!U2 a!U3 a<1 a<2 a<3 c<2 c&0:abc/a3?a1,a3"},
        {"an excluded one had more than the view delivered", "a!F1 a!F2 a<1 a<2 b<1 b|1:bc a|1:bc c&1:bc?a1"},
      },
      {
        {"not told", "a!F1 a!F2 a<1 a<2 b<1 b<2 c<1 c&0:abc/a2"},
        {"told of too few", "a!F1 a!F2 a!F3 a<1 a<2 a<3 c<1 c&0:abc/a3?a2"},
        {"told of too many", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?a2-3"},
        {"told of one that was delivered", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?a1-2"},
        {"of the wrong lane", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?a:2"},
        {"of another sender", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?b2"},
        {"of another incarnation", "a|1:bA a!F1 a<1 b|1:bA b<1 b|2:bc c&2:bc?a1"},
        {"not of the lane that ended", "a!F1 a!F2 a<1 a<2 b<1 b<2 c<1 b|1:bc c&1:bc"},
        {"a newcomer is told", "- a+ a&0:abc/a3?a1-3"},
        {"twice", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?a2,a2"},
        {"not of total order that was passed over", "a!C1 a!T2 a!C3 a<1 a<3 c<1 c<3 a<2#1 c&0:abc/a0:3"},
        {"a new life is told nothing", "a!F1 a<1 c&0:abc/a1?a1>7 c+0:abc/a1>7"},
        {"a new life is told something else", "a!F1 a!F2 a<1 a<2 c&0:abc/a2?a1-2>7 c+0:abc/a2?a1>7"},
        {"not of what lies beyond the final cut", "a!U1 a!U2 a!U3 b<1 b<3 b|1:bc c&1:bc?a1"},
        {"told that it is not known", "a!F1 a!F2 a<1 a<2 c<1 c&0:abc/a2?!a2"},
        {"what only an excluded one had", "a!F1 a!F2 a<1 a<2 b<1 b|1:bc a|1:bc c&1:bc?a1-2"},
      });
  }
}
