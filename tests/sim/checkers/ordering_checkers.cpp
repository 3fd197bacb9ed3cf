// Checkers of what is delivered, and in which order, against histories.
#include "tests/sim/checkers/history.hpp"

#include <doctest/doctest.h>

using namespace cohort::sim;

TEST_SUITE("checkers") {
  TEST_CASE("integrity") {
    check_histories(
      check_integrity,
      {
        {"nothing happens", "."},
        {"its sender delivers it", "a!F1 a<1"},
        {"another delivers it", "a!F1 b<1"},
        {"all deliver it", "a!U1 a<1 b<1 c<1"},
        {"two orders", "a!F1 a!T2 b<1 b<2 a<1 a<2"},
        {"two senders", "a!C1 b!C2 c<2 c<1"},
        {"a batch of three", "a!F1 a!F2 a!F3 b<1+2+3 c<1+2+3"},
        {"submitted and not delivered", "a!F1 b!T2 ."},
        {"the same bytes twice", "a!T1 a!T1 b<1@1#1 b<1@2#2"},
        {"delivered after its sender died", "a!F1 ax b<1"},
        {"the same bytes of two senders", "a!F1 b!F1 c<1:a@1 c<1:b@1"},
        {"after a view change", "a!F1 a|1 b|1 a<1 b<1"},
      },
      {
        {"submitted by nobody", "b<9"},
        {"delivered before it is submitted", "b<1 a!U1"},
        {"from another sender", "a!F1 b<1:c"},
        {"in another order", "a!F1 b<1=U"},
        {"as total, and sent as causal", "a!C1 b<1=T"},
        {"in a batch with something else", "a!F1 b<1+2"},
        {"one batch with two contents", "a!F1 a!F2 b<1@1 c<2@1"},
        {"one batch, with more at one place", "a!F1 a!F2 b<1@1 c<1+2@1"},
        {"one batch, with another order at one place", "a!U1 b<1@1 c<1@1=F"},
        {"one batch in two views", "a!F1 b<1@1%0 c<1@1%1"},
        {"the same bytes once more than submitted, from another", "a!F1 b<1@1 b<1@1:c"},
        {"what another submitted, as one's own", "a!T1 b!T2 c<1:b"},
      });
  }

  TEST_CASE("I16: no duplicates") {
    check_histories(
      check_no_duplicates,
      {
        {"once", "a!F1 a<1"},
        {"once by each", "a!F1 a<1 b<1 c<1"},
        {"two messages", "a!F1 a!F2 b<1 b<2"},
        {"out of order", "a!U1 a!U2 b<2 b<1"},
        {"a batch of two", "a!F1 a!F2 b<1+2@1"},
        {"two lanes with equal numbers", "a!F1 a!C2 b<1@1 b<2@1"},
        {"two senders with equal numbers", "a!F1 b!F2 c<1@1 c<2@1"},
        {"the same bytes submitted twice", "a!T1 a!T1 b<1@1#1 b<1@2#2"},
        {"again by the next life", "a!F1 b<1 b+ b<1"},
        {"behind a checkpoint", "a!F1 a!F2 b&1/a1 b<2"},
        {"a life that begins with a checkpoint", "a!F1 a!F2 b<1 b+0/a1 b<2"},
        {"beyond a gap", "a!U1 a!U2 a!U3 b<3 b<1 b<2"},
      },
      {
        {"twice at once", "a!F1 a<1 a<1"},
        {"twice by another", "a!U1 b<1 b<1"},
        {"twice, with others between", "a!F1 b!F2 c<1 c<2 c<1"},
        {"a total one twice", "a!T1 b<1#1 b<1#2"},
        {"twice beyond a gap", "a!U1 a!U2 b<2 b<2"},
        {"a gap is filled twice", "a!U1 a!U2 b<2 b<1 b<1"},
        {"in two batches", "a!F1 b<1@1 b<1@2"},
        {"in two batches at two places", "a!C1 b<1@1 c<1@2"},
        {"twice in one batch", "a!F1 b<1+1"},
        {"what the restored checkpoint contains", "a!F1 b&1/a1 b<1"},
        {"what the checkpoint of a start contains", "a!F1 a!F2 b+0/a2 b<1"},
        {"the same bytes once too often", "a!T1 a!T1 b<1@1#1 b<1@2#2 b<1@3#3"},
        {"again in the next view", "a!F1 b<1 a|1 b|1 b<1"},
      });
  }

  TEST_CASE("I11: FIFO") {
    check_histories(
      check_fifo,
      {
        {"in order", "a!F1 a!F2 b<1 b<2"},
        {"one only", "a!F1 a!F2 b<1"},
        {"unordered overtakes", "a!U1 a!U2 b<2 b<1"},
        {"fifo does not wait for unordered", "a!U1 a!F2 b<2"},
        {"unordered does not wait for fifo", "a!F1 a!U2 b<2 b<1"},
        {"safe after fifo", "a!F1 a!S2 b<1 b<2"},
        {"total does not wait for causal in its lane here", "a!T1 a!C2 b<2 b<1"},
        {"two senders in any order", "a!F1 b!F2 c<2 c<1 a<1 a<2"},
        {"a batch of two, then a third", "a!F1 a!F2 a!F3 b<1+2@1 b<3@2"},
        {"behind a checkpoint", "a!F1 a!F2 a<1 a<2 b&1/a1 b<2"},
        {"after a message that was lost with its incarnation", "a!F1 a|1:bc a-1 a|2:Abc b|1:bc b|2:Abc a!F2 b<2"},
        {"total in order", "a!T1 a!T2 b<1 b<2 c<1 c<2"},
        {"plain and causal lanes apart", "a!F1 a!C2 b<2 b<1"},
      },
      {
        {"overtaken", "a!F1 a!F2 b<2 b<1"},
        {"a gap", "a!F1 a!F2 a!F3 b<1 b<3"},
        {"the first is missing", "a!F1 a!F2 b<2"},
        {"fifo does not wait for safe", "a!S1 a!F2 b<2"},
        {"safe does not wait for fifo", "a!F1 a!S2 b<2"},
        {"causal overtakes causal", "a!C1 a!C2 b<2"},
        {"causal overtakes safe causal", "a!s1 a!C2 b<2"},
        {"safe causal overtakes causal", "a!C1 a!s2 b<2"},
        {"total overtakes total", "a!T1 a!T2 b<2"},
        {"at one of two places", "a!F1 a!F2 b<1 b<2 c<2"},
        {"the sender itself", "a!F1 a!F2 a<2"},
        {"within a batch", "a!F1 a!F2 b<2+1@1"},
        {"a gap behind a checkpoint", "a!F1 a!F2 a!F3 a<1 a<2 a<3 b&1/a1 b<3"},
        {"a gap that another filled", "a!F1 a!F2 c<1 c<2 b<2"},
      });
  }

  TEST_CASE("I11: causal order") {
    check_histories(
      check_causal_order,
      {
        {"behind what was delivered", "a!C1 b<1 b!C2 c<1 c<2"},
        {"concurrent, in any order", "a!C1 b!C2 c<2 c<1 a<1 a<2"},
        {"total behind causal", "a!C1 b<1 b!T2 c<1 c<2"},
        {"causal behind total", "a!T1 b<1 b!C2 c<1 c<2"},
        {"causal does not wait for unordered", "a!U1 b<1 b!C2 c<2"},
        {"fifo carries no past", "a!C1 b<1 b!F2 c<2"},
        {"not through fifo of others", "a!C1 b<1 b!F2 c<2 c!C3 d+0 d<2 d<3"},
        {"behind fifo that was delivered", "a!F1 b<1 b!C2 c<1 c<2"},
        {"behind one's own fifo", "a!F1 a!C2 b<1 b<2"},
        {"own total sent before is no past of causal", "a!T1 a!C2 b<2 b<1"},
        {"what is delivered later is no past", "a!C1 b!C2 b<1 c<2"},
        {"a chain", "a!C1 b<1 b!C2 c<1 c<2 c!C3 a<1 a<2 a<3"},
        {"past in a checkpoint", "a!C1 b<1 b!C2 c&1/a0:1 c<2"},
        {"a lane that ended", "a!C1 b<1 b!C2 b|1:bc c|1:bc c<2"},
      },
      {
        {"before what was delivered", "a!C1 b<1 b!C2 c<2 c<1"},
        {"without what was delivered", "a!C1 b<1 b!C2 c<2"},
        {"total before causal", "a!C1 b<1 b!T2 c<2"},
        {"causal before total", "a!T1 b<1 b!C2 c<2"},
        {"before fifo that was delivered", "a!F1 b<1 b!C2 c<2"},
        {"before safe fifo that was delivered", "a!S1 b<1 b!s2 c<2"},
        {"before one's own fifo", "a!F1 a!C2 b<2"},
        {"total before one's own safe fifo", "a!S1 a!T2 b<2"},
        {"the second link of a chain is missing", "a!C1 b<1 b!C2 c<1 c<2 c!C3 a<1 a<3"},
        {"the sender's first life had it", "a!C1 a!C2 b<1 b<2 b!C3 c<1 c<3"},
        {"past beyond a checkpoint", "a!C1 a!C2 b<1 b<2 b!C3 c&0/a0:1 c<3"},
        {"the sender began with a checkpoint", "a!C1 b&0/a0:1 b!C2 c<2"},
        {"total before total that was delivered", "a!T1 b<1 b!T2 c<2"},
      });
  }

  TEST_CASE("atomicity") {
    check_histories(
      check_atomicity,
      {
        {"nothing", "."},
        {"all", "a!F1 a<1 b<1 c<1 ."},
        {"nobody", "a!F1 ."},
        {"in different orders", "a!U1 b!U2 a<1 a<2 b<2 b<1 c<1 c<2 ."},
        {"the dead do not count", "a!F1 a<1 b<1 cx ."},
        {"nor does what died with them", "a!F1 cx c+0 a<1 b<1 ."},
        {"all orders", "a!U1 a!F2 a!C3 a!T4 a<1 a<2 a<3 a<4 b<1 b<2 b<3 b<4 c<1 c<2 c<3 c<4 ."},
        {"within a checkpoint", "a!F1 a<1 b<1 c&0/a1 ."},
        {"only in the last view", "a!F1 a<1 ax b|1:bc c|1:bc b!F2 b<2 c<2 ."},
        {"who is out does not count", "a!F1 a|1:ab b|1:ab c|1:ab a<1 b<1 ."},
        {"a batch of two", "a!F1 a!F2 a<1+2@1 b<1+2@1 c<1+2@1 ."},
      },
      {
        {"only one", "a!F1 a<1 ."},
        {"all but one", "a!F1 a<1 b<1 ."},
        {"all but the sender", "a!F1 b<1 c<1 ."},
        {"unordered", "a!U1 a<1 b<1 ."},
        {"total", "a!T1 a<1 b<1 ."},
        {"others", "a!F1 b!F2 a<1 b<2 c<1 ."},
        {"a gap everywhere", "a!F1 a!F2 a<2 b<2 c<2 ."},
        {"a gap at one", "a!U1 a!U2 a<1 a<2 b<1 b<2 c<2 ."},
        {"in the last view", "a|1 b|1 c|1 a!F1 a<1 b<1 ."},
        {"behind a checkpoint", "a!F1 a!F2 a<1 a<2 b<1 b<2 c&0/a1 ."},
        {"of a dead sender", "a|1 b|1 c|1 a!F1 ax b<1 ."},
      });
  }

  TEST_CASE("reliability") {
    check_histories(
      check_reliability,
      {
        {"nothing", "."},
        {"all", "a!F1 a<1 b<1 c<1 ."},
        {"reported", "a!F1 a-1 ."},
        {"the sender died", "a!F1 ax ."},
        {"the sender's former life", "a!F1 a+0 ."},
        {"unknown behind a checkpoint", "a!F1 a&2 ."},
        {"who died has not", "a!F1 a<1 b<1 cx ."},
        {"who is out has not", "c|1:ab a|1:ab b|1:ab a!F1 a<1 b<1 ."},
        {"the lane has ended", "a!F1 a<1 b<1 a|1:bc a|2:Abc b|1:bc b|2:Abc c|1:bc c|2:Abc ."},
        {"of all orders", "a!U1 a!T2 a<1 a<2 b<1 b<2 c<1 c<2 ."},
        {"the same bytes twice", "a!T1 a!T1 a<1@1#1 a<1@2#2 b<1@1#1 b<1@2#2 c<1@1#1 c<1@2#2 ."},
      },
      {
        {"delivered nowhere", "a!F1 ."},
        {"not to its sender", "a!F1 b<1 c<1 ."},
        {"not to one", "a!F1 a<1 b<1 ."},
        {"to the sender alone", "a!F1 a<1 ."},
        {"unordered", "a!U1 a<1 b<1 ."},
        {"total", "a!T1 a<1 c<1 ."},
        {"the second", "a!C1 a!C2 a<1 b<1 c<1 ."},
        {"another was reported", "a!F1 a!F2 a-1 ."},
        {"of the second life", "a!F1 a+0 a|1:Abc b|1:Abc c|1:Abc a!F2 ."},
        {"across a view", "a!F1 a<1 b<1 a|1 b|1 c|1 ."},
        {"submitted behind a checkpoint", "a&2 b&2 c&2 a!F1 ."},
      });
  }

  TEST_CASE("O10: termination") {
    check_histories(
      check_termination,
      {
        {"nothing", "."},
        {"delivered", "a!F1 a<1 ."},
        {"reported", "a!F1 a-1 ."},
        {"the sender died", "a!F1 ax ."},
        {"unknown", "a!F1 a&2 ."},
        {"delivered and reported", "a!F1 a!F2 a<1 a-2 ."},
        {"each of three orders", "a!U1 a!C2 a!T3 a<1 a-2 a<3 ."},
        {"reported, and had by one who is out", "a!F1 c<1 a-1 ."},
        {"within a checkpoint", "a!F1 b<1 a&2/a1 ."},
        {"two senders", "a!F1 b!F2 a<1 b-2 ."},
        {"a batch", "a!F1 a!F2 a<1+2@1 ."},
      },
      {
        {"open", "a!F1 ."},
        {"open, though others have it", "a!F1 b<1 c<1 ."},
        {"delivered, then reported", "a!F1 a<1 a-1"},
        {"reported, then delivered", "a!F1 a-1 a<1"},
        {"reported twice", "a!F1 a-1 a-1"},
        {"reported, and never submitted", "a-9"},
        {"reported to another", "a!F1 b-1"},
        {"one of two is open", "a!T1 a!T2 a<1 ."},
        {"the second of three is open", "a!C1 a!C2 a!C3 a<1 a<3 ."},
        {"submitted behind a checkpoint", "a&2 a!F1 ."},
        {"of a batch, one was reported", "a!F1 a!F2 a-2 a<1+2@1"},
      });
  }

  TEST_CASE("O10: losses") {
    check_histories(
      check_losses,
      {
        {"nothing", "."},
        {"delivered by nobody", "a!S1 a-1 ."},
        {"fifo, by one who died", "a!F1 c<1 cx a-1 ."},
        {"fifo, by one who was excluded", "a!F1 c<1 a|1:ab c|1:ab a-1 ."},
        {"unordered, by one who was excluded", "a!U1 c<1 c|1:ab a-1 ."},
        {"delivered and not reported", "a!S1 a<1 b<1 a|1 b|1 ."},
        {"another was reported", "a!S1 a!S2 b<1 a-2 ."},
        {"total, by nobody", "a!T1 a-1 ."},
        {"causal, by its sender, who is out", "a!C1 a<1 a|1:bc b|1:bc ."},
        {"fifo, by one who is still in the view", "a!F1 c<1 a-1 ."},
        {"the same one's next message", "a!S1 a-1 a|1:bc a|2:Abc a!S2 a<2 ."},
      },
      {
        {"safe, by one who died", "a!S1 c<1 cx a-1"},
        {"safe, by one who was excluded", "a!S1 c<1 c|1:ab a-1"},
        {"safe, later", "a!S1 a-1 c<1"},
        {"safe causal", "a!s1 b<1 a-1"},
        {"total", "a!T1 b<1 a-1"},
        {"total, later", "a!T1 a-1 b<1"},
        {"fifo, by one who stayed", "a!F1 b<1 b|1 a-1 ."},
        {"fifo, by one who stayed without the sender", "a!F1 b<1 a|1:bc a-1 b|1:bc ."},
        {"unordered, by one who stayed", "a!U1 b<1 b|1:bc a-1 ."},
        {"causal, by one who stayed", "a!C1 c<1 c|1:bc a-1 ."},
        {"by two who stayed", "a!F1 b<1 c<1 b|1:bc c|1:bc a-1 ."},
        {"the first of two", "a!S1 a!S2 b<1 a-1 a-2 ."},
      });
  }

  TEST_CASE("I10: total order") {
    check_histories(
      [](book&) { return check_total_order(); },
      {
        {"nothing", "."},
        {"one", "a!T1 a<1#1"},
        {"at all", "a!T1 a<1#1 b<1#1 c<1#1"},
        {"two senders", "a!T1 b!T2 a<1#1 a<2#2 b<1#1 b<2#2"},
        {"a batch takes two places", "a!T1 a!T2 b!T3 a<1+2@1#1 a<3#3 b<1+2@1#1 b<3#3"},
        {"one is behind", "a!T1 a!T2 a<1#1 a<2#2 b<1#1"},
        {"the next life begins anew", "a!T1 a<1#1 a+ a<1#1"},
        {"other orders have no place", "a!F1 a!T2 a<1 a<2#1 b<2#1 b<1"},
        {"two incarnations", "a!T1 b<1#1 b|1:bc b|2:Abc a|1:bc a|2:Abc a!T2 b<2#2"},
        {"the sender died", "a!T1 ax b<1#1 c<1#1"},
        {"three", "a!T1 b!T2 c!T3 c<2#1 c<3#2 c<1#3 b<2#1 b<3#2"},
      },
      {
        {"two at one place", "a!T1 b!T2 a<1#1 b<2#1"},
        {"in another order", "a!T1 b!T2 a<1#1 a<2#2 b<2#1"},
        {"a gap", "a!T1 a!T2 a<1#1 a<2#3"},
        {"the first is missing", "a!T1 a<1#2"},
        {"again", "a!T1 a<1#1 a<1#1"},
        {"again at the next place", "a!T1 a<1#1 a<1#2"},
        {"at another place elsewhere", "a!T1 b!T2 a<1#1 a<2#2 c<1#1 c<2#2 c<2#3"},
        {"back", "a!T1 a!T2 a<1#1 a<2#2 a<1#1"},
        {"another sender", "a!T1 a<1#1 b<1:c#1"},
        {"another batch number", "a!T1 a<1@1#1 b<1@2#1"},
        {"under another index", "a!T1 a<1#1>50 b<1#1>51"},
        {"as of another view", "a!T1 a<1#1%0 b<1#1%1"},
        {"a batch with more", "a!T1 a!T2 a<1@1#1 b<1+2@1#1"},
      });
  }
}
