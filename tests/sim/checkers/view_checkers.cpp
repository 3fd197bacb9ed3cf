// Checkers of what members that share views have in common, against histories.
#include "tests/sim/checkers/history.hpp"

#include <doctest/doctest.h>

using namespace cohort::sim;

TEST_SUITE("checkers") {
  TEST_CASE("I13: virtual synchrony") {
    check_histories(
      check_view_synchrony,
      {
        {"nothing is sent", "a|1 b|1 c|1"},
        {"all deliver the same", "a!F1 a<1 b<1 c<1 a|1 b|1 c|1"},
        {"in another order", "a!U1 b!U2 a<1 a<2 b<2 b<1 a|1 b|1"},
        {"all orders", "a!F1 a!C2 a!T3 a<1 a<2 a<3 b<1 b<2 b<3 a|1 b|1"},
        {"nobody delivers it", "a!F1 a|1 b|1 c|1"},
        {"who is excluded has more", "a!F1 a<1 a|1:bc b|1:bc c|1:bc"},
        {"who is excluded has more, told last", "a!F1 c<1 b|1:ab a|1:ab c|1:ab"},
        {"who dies has more", "a!F1 c<1 cx a|1:ab b|1:ab"},
        {"behind a checkpoint", "a!F1 a!F2 a<1 a<2 c&0/a1 c<2 a|1 c|1"},
        {"delivered in the next view", "a!F1 a|1 b|1 a<1 b<1 a|2 b|2"},
        {"who has left and comes back begins anew", "a!F1 a<1 b<1 a|1:ab b|1:ab c+1:ab/a1 a|2:abC b|2:abC c|2:abC"},
        {"who is not active follows by the log", "a!F1 a<1 b<1 b|1:ab c+0 c<1 c|1:ab a|1:ab"},
        {"an unordered one beyond a gap, everywhere", "a!U1 a!U2 a<2 b<2 a|1:bc b|1:bc c<2 c|1:bc"},
      },
      {
        {"one lacks a message", "a!F1 a<1 a|1 b|1"},
        {"the first to go lacks it", "a!F1 b<1 a|1 b|1"},
        {"unordered counts", "a!U1 a<1 a|1 b|1"},
        {"total counts", "a!T1 a<1 b<1 a|1 b|1 c|1"},
        {"causal counts", "a!C1 b<1 b|1 c|1"},
        {"different messages", "a!F1 b!F2 a<1 b<2 a|1 b|1"},
        {"another one of the same lane", "a!U1 a!U2 a<1 b<2 a|1 b|1"},
        {"only in the second view", "a|1 b|1 a!F1 a<1 a|2 b|2"},
        {"delivered too late", "a!F1 a<1 a|1 b|1 b<1"},
        {"who is excluded has less", "a!F1 b<1 c<1 b|1:bc c|1:bc a|1:bc"},
        {"who follows by the log has less", "a!F1 a<1 b<1 a|1:ab c+0 c|1:ab"},
        {"behind a checkpoint one is missing", "a!F1 a!F2 a<1 a<2 c&0/a1 a|1 c|1"},
        {"the lane of a member that dies", "a!F1 ax b<1 b|1:bc c|1:bc"},
      });
  }

  TEST_CASE("I15: safe delivery") {
    check_histories(
      check_safe_delivery,
      {
        {"all have it", "a!S1 a<1 b<1 c<1 a|1 b|1 c|1"},
        {"it is delivered by nobody", "a!S1 a|1 b|1"},
        {"fifo may be lost with who delivered it", "a!F1 c<1 cx a|1:ab b|1:ab"},
        {"delivered by one who dies, and by all who stay", "a!S1 c<1 cx a<1 b<1 a|1:ab b|1:ab"},
        {"total", "a!T1 c<1 cx a<1 b<1 a|1:ab b|1:ab"},
        {"who is excluded is late", "a!S1 b<1 c<1 b|1:bc c|1:bc a<1"},
        {"in the next view", "a|1 b|1 a!s1 a<1 b<1 a|2 b|2"},
        {"within a checkpoint", "a!S1 a<1 c&0/a1 a|1 c|1"},
        {"who is given a later checkpoint is not asked", "a!S1 a<1 b<1 a|1:ab b|1:ab c&1:ab"},
        {"stable fifo, everywhere", "a!F1 a<1^ b<1 a|1 b|1"},
        {"stable with one, everywhere in the end", "a!C1 c<1^ cx a<1 b<1 a|1:ab b|1:ab"},
      },
      {
        {"one leaves without it", "a!S1 a<1 b|1"},
        {"delivered by one who died", "a!S1 c<1 cx a|1:ab"},
        {"delivered by one who is excluded", "a!S1 c<1 a|1:ab"},
        {"safe causal", "a!s1 c<1 cx a|1:ab"},
        {"total", "a!T1 c<1 cx a|1:ab"},
        {"delivered too late by who is excluded", "a!S1 a|1:ab b|1:ab c<1"},
        {"delivered too late after its death in the view", "a|1 b|1 a!S1 a|2:ab c|1 c<1"},
        {"one of two stays without it", "a!S1 a<1 b<1 a|1 b|1 c|1"},
        {"stable fifo is lost", "a!F1 c<1^ cx a|1:ab"},
        {"stable unordered is lost", "a!U1 c<1^ cx a|1:ab"},
        {"not said to be stable", "a!S1 a<1~"},
        {"the second of two", "a!S1 a!S2 c<1 c<2 cx a<1 a|1:ab"},
        {"beyond a checkpoint", "a!S1 a!S2 a<1 a<2 c&0/a1 a|1 c|1"},
      });
  }
}
