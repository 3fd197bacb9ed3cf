#pragma once

// Inside transport/gateway/, .cpp files only: includes Cap'n Proto.
#include "transport/gateway/connection.hpp"
#include "transport/gateway/writing.hpp"

#include <kj/debug.h>

#include <memory>
#include <optional>
#include <utility>

namespace cohort::transport::gateway {

void count_answer(counters& c, const answer& a, kj::Duration took);

/// A call of all members. One report at a time is with the client that judges; the newest of those that came meanwhile follows.
struct collecting {
  collecting(std::shared_ptr<shared_state> s, std::shared_ptr<connection_use> u, std::size_t b) : shared(std::move(s)), use(std::move(u)), bytes(b) {
    ++use->requests;
    use->bytes += bytes;
    add(shared->counts.open_requests);
  }
  ~collecting() {
    --use->requests;
    use->bytes -= bytes;
    drop(shared->counts.open_requests);
  }
  collecting(const collecting&) = delete;
  collecting& operator=(const collecting&) = delete;

  void finish(collected&& all) {
    count_answer(shared->counts, all.what, shared->timer.now() - asked);
    result = std::move(all);
    done->fulfill();
  }
  void tell(const collected& so_far, const std::shared_ptr<collecting>& self) {
    if (progress == nullptr) return;
    if (telling) {
      newest = so_far;
      return;
    }
    telling = true;
    auto told = KJ_ASSERT_NONNULL(progress).changedRequest();
    put(told.initSoFar(), so_far);
    use->answered += size_of(so_far);
    const std::weak_ptr<collecting> mine = self;
    shared->tasks->add(told.send().then(
      [mine](::capnp::Response<wire::Progress::ChangedResults>&& r) {
        if (auto still = mine.lock()) still->judged(r.getJudgement(), still);
      },
      [mine](kj::Exception&&) {
        if (auto still = mine.lock()) still->judged(wire::Judgement::GIVE_UP, still);
      }));
  }
  void judged(wire::Judgement what, const std::shared_ptr<collecting>& self) {
    telling = false;
    if (result || !call) return;
    if (what != wire::Judgement::WAIT) {
      call->decide(what == wire::Judgement::ENOUGH ? judgement::enough : judgement::give_up);
      return shared->flush_soon();
    }
    if (newest) tell(*std::exchange(newest, std::nullopt), self);
  }

  std::shared_ptr<shared_state> shared;
  std::shared_ptr<connection_use> use;
  std::size_t bytes;
  kj::TimePoint asked = shared->timer.now();
  kj::Maybe<wire::Progress::Client> progress;
  kj::Own<kj::PromiseFulfiller<void>> done;
  std::optional<collected> result, newest;
  bool telling = false;
  std::unique_ptr<open_call> call;
};

}  // namespace cohort::transport::gateway
