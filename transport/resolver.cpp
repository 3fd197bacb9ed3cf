#include "transport/resolver.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace cohort::transport {

// Outlives the resolver as long as the thread is stuck in a look-up.
struct resolver::shared {
  struct question {
    address what;
    answer done;
  };
  std::mutex mutex;
  std::condition_variable asked;
  std::deque<question> questions;
  loop* where = nullptr;  // null once the resolver is gone
  bool started = false;

  static void work(const std::shared_ptr<shared>& self) {
    for (;;) {
      question next;
      {
        std::unique_lock lock(self->mutex);
        self->asked.wait(lock, [&] { return !self->where || !self->questions.empty(); });
        if (!self->where) return;
        next = std::move(self->questions.front());
        self->questions.pop_front();
      }
      std::string why;
      auto found = look_up(next.what, why);
      std::lock_guard guard(self->mutex);
      if (!self->where) return;
      // The answer runs on the loop, where the resolver lives, too: it checks again that its asker is still there.
      self->where->post([self, done = std::move(next.done), found = std::move(found), why = std::move(why)]() mutable {
        if (self->where) done(std::move(found), std::move(why));
      });
    }
  }
};

resolver::resolver(loop& where) : shared_(std::make_shared<shared>()) { shared_->where = &where; }

resolver::~resolver() {
  {
    std::lock_guard guard(shared_->mutex);
    shared_->where = nullptr;
    shared_->questions.clear();
  }
  shared_->asked.notify_all();
}

void resolver::resolve(const address& what, answer done) {
  endpoint_address one;
  if (literal(what, one)) {
    done({one}, {});
    return;
  }
  std::lock_guard guard(shared_->mutex);
  shared_->questions.push_back({what, std::move(done)});
  if (!std::exchange(shared_->started, true)) std::thread(shared::work, shared_).detach();
  shared_->asked.notify_one();
}

}  // namespace cohort::transport
