#pragma once

#include "framework/primary_backup/agreed_copy.hpp"
#include "framework/primary_backup/ended_offices.hpp"
#include "framework/primary_backup/office.hpp"
#include "framework/primary_backup/update_message.hpp"

#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace cohort::primary_backup {

/// Is told what is about to be executed, where it outlives the process, and that it is over.
class execution_witness {
public:
  virtual ~execution_witness() = default;
  virtual void begins(const delivery& request, view_number office) = 0;
  virtual void ends() = 0;
};

/// A member of a primary/backup group: keeps the requests that no accepted update has settled, judges updates, and executes
/// while it is the primary. To the group it is a state machine: what all members must agree on (office, pending requests, agreed
/// copy) changes at deliveries and views only. Executing is beside that, and changes nothing but what it multicasts.
///
/// An update is accepted if it comes from who is in office, was made in this office, is built upon the last accepted one (its
/// copy was made of the state reached here, or did also the last accepted one), and settles the oldest pending requests. So
/// accepted updates form one history, whatever else is under way.
class member final : public state_machine {
public:
  member(member_id self, primary_service_factory make, backup_kind kind, std::unique_ptr<cold_store> store = nullptr);
  /// `look_again`, which any thread may call, leads to another `execute`: services may execute later.
  void wake_by(std::function<void()> look_again) { look_again_ = std::move(look_again); }
  /// Before it is given anything.
  void witnessed_by(std::shared_ptr<execution_witness> who) { witness_ = std::move(who); }
  /// The process before this one held that office, and ended while it executed that request: the others are told before this
  /// one executes anything.
  void died_of(const death_tale& t) { tales_.push_back(t); }

  void apply(const delivery& d, reply& answer) override;
  void query(std::span<const std::byte> question, reply& answer) const override;
  void checkpoint(sink& out) const override;
  void restore(source& in) override;

  /// `active_here`: this process is active in the view.
  void view_installed(const protocol::view& v, bool active_here);

  /// The state is at hand: this member executes, or is a hot backup.
  bool up_to_date() const { return agreed_.up_to_date(); }
  bool executes() const { return office_.who == self_ && office_.inc == inc_ && inc_ != 0; }
  /// If this member is the primary: executes pending requests until their update has about so many bytes. The update to be
  /// multicast in total order, empty if there was nothing to do; valid until the next call.
  std::span<const std::byte> execute(std::size_t bytes);
  /// To be multicast in total order; empty if there is nothing to tell, or it is under way.
  std::vector<std::byte> tale();
  /// What `tale` gave is delivered nowhere, or nobody can tell.
  void tale_lost() { tale_under_way_ = false; }
  /// Not delivered yet, oldest first.
  const std::deque<death_tale>& untold() const { return tales_; }
  /// If this member is the primary: lets the agreed state act.
  void act();
  /// Number of the executing copy: the updates of an older one are no concern any more.
  std::uint64_t attempt() const { return attempt_; }
  /// An update of the executing copy is delivered nowhere, or nobody can tell: what it did is done again, from the agreed copy.
  void begin_anew();
  primary_status status() const;

private:
  struct pending_request {
    delivery what;  ///< `payload` lies in `bytes`
    std::vector<std::byte> bytes;
  };
  void keep(const delivery& d);
  pending_request& append_pending(std::span<const std::byte> bytes);
  bool acceptable(const delivery& d, const update_head& head) const;
  void judge(const delivery& d, reply& answer);
  void hear(const delivery& d);
  void execute_one();
  bool is_settled_unexecuted(const delivery& request);

  const member_id self_;
  incarnation inc_ = 0;  ///< of this process in the view installed; 0: not active
  mutable agreed_copy agreed_;

  // What all agree on.
  office office_;
  std::uint64_t accepted_ = 0;
  std::uint64_t accepted_attempt_ = 0;  ///< of the last accepted update, if this office made one; else 0
  std::deque<pending_request> pending_;
  std::size_t pending_bytes_ = 0;
  ended_offices ended_;

  std::deque<death_tale> tales_;
  bool tale_under_way_ = false;

  // The primary's.
  std::unique_ptr<primary_service> executing_;
  std::uint64_t attempt_ = 1;
  std::uint64_t start_ = 0;      ///< updates accepted when `executing_` was made
  std::uint64_t under_way_ = 0;  ///< updates made by `executing_`, not accepted yet
  std::size_t executed_ = 0;     ///< of `pending_`, by `executing_`
  /// The oldest request that threw, and what was decided about it.
  struct {
    std::uint64_t position = 0;
    unsigned times = 0;
    after_failure then = after_failure::again;
    std::vector<std::byte> change, answer;
  } failure_;
  bool broken_ = false;     ///< `executing_` threw: it executes no more
  bool postponed_ = false;  ///< `executing_` executes the oldest of those left later
  std::function<void()> look_again_;
  std::shared_ptr<execution_witness> witness_;  ///< may be null
  update_writer update_;
  state_update change_;
  reply reply_;

  std::vector<settled_request> settled_;
  std::uint64_t dropped_ = 0;
};

}  // namespace cohort::primary_backup
