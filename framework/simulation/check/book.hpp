#pragma once

#include "framework/simulation/checker.hpp"

#include <map>
#include <unordered_map>

namespace cohort::sim {

/// What applications did and saw: submissions, batches, views, and who has had what. Kept once for all checkers of group
/// communication; it is told of everything before they are, and breaks nothing itself.
class book final : public checker {
public:
  using index = std::uint32_t;
  static constexpr index none = ~index(0);

  /// The batches of one lane that a process has had: up to a number, and some beyond it.
  class had_set {
  public:
    bool has(sequence s) const;
    /// False if it was there already.
    bool add(sequence s);
    /// A checkpoint contains everything up to `s`.
    void raise(sequence s);
    sequence upto() const { return upto_; }
    const std::vector<sequence>& beyond() const { return beyond_; }
    bool operator==(const had_set&) const = default;

  private:
    sequence upto_ = 0;
    std::vector<sequence> beyond_;  ///< sorted
  };

  struct message {
    std::uint64_t hash = 0;
    index stream = none, nth = 0;  ///< of what one life submitted for lanes of one kind
    index same = none;             ///< an earlier message with this hash
    order cls = order::total;
    bool twin = false;             ///< its member has submitted another one like it
    bool lost = false;             ///< its sender was told that it is delivered nowhere
    bool unknown = false;          ///< its sender was told that nobody can say
    view_number submitted_in = 0;
    index lane = none;             ///< where it was seen
    sequence seq = 0;
  };
  /// All that a life submitted for its lanes of one kind.
  struct stream {
    std::uint64_t life = 0;
    member_id member = no_member;
    protocol::lane_kind kind{};
    std::vector<index> messages;
  };
  struct batch {
    bool known = false;
    order cls = order::total;
    view_number view = 0;
    protocol::payload what;
    std::vector<index> messages;   ///< `none`: nobody submitted it
  };
  struct lane {
    protocol::lane_name name;
    std::vector<batch> batches;    ///< by number, from 1
    const batch* find(sequence s) const { return s > 0 && s <= batches.size() && batches[s - 1].known ? &batches[s - 1] : nullptr; }
  };
  /// The highest numbers of a lane that were delivered: of what is ordered by lanes (F, SF, C, SC), and of T; and up to
  /// where a checkpoint contains it.
  struct reach {
    sequence ordered = 0, total = 0, floor = 0;
  };
  /// One life, as its application sees it.
  struct reader {
    sim::life who;
    bool up = true;
    protocol::view_ptr in, before;     ///< the view it is in, and the one it was in
    incarnation inc = 0, inc_before = 0;  ///< under which it is active there; 0 = it is not
    view_number member_since = 0;      ///< first view in which it was active under `inc`
    bool restored = false;             ///< the next view comes with a checkpoint
    bool from_log = false;             ///< entered the view behind the one before it
    bool witness = false;              ///< keeps the log and delivers nothing (W1)
    std::vector<had_set> had;          ///< by lane
    std::vector<had_set> had_before;   ///< the same before it was given its newest checkpoint
    std::vector<reach> reached;        ///< by lane
    bool stayed() const { return from_log && inc != 0 && inc == inc_before; }
  };
  /// The delivery that is being announced.
  struct delivery {
    index lane = none;
    const batch* what = nullptr;
    bool fresh = true;   ///< this life has not had it
    bool repeated = false;  ///< one of its messages is in another batch already
    bool same = true;    ///< the bytes, class and view are those that others saw
  };

  const char* property() const override { return "the book of messages"; }
  void started(const life&, const disk::found&) override;
  void stopped(const life&) override;
  void submitted(const life&, order, std::uint64_t message_hash) override;
  void undelivered(const life&, order, std::uint64_t message_hash) override;
  void delivered(const life&, const protocol::deliver_batch&) override;
  void expired(const life&, const protocol::deliver_void&) override;
  void part(const life&, const protocol::lane_name&, sequence, const protocol::message_part&) override;
  void installed(const life&, const protocol::deliver_view&) override;
  void restored(const life&, const protocol::mark&) override;

  const delivery& now() const { return now_; }
  const reader& of(const life& l) const { return readers_.at(l.number); }
  const std::map<std::uint64_t, reader>& readers() const { return readers_; }
  const std::vector<message>& messages() const { return messages_; }
  const std::vector<stream>& streams() const { return streams_; }
  const std::vector<lane>& lanes() const { return lanes_; }
  /// The message submitted or reported last.
  index last_submitted() const { return last_submitted_; }
  index last_lost() const { return last_lost_; }
  /// The lanes of a view, by slot.
  std::vector<index> lanes_of(const protocol::view& v);
  const had_set& had(const reader& r, index lane) const;
  reach reached(const reader& r, index lane) const { return lane < r.reached.size() ? r.reached[lane] : reach{}; }
  index stream_of(std::uint64_t life, protocol::lane_kind k) const;

private:
  index lane_of(const protocol::lane_name& name);
  reader& reader_of(const life& l);
  void begin(reader& r, const protocol::mark& at);
  void know(batch& b, index lane, sequence seq, const protocol::deliver_batch& d);

  std::map<std::uint64_t, reader> readers_;
  std::map<protocol::lane_name, index> lane_index_;
  std::map<std::pair<std::uint64_t, protocol::lane_kind>, index> stream_index_;
  std::vector<lane> lanes_;
  std::vector<stream> streams_;
  std::vector<message> messages_;
  std::unordered_map<std::uint64_t, index> by_hash_;  ///< the newest message with it
  delivery now_;
  index last_submitted_ = none, last_lost_ = none;
};

/// How tests and reports name things.
std::string name_of(const life& l);
std::string name_of(const protocol::lane_name& n, sequence seq);

}  // namespace cohort::sim
