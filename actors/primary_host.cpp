#include "actors/primary_host.hpp"

#include <stdexcept>
#include <utility>

namespace cohort::detail {
namespace {

constexpr std::size_t update_bytes = 128u << 10;  // of one message: about two batches, well below what travels in parts
constexpr std::uint64_t tale_tag = ~std::uint64_t{0};  // updates have the numbers of attempts
constexpr std::size_t under_way_max = 16;         // updates, so that a lost one costs little work

}  // namespace

primary_host::primary_host(primary_backup::member& logic, primary_services services,
                           std::function<std::string(member_id)> name_of)
    : logic_(logic), services_(std::move(services)), name_of_(std::move(name_of)), untold_(logic.untold().begin(), logic.untold().end()) {}

void primary_host::work() {
  retry_ = false;
  tell_tales();
  while (under_way_ < under_way_max) {
    const auto update = logic_.execute(update_bytes);
    if (update.empty()) break;
    services_.port.submit(update, logic_.attempt());
    ++under_way_;
  }
  services_.port.flush();
  logic_.act();
  tell();
}

void primary_host::updates_done() {
  while (services_.port.take(done_))
    for (std::size_t i = 0; i < done_.size(); ++i) {
      const auto one = done_[i];
      if (one.tag == tale_tag) {
        if (one.outcome == outcome::replied) continue;
        logic_.tale_lost();
        retry_ = true;
        continue;
      }
      --under_way_;
      if (one.outcome == outcome::replied) continue;  // judged where it was delivered
      if (one.outcome == outcome::too_large)
        throw std::runtime_error("the update of one request is larger than the group's message_bytes_max; write smaller changes or "
                                 "answers, or raise it");
      retry_ = retry_ || one.outcome == outcome::no_quorum || one.outcome == outcome::busy || one.outcome == outcome::not_member ||
               one.outcome == outcome::stopped;
      if (one.tag == logic_.attempt()) logic_.begin_anew();
    }
  if (!retry_) work();
}

/// Before this member executes anything, so that what brought its process down is not executed without its being counted.
void primary_host::tell_tales() {
  while (untold_.size() > logic_.untold().size()) {  // delivered since
    services_.told(untold_.front());
    untold_.erase(untold_.begin());
  }
  if (const auto tale = logic_.tale(); !tale.empty()) services_.port.submit(tale, tale_tag);
}

void primary_host::tell() {
  const auto now = logic_.status();
  services_.report(now);
  if (now.primary == no_member || told_ == std::pair(now.office, now.executes)) return;
  told_ = std::pair(now.office, now.executes);
  services_.log("primary is " + name_of_(now.primary) + " since view " + std::to_string(now.office) +
                (now.executes ? ", this node: executes, " + std::to_string(now.pending) + " requests are pending" : ""));
}

}  // namespace cohort::detail
