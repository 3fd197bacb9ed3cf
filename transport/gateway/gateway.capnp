@0xb7c4e1f0a95d2c36;
# What programs outside the group ask of any of its nodes (docs/rpc.md). New fields, methods and enumerants go at the end; a client
# treats a reason it does not know as `other`. A node's gateway offers `Gateway` as its bootstrap capability (two-party RPC over TCP).
# Every number of bytes, requests and connections is bounded by the node; what is over a bound is refused, with a reason and a text.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("cohort::transport::gateway::wire");

struct Session {
  idHigh @0 :UInt64;   # with idLow 128 random bits, drawn by the client: who does not know them cannot use the session
  idLow  @1 :UInt64;
  birth  @2 :UInt64;   # 0 to open; completes the name, as the answer brings it
}

enum Verdict {
  replied @0;          # executed; the payload answers
  refused @1;          # not executed
  expired @2;          # not executed: the deadline was over
  unknown @3;          # this copy may have been executed, or may be still: send the same number again, or cancel it
}

enum Reason {
  none @0;
  other @1;
  noQuorum @2;         # this node has no contact with a quorum's leader
  busy @3;
  notMember @4;
  lost @5;
  stopped @6;
  tooLarge @7;
  notEnabled @8;       # the group has no sessions, or not this order
  expired @9;
  unresolved @10;
  noSession @11;       # it expired, was closed or never opened: whether an earlier copy was executed cannot be told any more
  forgotten @12;
  tooFar @13;
  answersFull @14;
  sessionsFull @15;
  cancelled @16;       # never will be executed
  malformed @17;
  noGroup @18;
  overLimit @19;       # more than one client may ask for
}

struct Answer {
  verdict  @0 :Verdict;
  reason   @1 :Reason;
  retry    @2 :Bool;     # the same number may be sent again, here or through another member
  why      @3 :Text;     # for people
  payload  @4 :Data;
  repeated @5 :Bool;     # executed before: this is the kept answer
  position @6 :UInt64;   # in the total order, at which it was executed; of a query: the newest message applied
  index    @7 :UInt64;   # the log entry of that; `seen` of session-consistent reads
  view     @8 :UInt64;
  timeUs   @9 :Int64;    # agreed time of that, microseconds since 1970
  birth    @10 :UInt64;  # of a session
  read     @11 :Read;    # of a query: how fresh the answer is, at least
}

struct Request {
  number            @0 :UInt64;  # from 1 up; 0: without a session, at most once
  acknowledgedBelow @1 :UInt64;  # the client has the answers of all smaller numbers
  payload           @2 :Data;
  cancel            @3 :Bool;    # settles what became of the number: executed, or never
}

enum Read {
  linearizable @0;     # sees every write completed before it was asked
  lease        @1;     # the same, by the leader's lease, in groups that have it
  session      @2;     # sees log entry `seen`
  bounded      @3;     # not older than `maxAgeMs`
  local        @4;     # as this member is
}

struct Member {
  name   @0 :Text;
  active @1 :Bool;
  voter  @2 :Bool;
}

struct Group {
  name    @0 :Text;
  leader  @1 :Text;    # empty: none known here
  view    @2 :UInt64;
  members @3 :List(Member);
  applied @4 :UInt64;  # newest log entry applied by this node
  primary @5 :Bool;    # this node has contact with a quorum's leader
  sessions @6 :Bool;
}

struct Place {
  name    @0 :Text;
  address @1 :Text;    # of this member's gateway, host:port
}

struct Event {
  union {
    delivery @0 :Delivery;
    view     @1 :View;
    missed   @2 :UInt64;  # so many events at least came that were not kept until this client took them, or not delivered to this node (S4)
  }
}

struct Delivery {
  payload  @0 :Data;
  order    @1 :Text;
  position @2 :UInt64;    # in the total order; 0 in others
  index    @3 :UInt64;
  view     @4 :UInt64;
  sender   @5 :Text;
  timeUs   @6 :Int64;
  late     @7 :Bool;
  request  @8 :Bool;      # a session's request; a repeated one is delivered again, and executed once
}

struct View {
  number  @0 :UInt64;
  index   @1 :UInt64;
  timeUs  @2 :Int64;
  members @3 :List(Member);
  changes @4 :List(Text);  # "n2 failed"
}

enum Collate {         # when a call of all members has enough answers
  none @0;             # when it is delivered at the gateway's node
  first @1;
  some @2;             # `count`
  majority @3;         # of the members of the view that delivers it
  all @4;              # of them that are left
  custom @5;           # `progress` says it
}

enum Standing {
  awaited @0;          # no answer yet: more were not needed
  answered @1;
  tooLarge @2;         # its answer may not travel; it was executed there
  left @3;
  failed @4;           # it may have been executed there
  late @5;
}

enum End {
  open @0;             # not yet: what `progress` sees
  met @1;
  unmet @2;            # those that are left cannot make it enough, or `progress` gave up
  late @3;
  cancelled @4;
  stopped @5;          # the gateway's node left the group or stopped
  undelivered @6;      # `answer` says why
}

struct MemberAnswer {
  member      @0 :Text;
  incarnation @1 :UInt64;
  standing    @2 :Standing;
  payload     @3 :Data;
}

struct Collected {
  answer  @0 :Answer;  # what became of the message: verdict, place, view; its payload is empty
  end     @1 :End;
  members @2 :List(MemberAnswer);  # of the view that delivered it
}

enum Judgement {
  wait @0;
  enough @1;
  giveUp @2;
}

interface Progress {
  changed @0 (soFar :Collected) -> (judgement :Judgement);
  # After each answer and each view; while one is judged, later ones become one.
}

interface Gateway {
  discover @0 () -> (node :Text, cluster :Text, groups :List(Group), gateways :List(Place));
  open     @1 (group :Text, session :Session, lifetimeMs :UInt64) -> (answer :Answer);
  # Opens or, with a birth, renews. Safe to repeat.
  close    @2 (group :Text, session :Session) -> (answer :Answer);
  call     @3 (group :Text, session :Session, requests :List(Request), order :Text, withinMs :UInt64) -> (answers :List(Answer));
  # Answered when the last of them is. `order` of those without session, empty: the group's default. `withinMs` > 0: from now on, by
  # the node's clock; a request that is ordered later is executed nowhere.
  query    @4 (group :Text, question :Data, how :Read, seen :UInt64, maxAgeMs :UInt64) -> (answer :Answer);
  watch    @5 (group :Text) -> (stream :Stream, answer :Answer);
  # Refused: there is no stream, and `answer` says why.
  collect  @6 (group :Text, session :Session, request :Request, order :Text, withinMs :UInt64, collate :Collate, count :UInt32,
               progress :Progress) -> (collected :Collected);
  # A call of all members, in groups that take calls; `withinMs`, 1 ms to 1 h, is for the order and the answers. Given up when the
  # caller drops it: members need not answer any more, but may have executed it.
  ping     @7 () -> ();
  # Answered at once: a client that hears nothing for a while although it waits for an answer goes to another member. It counts as a
  # request of the client's rate.
}

interface Stream {
  next @0 (bytesMax :UInt64) -> (events :List(Event));
  # Waits for at least one event. The next is asked for when a client has room for it: nothing is sent that it did not ask for.
}
