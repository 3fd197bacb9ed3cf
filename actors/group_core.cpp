#include "actors/group_core.hpp"

#include <utility>

namespace cohort::detail {
namespace {

using protocol::submit_status;

class one_history final : public group_core {
public:
  one_history(const protocol::core_options& options, const protocol::core_start& start) : core_(options, start) {}
  void tick(protocol::instant mono, wall_time wall) override { core_.tick(mono, wall); }
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) override {
    return core_.submit(messages, how, deadline);
  }
  submit_status submit_part(std::span<const std::byte> part, bool more, order how, wall_time deadline) override {
    return core_.submit_part(part, more, how, deadline);
  }
  void give_up_parts(order how) override { core_.give_up_parts(how); }
  bool receive(protocol::voter_id from, protocol::message&& what) override { return core_.receive(from, std::move(what)); }
  void persisted(protocol::journal_position up_to) override { core_.persisted(up_to); }
  void link_up(protocol::voter_id peer, bool blank) override { core_.link_up(peer, blank); }
  void link_down(member_id peer, bool reset) override { core_.link_down(peer, reset); }
  const char* refuses(protocol::change_kind, const protocol::view_options&) const override { return nullptr; }
  std::uint64_t request(protocol::change_kind kind, member_id who, const protocol::view_options& wanted,
                        const std::optional<protocol::view_options>& based_on) override {
    return core_.request(kind, who, wanted, based_on);
  }
  void know(member_id member) override { core_.know(member); }
  void hand_over() override { core_.hand_over(); }
  void states_differ(std::vector<member_id> odd) override { core_.states_differ(std::move(odd)); }
  void read(std::uint64_t tag) override { core_.read(tag); }
  void want_time(wall_time due) override { core_.want_time(due); }
  void want_checkpoint() override { core_.want_checkpoint(); }
  void checkpoint_stored(log_index index, std::uint32_t chunks) override { core_.checkpoint_stored(index, chunks); }
  void checkpoint_failed(log_index index) override { core_.checkpoint_failed(index); }
  void restored(log_index index) override { core_.restored(index); }
  void chunk_loaded(member_id to, log_index index, std::uint32_t number, protocol::payload data) override {
    core_.chunk_loaded(to, index, number, std::move(data));
  }
  void offer_ready(protocol::partition::component_id, std::vector<std::byte>) override {}
  void contact(member_id member, const protocol::node_contact& what) override { core_.contact(member, what); }
  protocol::vouch vouched() override { return core_.vouched(); }
  void drain() override { core_.drain(); }
  protocol::outputs& out() override { return core_.out(); }
  void drained() override { core_.drained(); }
  protocol::instant next_deadline() const override { return core_.next_deadline(); }
  protocol::core_status status() const override { return core_.status(); }
  const protocol::view_options& rules() const override { return core_.rules(); }

private:
  protocol::core core_;
};

class component final : public group_core {
public:
  component(const protocol::partition::core_options& options, const protocol::partition::core_start& start)
      : core_(options, start) {}
  void tick(protocol::instant mono, wall_time wall) override { core_.tick(mono, wall); }
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) override {
    return core_.submit(messages, how, deadline);
  }
  submit_status submit_part(std::span<const std::byte> part, bool more, order how, wall_time deadline) override {
    return core_.submit_part(part, more, how, deadline);
  }
  void give_up_parts(order how) override { core_.give_up_parts(how); }
  bool receive(protocol::voter_id from, protocol::message&& what) override {
    core_.receive(from, std::move(what));
    return true;
  }
  void persisted(protocol::journal_position up_to) override { core_.persisted(up_to); }
  void link_up(protocol::voter_id peer, bool blank) override { core_.link_up(peer, blank); }
  void link_down(member_id peer, bool reset) override { core_.link_down(peer, reset); }
  const char* refuses(protocol::change_kind kind, const protocol::view_options& wanted) const override {
    return core_.refuses(kind, wanted);
  }
  std::uint64_t request(protocol::change_kind, member_id, const protocol::view_options& wanted,
                        const std::optional<protocol::view_options>&) override {
    return core_.request(wanted);
  }
  void know(member_id) override {}  // it takes part with whomever it hears
  void hand_over() override {}
  void states_differ(std::vector<member_id>) override {}  // its components' states may
  void read(std::uint64_t tag) override { core_.read(tag); }
  void want_time(wall_time) override {}  // a component has no agreed time
  void want_checkpoint() override { core_.want_checkpoint(); }
  void checkpoint_stored(log_index number, std::uint32_t chunks) override { core_.checkpoint_stored(number, chunks); }
  void checkpoint_failed(log_index number) override { core_.checkpoint_failed(number); }
  void restored(log_index) override {}
  void chunk_loaded(member_id, log_index, std::uint32_t, protocol::payload) override {}
  void offer_ready(protocol::partition::component_id view, std::vector<std::byte> state) override {
    core_.offer_ready(view, std::move(state));
  }
  // Its own heartbeats carry what no node knows: whom a process hears, and what it holds.
  void contact(member_id, const protocol::node_contact&) override {}
  protocol::vouch vouched() override { return {}; }
  void drain() override { core_.drain(); }
  protocol::outputs& out() override { return core_.out(); }
  void drained() override { core_.drained(); }
  protocol::instant next_deadline() const override { return core_.next_deadline(); }
  const protocol::view_options& rules() const override { return core_.rules(); }

  protocol::core_status status() const override {
    const auto here = core_.status();
    if (here.in_force != described_) {
      described_ = here.in_force;
      view_ = protocol::partition::as_view(*described_);
    }
    protocol::core_status s;
    s.self = here.self.member;
    s.leader = here.in_force->id.coordinator;
    s.is_leader = s.leader == s.self;
    s.founded = s.active = s.voter = true;
    s.primary = here.in_force->primary;
    s.wedged = here.wedged;
    s.transferring = here.merging;
    s.inc = here.self.inc;
    s.in_force = view_;
    s.delivered = here.delivered;
    // A component has no log; its checkpoints are numbered.
    s.checkpoint = here.checkpoint;
    s.applied = here.checkpoint + here.since_checkpoint;
    s.payload_bytes = here.payload_bytes;
    return s;
  }

private:
  protocol::partition::core core_;
  mutable protocol::partition::component_ptr described_;
  mutable protocol::view_ptr view_;
};

}  // namespace

std::unique_ptr<group_core> make_core(const protocol::core_options& options, const protocol::core_start& start) {
  return std::make_unique<one_history>(options, start);
}

std::unique_ptr<group_core> make_core(const protocol::partition::core_options& options,
                                      const protocol::partition::core_start& start) {
  return std::make_unique<component>(options, start);
}

}  // namespace cohort::detail
