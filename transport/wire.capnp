@0xd3c0a6e1f1b25a47;

# What nodes say to each other. A frame is 16 bytes of header (transport/codec.hpp) and one segment that holds one of
# the structs below; the header's type says which. docs/transport.md has the grammar, limits and the version rule.
# New fields and new structs go at the end; a receiver ignores what it does not know (rule M1).

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("cohort::transport::wire");

# ---- Links ---------------------------------------------------------------------------------------------------------

struct Hello {
  magic       @0 :UInt64;        # "cohort" and two zero bytes: a stranger's bytes are told from an old version's
  version     @1 :UInt32;        # newest the sender speaks
  oldest      @2 :UInt32;        # oldest the sender speaks
  name        @3 :Text;
  member      @4 :UInt16;
  directoryId @5 :UInt64;        # of the data directory: a name with another directory is a replacement
  bootId      @6 :UInt64;        # of the process: tells a restarted peer from a broken connection
  epoch       @7 :UInt64;
  cluster     @8 :UInt64;        # digest of the founders' table
  founders    @9 :List(Founder);
  groups      @10 :List(Group);
  attempt     @11 :UInt64;       # of this connection between these two processes; the larger one wins
  target      @12 :UInt16;       # the member whom the sender believes to talk to
  dialled     @13 :Bool;         # the sender opened the connection
  unpacks     @14 :UInt32;       # what the sender can unpack: 1 = zstd

  struct Founder {
    member @0 :UInt16;
    name   @1 :Text;
    where  @2 :Text;
  }
  struct Group {
    index    @0 :UInt32;
    name     @1 :Text;
    hash     @2 :UInt64;
    identity @3 :UInt64;
    blank    @4 :Bool;
    founding @5 :UInt64;  # compared where both are blank; 0: not told
  }
}

# First frame of a process that is no member yet and wants to know the cluster; answered with Nodes, or closed.
struct AskNodes {
  magic   @0 :UInt64;
  version @1 :UInt32;
  name    @2 :Text;              # for the log
}

# The cluster as a node knows it.
struct Nodes {
  cluster  @0 :Text;             # its name, if it has one
  epoch    @1 :UInt64;
  founders @2 :List(Hello.Founder);
  version  @3 :UInt64;           # of the table: changes since the founding
  nodes    @4 :List(Node);       # by number, founders first

  struct Node {
    name    @0 :Text;
    address @1 :Text;
    present @2 :Bool;            # false: removed for good
  }
}

# Last frame before the sender closes the connection.
struct Refuse {
  code @0 :UInt16;
  text @1 :Text;                 # from the receiver's point of view
  attempt @2 :UInt64;            # largest number of a connection seen between the two
}

# What changed in the groups which the sender hosts since its HELLO, or since the frame like this before; the header's group index is 0.
struct Hosted {
  added   @0 :List(Hello.Group); # new ones, and those that are set up differently from now on
  dropped @1 :List(UInt32);      # numbers; those the receiver never heard of count for nothing
}

# Heartbeat of a node, for all its groups; the header's group index is 0.
struct Pulse {
  number      @0 :UInt64;
  sendTime    @1 :Int64;         # nanoseconds of the sender's monotonic clock; only echoed
  echoTime    @2 :Int64;
  firstChange @3 :UInt64;
  known       @4 :UInt64;
  complete    @5 :Bool;
  changes     @6 :List(Change);

  struct Change {
    group @0 :UInt32;
    kind  @1 :UInt8;
    term  @2 :UInt64;
  }
}

# ---- Payload -------------------------------------------------------------------------------------------------------

# The messages of a batch or chunk are two runs of bytes, so that neither side works per message: `sizes` holds the
# length of each, `blob` all bytes back to back; the sizes add up to the length of the blob.

struct Batch {
  view  @0 :UInt64;
  slot  @1 :UInt16;
  seq   @2 :UInt64;
  stamp @3 :UInt64;
  sizes @4 :List(UInt32);
  blob  @5 :Data;
  owner @6 :UInt16;              # of the lane: its slot may mean another one at the receiver
  inc   @7 :UInt64;
  class @8 :UInt8 = 5;           # order of all its messages; it also tells the kind of lane
  tdep  @9 :UInt64;
  deps  @10 :List(UInt64);
  deadline @11 :Int64;           # microseconds since 1970, 0 = none
  part  @12 :UInt32;             # of a large message, counted from 0
  more  @13 :Bool;               # and it is not the last one
  begun @14 :UInt64;             # view in which part 0 was sealed
}

# A batch above the final cut of its lane that is delivered all the same.
struct Extra {
  slot @0 :UInt16;
  seq  @1 :UInt64;
}

struct Chunk {
  term   @0 :UInt64;
  index  @1 :UInt64;
  number @2 :UInt32;
  count  @3 :UInt32;
  sizes  @4 :List(UInt32);
  blob   @5 :Data;
}

# ---- Views ---------------------------------------------------------------------------------------------------------

# The rules of a group. Times in nanoseconds.
struct Options {
  orders        @0 :UInt8 = 32;  # a bit for each order that the group takes
  defaultOrder  @1 :UInt8 = 5;
  reads         @2 :UInt8;
  slow          @3 :UInt8;
  minority      @4 :Bool;
  shrink        @5 :Bool;
  minVoters     @6 :UInt16 = 3;
  minCopies     @7 :UInt16 = 1;
  heartbeat     @8 :Int64;
  electionMin   @9 :Int64;
  failAfter     @10 :Int64;
  laneWindow    @11 :UInt64;
  retainBytes   @12 :UInt64;
  retainTime    @13 :Int64;
  suspectAt     @14 :UInt32 = 8000;
  clockRatePpm  @15 :UInt32 = 200;
  lease         @16 :Int64;
  clockMargin   @17 :Int64;
  messageBytesMax @18 :UInt64 = 16777216;
  inMemory      @19 :Bool;
}

struct View {
  number @0 :UInt64;
  roster @1 :List(Entry);
  burnt  @2 :List(Burnt);
  notes  @3 :List(Note);
  options @4 :Options;
  kinds  @5 :UInt8 = 2;          # a bit for each kind of lane
  barred @6 :List(UInt16);
  admitted @7 :UInt64;           # newest view in which somebody became active
  largestMessage @8 :UInt64;     # largest limit of messages so far

  struct Entry {
    member   @0 :UInt16;
    voter    @1 :Bool;
    active   @2 :Bool;
    identity @3 :UInt64;
    inc      @4 :UInt64;
    witness  @5 :Bool;
  }
  struct Burnt {
    member @0 :UInt16;
    inc    @1 :UInt64;
  }
  struct Note {
    member   @0 :UInt16;
    cause    @1 :UInt8;
    identity @2 :UInt64;
  }
}

# ---- Log -----------------------------------------------------------------------------------------------------------

struct LogEntry {
  index @0 :UInt64;
  term  @1 :UInt64;
  kind  @2 :UInt8;
  time  @3 :Int64;               # microseconds since 1970, agreed
  cut   @4 :List(UInt64);
  next  @5 :View;                # kind `view` only
  extras @6 :List(Extra);        # kind `view` only
}

struct Append {
  term       @0 :UInt64;
  prevIndex  @1 :UInt64;
  prevTerm   @2 :UInt64;
  commit     @3 :UInt64;
  sendTime   @4 :Int64;          # nanoseconds of the leader's monotonic clock; only echoed
  minApplied @5 :UInt64;
  entries    @6 :List(LogEntry);
}

struct Ack {
  term        @0 :UInt64;
  inc         @1 :UInt64;
  matchTerm   @2 :UInt64;
  match       @3 :UInt64;
  applied     @4 :UInt64;
  view        @5 :UInt64;
  echoTime    @6 :Int64;
  have        @7 :List(UInt64);
  noState     @8 :Bool;
  reject      @9 :Bool;
  refusedPrev @10 :UInt64;
  hint        @11 :UInt64;
  clockAhead  @12 :Bool;
  base        @13 :UInt64;
}

# The acks of all groups of one pass; the header's group index is 0.
struct AckSet {
  acks @0 :List(Item);

  struct Item {
    group @0 :UInt32;
    ack   @1 :Ack;
  }
}

# ---- Election and views --------------------------------------------------------------------------------------------

struct Vote {
  phase     @0 :UInt8;
  request   @1 :Bool;
  granted   @2 :Bool;
  term      @3 :UInt64;
  forTerm   @4 :UInt64;
  lastIndex @5 :UInt64;
  lastTerm  @6 :UInt64;
  handedOver @7 :Bool;
}

struct TakeOver {
  term     @0 :UInt64;
  forLinks @1 :Bool;
}

struct Wedge {
  term    @0 :UInt64;
  attempt @1 :UInt64;
  view    @2 :UInt64;
}

struct Report {
  term    @0 :UInt64;
  attempt @1 :UInt64;
  view    @2 :UInt64;
  inc     @3 :UInt64;
  noState @4 :Bool;
  front   @5 :List(UInt64);
  extras  @6 :List(Extra);
}

struct Join {
  inc      @0 :UInt64;
  known    @1 :UInt64;
  hasState @2 :Bool;
  burnt    @3 :UInt64;            # not 0: the leader's answer
  barred   @4 :Bool;              # the leader's answer
}

struct Form {
  phase    @0 :UInt8;
  attempt  @1 :UInt64;
  founders @2 :View;
}

# Asks the leader for a change of the view; repeated until it answers.
struct ChangeRequest {
  id      @0 :UInt64;
  kind    @1 :UInt8;
  who     @2 :UInt16;
  options @3 :Options;            # kind `options` only
  basedOn @4 :Options;            # the rules these are to follow; none: whatever they are then
}

struct ChangeReply {
  id  @0 :UInt64;
  why @1 :UInt8;                  # 0: done
}

# ---- Repair and reads ----------------------------------------------------------------------------------------------

struct Pull {
  view @0 :UInt64;
  slot @1 :UInt16;
  from @2 :UInt64;
  to   @3 :UInt64;               # inclusive
  owner @4 :UInt16;
  inc   @5 :UInt64;
  kind  @6 :UInt8 = 1;           # of lane
}

struct PullChunk {
  index  @0 :UInt64;
  number @1 :UInt32;
}

struct ReadRequest {
  id @0 :UInt64;
}

struct ReadReply {
  id      @0 :UInt64;
  refused @1 :Bool;
  index   @2 :UInt64;
}

# ---- Detection -----------------------------------------------------------------------------------------------------

# Leader to a member to the one that is suspected, and back the same way.
struct Probe {
  term     @0 :UInt64;
  asker    @1 :UInt16;
  subject  @2 :UInt16;
  asked    @3 :Int64;            # nanoseconds of the asker's monotonic clock; only echoed
  answered @4 :Bool;
  deaf     @5 :UInt32;           # active members the one in between has not heard for long
  reset    @6 :Bool;             # the one in between: the subject has closed its link to me, too
}

# ---- Partitionable groups ------------------------------------------------------------------------------------------

# What members of a component say to each other beside batches and pulls; the body's layout is the protocol's own
# (framework/protocol/partition/codec.cpp), the same in all processes of a group.
struct ComponentControl {
  body @0 :Data;
}

# ---- Calls ---------------------------------------------------------------------------------------------------------

# What a member answers to calls of another one's callers (docs/rpc.md). `sizes` and `blob` as in a batch, one for each item.
struct CallAnswers {
  inc   @0 :UInt64;              # of the answering replica
  to    @1 :UInt64;              # incarnation under which the calls were made
  items @2 :List(Item);
  sizes @3 :List(UInt32);
  blob  @4 :Data;

  struct Item {
    number   @0 :UInt64;
    view     @1 :UInt64;         # that delivered the call there
    tooLarge @2 :Bool;           # also of parts, for who knows none
    offset   @3 :UInt32;         # of a part of an answer, the only item here
    total    @4 :UInt32;         # bytes of the whole answer; 0: it is whole
  }
}

# Nobody waits for the answers to these any more.
struct CallsOver {
  inc     @0 :UInt64;            # under which the calls were made
  numbers @1 :List(UInt64);
}

# ---- Divergence ----------------------------------------------------------------------------------------------------

# What a replica holds behind a message of the total order (docs/state-machines.md).
struct StateDigest {
  inc      @0 :UInt64;           # of the replica
  position @1 :UInt64;
  digest   @2 :UInt64;
}
