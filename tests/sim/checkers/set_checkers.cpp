// The checker of transitional sets, against histories.
#include "tests/sim/checkers/history.hpp"

#include <doctest/doctest.h>

using namespace cohort::sim;

TEST_SUITE("checkers") {
  TEST_CASE("V15: transitional sets") {
    check_histories(
      check_transitional_sets,
      {
        {"nothing happens", "a!T1 a<1 b<1 c<1"},
        {"all stay", "a|1:abc^abc b|1:abc^abc c|1:abc^abc"},
        {"one fails", "cx a|1:ab^ab b|1:ab^ab"},
        {"one comes, and was not there", "a|1:abcd^abc b|1:abcd^abc"},
        {"one fails and comes back in one view", "a|1:abC^ab b|1:abC^ab c|1:abC^"},
        {"who comes by a checkpoint is told of nobody", "a|1:ab b|1:ab a|2:abC^ab b|2:abC^ab c&2:abC"},
        {"the excluded one is told of nobody", "a|1:ab^ab b|1:ab^ab c|1:ab^"},
        {"the excluded one follows by the log and comes in again", "a|1:ab b|1:ab c|1:ab^ a|2:abC^ab b|2:abC^ab c|2:abC^"},
        {"views come between the messages at one place", "a!T1 a<1 b<1 c<1 a|1 b|1 c|1 a!T2 a<2 b<2 c<2 a|2 b|2 c|2"},
        {"the excluded one had all of the total order, too", "a!T1 a<1 b<1 c<1 a|1:ab b|1:ab c|1:ab"},
        {"causal messages have no place", "a!C1 a<1 b<1 a|1:ab b|1:ab"},
        {"a newcomer stays", "- a+ a&3:abc a|4:abc^abc"},
        {"in any order of names", "a|1:abc^cab b|1:abc^bca"},
      },
      {
        {"without itself", "a|1:abc^bc"},
        {"with somebody who is new", "a|1:abcd^abcd"},
        {"with somebody who failed", "a|1:ab^abc"},
        {"with somebody who is a new incarnation", "a|1:abC^abc"},
        {"two are told of different sets", "a|1:abc^abc b|1:abc^ab"},
        {"nobody is told", "a|1:abc^"},
        {"one of two is left out", "a|1:ab^ab b|1:ab^b"},
        {"who was excluded is told of those who stay", "c|1:ab^ab"},
        {"who comes by a checkpoint is told of a set", "a|1:ab b|1:ab c|2:abC^abC"},
        {"who came in again as another is told of a set", "c|1:abC^abc"},
        {"one has more of the total order", "a!T1 a<1 a|1 b|1"},
        {"one has less of it", "a!T1 a!T2 a<1 a<2 b<1 a|1 b|1"},
        {"the excluded one has more of it", "a!T1 c<1 a|1:ab c|1:ab"},
        {"comes by a checkpoint under its old incarnation", "a|1 b|1 a|2 b|2 c&2:abc"},
        {"skips a view", "a|1 a|2 b|2:abc^"},
      });
  }
}
