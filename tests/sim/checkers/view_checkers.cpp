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

  TEST_CASE("self-inclusion") {
    check_histories(
      check_self_inclusion,
      {
        {"founders", "."},
        {"the next view", "a|1 b|1 c|1"},
        {"without the one who died", "cx a|1:ab b|1:ab"},
        {"who is excluded is told that it is no member", "c|1:ab"},
        {"back under a new incarnation", "c|1:ab c|2:abC c!F1"},
        {"the next life, under a new incarnation", "cx c+0 c|1:ab c|2:abC"},
        {"multicasts as a member", "a!F1 b!T2 a|1 a!C3"},
        {"not active, and says nothing", "c+0 c|1:ab a|1:ab ."},
        {"a learner", "d+ d&1:abcd d!F1"},
        {"two members in one view", "a|1:ab b|1:ab a!F1 b!F2"},
        {"a checkpoint of a view without it", "c&2:ab ."},
      },
      {
        {"told that it is a member, and is not", "c|1:ab="},
        {"a stranger is told so", "d+0 d|1:abc="},
        {"its next life is told so", "c+0 c|1:ab="},
        {"under the incarnation of its former life", "c+0 c|1:abc="},
        {"under the former incarnation, later", "c+0 c|1:ab c|2:abc="},
        {"an excluded one multicasts", "c|1:ab c!F1"},
        {"a restarted one multicasts before it is back", "c+0 c!T1"},
        {"a blank one multicasts", "- a+ a!F1"},
        {"a stranger multicasts", "d+ d!F1"},
        {"multicasts behind a checkpoint of a view without it", "c&2:ab c!F1"},
        {"told so by a checkpoint, and is not", "c&1:ab c|2:ab="},
      });
  }

  TEST_CASE("monotonic views") {
    check_histories(
      check_monotonic_views,
      {
        {"founded", "."},
        {"one after the other", "a|1 a|2 a|3"},
        {"at different times", "a|1 a|2 b|1 c|1 b|2"},
        {"a checkpoint skips", "a|1 b&3 b|4"},
        {"a checkpoint of the same view", "a&0 a|1"},
        {"the next life begins with its checkpoint", "a|1 a|2 a+1 a|2"},
        {"blank, given a checkpoint", "d+ d&5:abcd d|6"},
        {"delivers in a view", "a!F1 b<1 b|1 b<1@2"},
        {"delivers behind a checkpoint's view", "a!F1 b&2 b<1"},
        {"restarts in the founders' view", "a+0 a|1"},
        {"two checkpoints", "c&2 c&4 c|5"},
      },
      {
        {"skipped", "a|2"},
        {"again", "a|1 a|1"},
        {"back", "a|1 a|2 a|1"},
        {"the founders' again", "a|0"},
        {"another first one", "- a+ a|3"},
        {"skipped after a start", "a+1 a|3"},
        {"again after a start", "a+2 a|2"},
        {"set back by a checkpoint", "a|1 a|2 a&1"},
        {"skipped behind a checkpoint", "a&2 a|4"},
        {"another one than the checkpoint's", "a$2 a|1"},
        {"delivers before its first view", "a!F1 d+ d<1"},
        {"delivers between a checkpoint and its view", "a!F1 b$2 b<1"},
      });
  }

  TEST_CASE("primary chain") {
    check_histories(
      check_primary_chain,
      {
        {"founded", "."},
        {"one leaves", "a|1:ab b|1:ab"},
        {"it comes back", "a|1:ab a|2:abC"},
        {"two leave, who still vote", "a|1:a"},
        {"a learner", "a|1:abcd"},
        {"it is promoted", "a|1:abcd a|2:abcd*"},
        {"one voter of three is removed", "a|1:abc!"},
        {"a voter is replaced", "a|1:abc!d a|2:abd*"},
        {"entered by others later", "a|1:ab c&1:ab b|1:ab"},
        {"five", "a|1:abcde a|2:abcd*e* a|3:abcd!e!"},
        {"entered behind a restart", "a|1 a+1 a|2"},
      },
      {
        {"a gap", "a|1 b&3"},
        {"out of nothing", "b&1"},
        {"first by a checkpoint", "a|1 b&2"},
        {"two of three are removed", "a|1:abb!c!"},
        {"all are others", "a|1:a!b!c!d*"},
        {"nobody votes", "a|1:a_b_c_"},
        {"a stranger votes at once", "a|1:abcd*;dj"},
        {"promoted in silence", "a|1:abcd a|2:abcd*;"},
        {"promoted, and said to have joined", "a|1:abcd a|2:abcd*;dj"},
        {"two of five remain", "a|1:abcde a|2:abcd*e* a|3:abc!d!e!"},
        {"two voters of three lose their vote and go", "a|1 a|2:ab!c!"},
      });
  }

  TEST_CASE("accuracy of views") {
    check_histories(
      check_accuracy,
      {
        {"nothing changes", "a|1 b|1"},
        {"one failed", "a|1:ab"},
        {"one was excluded", "a|1:ab;cx"},
        {"it recovered", "a|1:ab a|2:abC;cr"},
        {"it failed and recovered at once", "a|1:abC;cfcr"},
        {"one joined", "d+ a|1:abcd;dj"},
        {"it was promoted", "d+ a|1:abcd a|2:abcd*;dp"},
        {"a voter was replaced", "d+ a|1:abcd;dj a|2:abc!d*;cfcydp"},
        {"two failed", "a|1:a;bfcf"},
        {"told once, whoever comes later", "a|1:ab;cf b|1:ab;cf c|1:ab;cf"},
        {"a learner goes", "d+ a|1:abcd;dj a|2:abc;df"},
      },
      {
        {"one is gone in silence", "a|1:ab;"},
        {"one is back in silence", "a|1:ab a|2:abC;"},
        {"one is said to have failed, and is there", "a|1:abc;cf"},
        {"one is said to have joined, and was there", "a|1:abc;cj"},
        {"one is said to have recovered, and has not", "a|1:ab;cfcr"},
        {"the other one is said to have failed", "a|1:ab;bf"},
        {"who never started is admitted", "a|1:abcd;dj"},
        {"a learner enters in silence", "d+ a|1:abcd;"},
        {"it votes in silence", "d+ a|1:abcd a|2:abcd*;"},
        {"it is said to be promoted, and is not", "d+ a|1:abcd a|2:abcd;dp"},
        {"a voter is removed in silence", "a|1:abc!;cf"},
        {"somebody unknown is said to have failed", "a|1:abc;ef"},
        {"a new incarnation in silence", "a|1:abC;"},
      });
  }

  TEST_CASE("order of change events") {
    check_histories(
      check_change_events,
      {
        {"nothing", "."},
        {"views at growing indices", "a|1>5 a|2>9"},
        {"messages between", "a!T1 a!T2 a<1>101 a<2>101 a|1>102"},
        {"a view's own messages", "a!T1 a<1>101 a|1>101"},
        {"live ones at the last index", "a!F1 a|1>105 a<1>105"},
        {"contact found, lost and found", "a*p+ a*p- a*p+"},
        {"stops and goes on", "a*w+ a|1 a*w- a*w+ a|2 a*w-"},
        {"stops again under a new incarnation", "c*w+ c|1:ab c*x c|2:abC c*w+"},
        {"is excluded", "c|1:ab c*x"},
        {"is given a checkpoint", "c*s c*t c&3>200"},
        {"is offered another one", "c*s c*s c*t"},
        {"founds", "a*f a*p+"},
        {"a new life begins anew", "a*p+ a*f a+0 a*p+ a*f"},
      },
      {
        {"a view below a message", "a!T1 a<1>101 a|1>100"},
        {"two views at one index", "a|1>101 a|2>101"},
        {"views go back", "a|1>105 a|2>104"},
        {"a message goes back", "a!T1 a|1>105 a<1>104"},
        {"set back by a checkpoint", "a|1>105 a$1>104"},
        {"contact found twice", "a*p+ a*p+"},
        {"contact lost, and there was none", "a*p-"},
        {"contact lost twice", "a*p+ a*p- a*p-"},
        {"goes on, and had not stopped", "a*w-"},
        {"stops twice", "a*w+ a*w+"},
        {"is excluded, and is a member", "a|1 a*x"},
        {"founds twice", "a*f a*f"},
        {"given a checkpoint that was not offered", "a*t"},
        {"given one twice", "a*s a*t a*t"},
      });
  }

  TEST_CASE("liveness of views") {
    check_histories(
      check_liveness,
      {
        {"all founders", "."},
        {"all in the next view", "a|1 b|1 c|1 ."},
        {"one died and is out", "cx a|1:ab b|1:ab ."},
        {"one died and is back", "c+0 a|1:abC b|1:abC c|1:abC ."},
        {"one came in", "d+ a|1:abcd b|1:abcd c|1:abcd d&1:abcd ."},
        {"one alone", "bx cx a|1:a ."},
        {"one was excluded and is back", "a|1:ab b|1:ab c|1:ab a|2:abC b|2:abC c|2:abC ."},
        {"nothing was ever founded", "- a+ ."},
        {"a voter that is away does not count", "cx a|1:abc. b|1:abc. ."},
        {"in the end", "a|1 ax a+1 a|2:Abc b|1 b|2:Abc c|1 c|2:Abc ."},
      },
      {
        {"one is behind", "a|1 b|1 ."},
        {"one was never told", "a|1:ab b|1:ab ."},
        {"one is out", "a|1:ab b|1:ab c|1:ab ."},
        {"one is dead and in", "cx ."},
        {"one is dead and in the next view", "cx a|1 b|1 ."},
        {"a stranger waits", "d+ ."},
        {"restarted, and not back", "c+0 ."},
        {"everybody in another one", "a|1 b|1 b|2 c|1 c|2 c|3 ."},
        {"a later view died with its members", "a|1 ax b|1:b ."},
        {"a learner was admitted and never came", "a|1:abcd b|1:abcd c|1:abcd ."},
        {"all are out", "a|1:b b|1:b c|1:b ."},
      });
  }

  TEST_CASE("I12: sending view") {
    check_histories(
      [](book&) { return check_sending_view(); },
      {
        {"nothing", "."},
        {"in the founders' view", "a!F1 b<1"},
        {"in the next", "a|1 b|1 a!F1 b<1"},
        {"its own", "a!F1 a<1"},
        {"from one who died since", "a!F1 ax b<1"},
        {"before one of two is excluded", "a!F1 b<1 b|1:bc"},
        {"from one who is back", "a|1:bc a|2:Abc b|1:bc b|2:Abc a!F1 b<1"},
        {"all orders", "a!U1 a!S2 a!C3 a!T4 b<1 b<2 b<3 b<4"},
        {"in a checkpoint's view", "a|1 a|2 b&2 a!F1 b<1"},
        {"after a restart", "a|1 b|1 b+1 a!F1 b<1"},
        {"by one who is out", "a!F1 c|1:ab c<1"},
      },
      {
        {"of the view before", "a!F1 b|1 b<1%0"},
        {"of the next view", "a!F1 b<1%1"},
        {"from one who is out", "a!F1 b|1:bc b<1"},
        {"from a stranger", "a!F1 b<1:d"},
        {"from one who has failed, by one behind", "c!F1 a|1:ab a<1 "},
        {"from an incarnation that is gone", "a!F1 b|1:bc b|2:Abc b<1"},
        {"from an incarnation to come", "a|1:bc a|2:Abc a!F1 b<1"},
        {"unordered counts", "a!U1 b|1 b<1%0"},
        {"total counts", "a!T1 b|1 b<1%0"},
        {"in a checkpoint's view, of one before", "a!F1 b&2 b<1%1"},
        {"after a restart, of another view", "a!F1 b|1 b+1 b<1%0"},
      });
  }

  TEST_CASE("I14: view agreement") {
    check_histories(
      [](book&) { return check_view_agreement(); },
      {
        {"founded", "."},
        {"the same", "a|1 b|1 c|1"},
        {"without one", "a|1:ab b|1:ab"},
        {"one after the other", "a|1:ab a|2:a b|1:ab b|2:a"},
        {"told to who is out", "a|1:ab c|1:ab"},
        {"by a checkpoint", "a|1:ab c&1:ab"},
        {"one is behind", "a|1 a|2 b|1"},
        {"a new incarnation", "a|1:ab a|2:abC b|1:ab b|2:abC"},
        {"a learner", "a|1:abcd b|1:abcd"},
        {"a later one is another one", "a|1:ab a|2:abC a|3:ab"},
        {"the next life", "a|1:ab a+0 a|1:ab"},
      },
      {
        {"other members", "a|1:ab b|1:bc"},
        {"more members", "a|1:ab b|1:abc"},
        {"other incarnations", "a|1:abc b|1:abC"},
        {"other voters", "a|1:abcd b|1:abcd*"},
        {"told to who is out", "a|1:ab c|1:ac"},
        {"in a checkpoint", "a|1:ab c&1:abc"},
        {"later", "a|1 a|2:ab b|1 b|2:bc"},
        {"in the next life", "a|1:ab a+0 a|1:abc"},
        {"one has a learner", "a|1:abc b|1:abcd"},
        {"nobody at one place", "a|1:abc b|1:a."},
        {"one removed a voter", "a|1:ab b|1:abc!"},
      });
  }

  TEST_CASE("I9: incarnations") {
    check_histories(
      [](book&) { return check_incarnations(); },
      {
        {"founded", "."},
        {"they stay", "a|1 a|2 a|3"},
        {"one goes", "a|1:ab a|2:ab"},
        {"it comes back under a new one", "a|1:ab a|2:abC a|3:abc"},
        {"at once", "a|1:abC a|2:abc"},
        {"twice", "a|1:ab a|2:abC a|3:ab a|4:abC"},
        {"a learner", "a|1:abcd a|2:abcd a|3:abc"},
        {"all", "a|1:ABC a|2:ABC"},
        {"told by another", "a|1:ab b|1:ab b|2:abC"},
        {"a checkpoint leaves a gap", "a&4"},
        {"one is alone", "a|1:a a|2:aB a|3:abC"},
      },
      {
        {"back under the old one", "a|1:ab a|2:abc"},
        {"later", "a|1:ab a|2:ab a|3:abc"},
        {"told by two", "a|1:ab b|1:ab b|2:abc"},
        {"the second time", "a|1:ab a|2:abC a|3:ab a|4:abc"},
        {"a learner", "a|1:abcd a|2:abc a|3:abcd"},
        {"all but one", "a|1:a a|2:abc"},
        {"the founder", "b|1:bc b|2:abc"},
        {"told by who was out", "c|1:ab c|2:abc"},
        {"after the gap is filled", "a|1:ab b&3:abc a|2:abc"},
        {"in the next life", "a|1:ab a+1:ab a|2:abc"},
        {"after others changed", "a|1:ab a|2:a a|3:aB a|4:abc"},
      });
  }
}
