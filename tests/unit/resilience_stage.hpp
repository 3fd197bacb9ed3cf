#pragma once

#include "framework/resilience/engine.hpp"

#include <deque>
#include <map>
#include <set>

namespace cohort::resilience::stage {

/// Stable storage in memory, of which a crash takes what was not flushed. Remembers every log record that ever was
/// durable.
class disk final : public stable_store {
public:
  using done_fn = std::function<void(const stable_result&)>;
  void commit(stable_batch b, done_fn done) override { queue_.push_back({std::move(b), std::move(done)}); }
  stable_result commit(stable_batch b) override {
    flush(queue_.size());
    return execute(b);
  }
  void flush(std::size_t n) {
    for (; n > 0 && !queue_.empty(); --n) {
      auto q = std::move(queue_.front());
      queue_.pop_front();
      q.done(execute(q.batch));
    }
  }
  std::size_t queued() const { return queue_.size(); }
  void forget() { queue_.clear(); }

  std::optional<std::string> get(std::string_view s, std::string_view k) override {
    if (rotten.contains(std::string(s) + ' ' + std::string(k))) throw stable_damage(std::string(k) + " is rotten");
    const auto& values = stores[std::string(s)].values;
    const auto it = values.find(std::string(k));
    return it == values.end() ? std::nullopt : std::optional(it->second);
  }
  void scan(std::string_view s, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const auto values = stores[std::string(s)].values;
    for (auto it = values.lower_bound(std::string(from)); it != values.end() && visit(it->first, it->second); ++it) {
    }
  }
  stable_log_range log_range(std::string_view s, std::string_view) override {
    const auto& st = stores[std::string(s)];
    return {st.log.empty() ? 0 : st.log.begin()->first, st.last};
  }
  void read_log(std::string_view s, std::string_view, std::uint64_t from,
                const std::function<bool(std::uint64_t, std::string_view)>& visit) override {
    const auto log = stores[std::string(s)].log;
    for (auto it = log.lower_bound(from); it != log.end() && visit(it->first, it->second); ++it) {
    }
  }
  std::uint64_t token(std::string_view s) override { return stores[std::string(s)].token; }
  stable_scrub scrub() override { return {}; }
  stable_statistics stats() const override { return {}; }

  struct one_store {
    std::map<std::string, std::string> values;
    std::map<std::uint64_t, std::string> log;
    std::vector<std::string> history;
    std::uint64_t last = 0, token = 0;
  };
  std::map<std::string, one_store> stores;
  std::set<std::string> rotten;  ///< store, space, key
  int fenced = 0;

private:
  stable_result execute(const stable_batch& b) {
    for (const auto& o : b.ops()) {
      if (const auto* f = std::get_if<stable_batch::fence_op>(&o); f && f->token < stores[f->store].token) {
        ++fenced;
        return {stable_code::fenced, "older"};
      }
      if (const auto* e = std::get_if<stable_batch::expect_op>(&o); e && get(e->store, e->key) != e->value)
        return {stable_code::conflict, "other"};
    }
    for (const auto& o : b.ops()) {
      auto& s = stores[std::visit([](const auto& x) { return x.store; }, o)];
      if (const auto* p = std::get_if<stable_batch::put_op>(&o)) {
        s.values[p->key] = p->value;
        rotten.erase(p->store + ' ' + p->key);
      } else if (const auto* e = std::get_if<stable_batch::erase_op>(&o)) {
        s.values.erase(e->key);
      } else if (const auto* a = std::get_if<stable_batch::append_op>(&o)) {
        s.log[++s.last] = a->record;
        s.history.push_back(a->record);
      } else if (const auto* t = std::get_if<stable_batch::trim_op>(&o)) {
        s.log.erase(s.log.begin(), s.log.lower_bound(t->below));
      } else if (const auto* f = std::get_if<stable_batch::fence_op>(&o)) {
        s.token = f->token;
      }
    }
    return {};
  }
  struct queued_batch {
    stable_batch batch;
    done_fn done;
  };
  std::deque<queued_batch> queue_;
};

}  // namespace cohort::resilience::stage
