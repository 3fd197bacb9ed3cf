#include "framework/primary_backup/member.hpp"

#include <algorithm>
#include <utility>

namespace cohort::primary_backup {
namespace {

constexpr std::uint64_t format = 2;  // 1: without offices that ended

struct witnessed {
  witnessed(execution_witness* w, const delivery& request, view_number office) : who(w) {
    if (who) who->begins(request, office);
  }
  ~witnessed() {
    if (who) who->ends();
  }
  witnessed(const witnessed&) = delete;
  witnessed& operator=(const witnessed&) = delete;
  execution_witness* const who;
};

}  // namespace

member::member(member_id self, primary_service_factory make, backup_kind kind, std::unique_ptr<cold_store> store)
    : self_(self), agreed_(std::move(make), kind, std::move(store)) {}

// ---- what all agree on ----------------------------------------------------------------------------------------------

void member::apply(const delivery& d, reply& answer) {
  if (d.payload.empty()) return;  // ports frame every message: not one of ours
  if (d.payload[0] == static_cast<std::byte>(frame::request)) {
    keep(d);
    answer.defer();
  } else if (d.payload[0] == static_cast<std::byte>(frame::tale)) {
    hear(d);
  } else {
    judge(d, answer);
  }
}

member::pending_request& member::append_pending(std::span<const std::byte> bytes) {
  auto& one = pending_.emplace_back();
  one.bytes.assign(bytes.begin(), bytes.end());
  pending_bytes_ += sizeof one + bytes.size();
  return one;
}

void member::keep(const delivery& d) {
  auto& one = append_pending(d.payload.subspan(1));
  one.what = d;
  one.what.payload = one.bytes;
  one.what.own = false;
}

void member::hear(const delivery& d) {
  const auto t = read_tale(d.payload);
  if (!t) return;
  const bool pends = std::ranges::any_of(pending_, [&](const auto& p) { return p.what.position == t->position; });
  if (pends) ended_.told(d.sender, t->office, t->position);
  if (!d.own || tales_.empty() || tales_.front() != *t) return;  // one that was believed lost may come twice
  tales_.pop_front();
  tale_under_way_ = false;
}

std::vector<std::byte> member::tale() {
  if (tales_.empty() || inc_ == 0 || std::exchange(tale_under_way_, true)) return {};
  return encode(tales_.front());
}

bool member::acceptable(const delivery& d, const update_head& head) const {
  if (d.sender != office_.who || d.sender_incarnation != office_.inc || head.office != office_.since) return false;
  if (head.base != accepted_ || settled_.size() > pending_.size()) return false;
  if (head.base != head.start && head.attempt != accepted_attempt_) return false;
  for (std::size_t i = 0; i < settled_.size(); ++i)
    if (settled_[i].position != pending_[i].what.position) return false;
  return true;
}

void member::judge(const delivery& d, reply& answer) {
  const auto head = update_reader::read(d.payload, settled_);
  if (!head || !acceptable(d, *head)) {
    ++dropped_;
    if (head && d.own && executing_ && head->attempt == attempt_) begin_anew();
    return;
  }
  for (const auto& one : settled_) {
    if (!one.change.empty()) agreed_.apply(one.change);
    answer.settle(one.position, one.answer);
    pending_bytes_ -= sizeof pending_.front() + pending_.front().bytes.size();
    pending_.pop_front();
  }
  if (!settled_.empty()) ended_.settled(settled_.back().position);
  ++accepted_;
  accepted_attempt_ = head->attempt;
  if (!executing_) return;
  if (!d.own || head->attempt != attempt_) return begin_anew();  // accepted, but not what this copy did
  --under_way_;
  executed_ -= settled_.size();
}

void member::view_installed(const protocol::view& v, bool active_here) {
  inc_ = 0;
  for (const auto& e : v.roster)
    if (active_here && e.active && e.id.member == self_) inc_ = e.inc;
  if (const auto now = in_view(office_, v); now != office_) {
    if (office_.who != no_member && !pending_.empty()) ended_.ended(office_, pending_.back().what.position);
    office_ = now;
    accepted_attempt_ = 0;
    failure_ = {};
  }
  if (executes()) return;
  begin_anew();
  agreed_.in_office(false);
}

void member::checkpoint(sink& out) const {
  out.write_u64(format);
  out.write_u64(to_index(office_.who));
  out.write_u64(office_.inc);
  out.write_u64(office_.since);
  out.write_u64(accepted_);
  out.write_u64(accepted_attempt_);
  out.write_u64(pending_.size());
  for (const auto& p : pending_) {
    out.write_u64(p.what.position);
    out.write_u64(p.what.index);
    out.write_u64(p.what.view);
    out.write_u64(to_index(p.what.sender));
    out.write_u64(p.what.sender_incarnation);
    out.write_u64(static_cast<std::uint64_t>(p.what.time.count()));
    out.write_bytes({reinterpret_cast<const char*>(p.bytes.data()), p.bytes.size()});
  }
  ended_.checkpoint(out);
  agreed_.current().checkpoint(out);
  agreed_.rest();
}

void member::restore(source& in) {
  begin_anew();
  const auto version = in.read_u64();
  if (version != format && version != 1)
    throw truncated_checkpoint("the checkpoint of a primary/backup group has format " + std::to_string(version) +
                               "; this program reads " + std::to_string(format));
  office_.who = member_id(static_cast<std::uint16_t>(in.read_u64()));
  office_.inc = in.read_u64();
  office_.since = in.read_u64();
  accepted_ = in.read_u64();
  accepted_attempt_ = in.read_u64();
  pending_.clear();
  pending_bytes_ = 0;
  for (auto count = in.read_u64(); count > 0; --count) {
    delivery what;
    what.position = in.read_u64();
    what.index = in.read_u64();
    what.view = in.read_u64();
    what.sender = member_id(static_cast<std::uint16_t>(in.read_u64()));
    what.sender_incarnation = in.read_u64();
    what.time = wall_time(in.read_u64());
    const auto text = in.read_bytes();
    auto& p = append_pending(std::as_bytes(std::span(text)));
    what.payload = p.bytes;
    p.what = what;
  }
  if (version == 1) ended_.clear();
  else ended_.restore(in);
  agreed_.restore(in);
  if (!executes()) agreed_.in_office(false);
}

void member::query(std::span<const std::byte> question, reply& answer) const {
  agreed_.current().query(question, answer);
}

// ---- executing ------------------------------------------------------------------------------------------------------

void member::begin_anew() {
  if (executing_) executing_->demoted();
  executing_.reset();
  ++attempt_;
  under_way_ = 0;
  executed_ = 0;
  broken_ = false;
}

std::span<const std::byte> member::execute(std::size_t bytes) {
  if (!executes() || !tales_.empty()) return {};
  postponed_ = false;
  for (;;) {
    // What a copy did before it threw is settled first; the next copy is made of that.
    if (broken_ && under_way_ > 0) return {};
    if (broken_) begin_anew();
    if (!executing_) {
      agreed_.in_office(true);
      executing_ = agreed_.duplicate();
      start_ = accepted_;
      if (look_again_) executing_->executes_later(look_again_);
      executing_->promoted(office_.since);
    }
    if (executed_ == pending_.size()) return {};
    update_.begin({office_.since, attempt_, start_, accepted_ + under_way_, 0});
    do execute_one();
    while (!broken_ && !postponed_ && executed_ < pending_.size() && update_.size() < bytes);
    if (update_.count() == 0 && postponed_) return {};
    if (update_.count() == 0) continue;
    ++under_way_;
    return update_.finish();
  }
}

void member::execute_one() {
  const auto& request = pending_[executed_].what;
  change_.clear();
  reply_.clear();
  if (failure_.position == request.position && failure_.then == after_failure::settle) {
    if (!failure_.change.empty()) executing_->apply(failure_.change);
    update_.add({request.position, failure_.change, failure_.answer});
    ++executed_;
    return;
  }
  if (is_settled_unexecuted(request)) return;
  const auto threw = [&](const std::string& why) {
    if (failure_.position != request.position) failure_ = {.position = request.position};
    change_.clear();
    reply_.clear();
    failure_.then = executing_->failed(request, ++failure_.times, why, change_, reply_);
    failure_.change.assign(change_.bytes().begin(), change_.bytes().end());
    failure_.answer.assign(reply_.bytes().begin(), reply_.bytes().end());
    broken_ = true;
    return failure_.then != after_failure::end_replica;
  };
  const witnessed spoken(witness_.get(), request, office_.since);
  try {
    executing_->execute(request, change_, reply_);
    postponed_ = reply_.deferred() && look_again_;
    if (postponed_) return;
    if (!change_.bytes().empty()) executing_->perform(change_.bytes(), reply_);
  } catch (const std::exception& e) {
    if (!threw(e.what())) throw;
    return;
  } catch (...) {
    if (!threw("something that is no std::exception")) throw;
    return;
  }
  update_.add({request.position, change_.bytes(), reply_.bytes()});
  ++executed_;
}

/// Processes have ended by it, and the service does not want it to be executed once more.
bool member::is_settled_unexecuted(const delivery& request) {
  const auto lives = ended_.lives(request.position);
  if (lives == 0) return false;
  if (executing_->ended_process(request, lives, change_, reply_) != after_failure::settle) {
    change_.clear();
    reply_.clear();
    return false;
  }
  if (!change_.bytes().empty()) executing_->apply(change_.bytes());
  update_.add({request.position, change_.bytes(), reply_.bytes()});
  ++executed_;
  return true;
}

void member::act() {
  if (!executes()) return;
  agreed_.in_office(true);
  agreed_.current().act(office_.since);
}

primary_status member::status() const {
  return {office_.who, office_.since, executes(), accepted_, dropped_, pending_.size(), pending_bytes_};
}

}  // namespace cohort::primary_backup
