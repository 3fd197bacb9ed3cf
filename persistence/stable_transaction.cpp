#include "persistence/stable_transaction.hpp"

#include <utility>

namespace cohort::persistence {
namespace {

using namespace stable_layout;

std::string bad_length(const char* what, std::size_t bytes, std::size_t min, std::size_t max) {
  if (bytes >= min && bytes <= max) return {};
  return std::string("a ") + what + " has " + std::to_string(bytes) + " bytes, " + std::to_string(min) + " to " +
         std::to_string(max) + " are possible";
}

}  // namespace

std::string check_bounds(const stable_batch& batch) {
  for (const auto& each : batch.ops()) {
    std::string bad = std::visit(
        [](const auto& o) {
          std::string text = bad_length("store's name", o.store.size(), 1, stable_name_bytes_max);
          if constexpr (requires { o.key; })
            if (text.empty()) text = bad_length("key", o.key.size(), 1, stable_key_bytes_max);
          if constexpr (requires { o.log; })
            if (text.empty()) text = bad_length("log's name", o.log.size(), 1, stable_name_bytes_max);
          if constexpr (requires { o.record; })
            if (text.empty()) text = bad_length("log record", o.record.size(), 0, stable_value_bytes_max);
          if constexpr (requires { o.value.size(); })
            if (text.empty()) text = bad_length("value", o.value.size(), 0, stable_value_bytes_max);
          return text;
        },
        each);
    if (!bad.empty()) return bad;
  }
  return {};
}

stable_transaction::stable_transaction(stable_copy& on, const commit_record& before, std::uint64_t store_bytes_max)
    : on_(on), next_(before), store_bytes_max_(store_bytes_max) {
  ++next_.serial;
}

std::optional<record> stable_transaction::sound(const std::string& key) {
  const auto stored = on_.find(key);
  if (!stored) return std::nullopt;
  const auto r = decode(key, *stored);
  if (!r) throw damaged{key};
  return r;
}

summary& stable_transaction::summary_of(std::string_view store) {
  if (const auto known = summaries_.find(store); known != summaries_.end()) return known->second;
  const auto key = summary_key(store);
  const auto r = sound(key);
  const auto s = r ? decode_summary(r->bytes) : summary{};
  if (!s) throw damaged{key};
  return summaries_.emplace(store, *s).first->second;
}

stable_log_range& stable_transaction::range_of(std::string_view store, std::string_view log) {
  auto key = log_key(store, log);
  if (const auto known = ranges_.find(key); known != ranges_.end()) return known->second.second;
  const auto r = sound(key);
  const auto range = r ? decode_range(r->bytes) : stable_log_range{};
  if (!range) throw damaged{key};
  return ranges_.emplace(std::move(key), std::pair(std::string(store), *range)).first->second.second;
}

void stable_transaction::write_row(const std::string& key, std::string_view bytes, std::uint64_t sum_before,
                                   bool was_there) {
  auto stored = encode(key, next_.serial, bytes);
  next_.sum += decode(key, stored)->sum - sum_before;
  next_.records += !was_there;
  on_.put(key, stored);
  rows_.push_back({key, std::move(stored)});
}

void stable_transaction::write(std::string_view store, const std::string& key, std::string_view bytes) {
  const auto old = sound(key);
  auto& s = summary_of(store);
  s.bytes += key.size() + bytes.size();
  if (old) s.bytes -= key.size() + old->bytes.size();
  write_row(key, bytes, old ? old->sum : 0, old.has_value());
}

void stable_transaction::remove(std::string_view store, const std::string& key) {
  const auto old = sound(key);
  if (!old) return;
  summary_of(store).bytes -= key.size() + old->bytes.size();
  next_.sum -= old->sum;
  --next_.records;
  on_.erase(key);
  rows_.push_back({key, std::nullopt});
}

stable_result stable_transaction::apply(const stable_batch& batch) {
  try {
    if (auto refused = check(batch); !refused) return refused;
    std::map<std::string, std::uint64_t> before;
    for (const auto& each : batch.ops()) {
      const auto& store = std::visit([](const auto& o) -> const std::string& { return o.store; }, each);
      before.try_emplace(store, summary_of(store).bytes);
      execute(each);
    }
    for (const auto& [store, bytes] : before)
      if (const auto now = summary_of(store).bytes; now > store_bytes_max_ && now > bytes)
        return {stable_code::full, "store \"" + store + "\" would hold " + std::to_string(now) +
                                       " bytes, its quota is " + std::to_string(store_bytes_max_) +
                                       "; erase something or raise the quota"};
    return {};
  } catch (const damaged& d) {
    return {stable_code::damaged, describe(d.key) + " is broken; it cannot be counted on"};
  }
}

/// What may refuse the batch without having done anything.
stable_result stable_transaction::check(const stable_batch& batch) {
  for (const auto& each : batch.ops()) {
    if (const auto* f = std::get_if<stable_batch::fence_op>(&each)) {
      const auto token = summary_of(f->store).token;
      if (f->token < token)
        return {stable_code::fenced, "store \"" + f->store + "\" has seen token " + std::to_string(token) + ", " +
                                         std::to_string(f->token) + " is an older holder's"};
    } else if (const auto* e = std::get_if<stable_batch::expect_op>(&each)) {
      const auto there = sound(value_key(e->store, e->key));
      if (there.has_value() != e->value.has_value() || (there && there->bytes != *e->value))
        return {stable_code::conflict, describe(value_key(e->store, e->key)) + " does not have the expected value"};
    }
  }
  return {};
}

void stable_transaction::execute(const stable_batch::op& what) {
  if (const auto* p = std::get_if<stable_batch::put_op>(&what)) {
    write(p->store, value_key(p->store, p->key), p->value);
  } else if (const auto* e = std::get_if<stable_batch::erase_op>(&what)) {
    remove(e->store, value_key(e->store, e->key));
  } else if (const auto* a = std::get_if<stable_batch::append_op>(&what)) {
    auto& range = range_of(a->store, a->log);
    ++range.last;
    if (range.first == 0) range.first = range.last;
    write(a->store, entry_key(a->store, a->log, range.last), a->record);
  } else if (const auto* t = std::get_if<stable_batch::trim_op>(&what)) {
    auto& range = range_of(t->store, t->log);
    for (; range.first != 0 && range.first < t->below; range.first = range.first == range.last ? 0 : range.first + 1)
      remove(t->store, entry_key(t->store, t->log, range.first));
  } else if (const auto* f = std::get_if<stable_batch::fence_op>(&what)) {
    summary_of(f->store).token = f->token;
  }
}

commit_record stable_transaction::finish() {
  for (const auto& [key, range] : ranges_) write(range.first, key, encode(range.second));
  for (const auto& [store, s] : summaries_) {
    const auto key = summary_key(store);
    const auto old = sound(key);
    const auto bytes = encode(s);
    if (old && old->bytes == bytes) continue;
    write_row(key, bytes, old ? old->sum : 0, old.has_value());
  }
  return next_;
}

}  // namespace cohort::persistence
