#include "framework/simulation/disk.hpp"

#include "framework/protocol/recovered_state.hpp"

#include <algorithm>

namespace cohort::sim {

using namespace protocol;

payload one_message(std::span<const std::byte> bytes) {
  struct owner {
    std::vector<std::byte> bytes;
    std::uint32_t size = 0;
  };
  auto o = std::make_shared<owner>();
  o->bytes.assign(bytes.begin(), bytes.end());
  o->size = static_cast<std::uint32_t>(bytes.size());
  return {o, {&o->size, 1}, o->bytes};
}

void disk::append(const persist_op& op) {
  element e{op, {}, {}};
  if (const auto n = record_bytes(op)) {
    e.record.resize(n);
    encode_record(1, op, sum_, e.record);
  }
  if (const auto* c = std::get_if<persist_chunk>(&op.what)) received_[c->index][c->number] = c->data;
  pending_.push_back(std::move(e));
  if (!durable_) sync(1);
}

void disk::store_checkpoint(const mark& at, std::vector<payload> chunks, bool on_disk) {
  element e;
  e.own = stored_checkpoint{encode_mark(at, static_cast<std::uint32_t>(chunks.size()), sum_), at.index, std::move(chunks), !on_disk};
  pending_.push_back(std::move(e));
  if (!durable_) sync(1);
}

payload disk::load(log_index index, std::uint32_t number) const {
  if (number == 0) return {};
  for (const auto& c : checkpoints_)
    if (c.index == index && number <= c.chunks.size()) return c.chunks[number - 1];
  if (const auto at = received_.find(index); at != received_.end())
    if (const auto chunk = at->second.find(number); chunk != at->second.end()) return chunk->second;
  return {};
}

void disk::image::take(const persist_op& op) {
  if (const auto* b = std::get_if<persist_batch>(&op.what)) {
    auto& highest = lanes[b->what.lane()];
    highest = std::max(highest, b->what.seq);
  } else if (const auto* entry = std::get_if<persist_entry>(&op.what)) {
    // X3: a copy begins anew; what the journal held was of another time.
    if (entry->what.index < first) terms.clear();
    while (!terms.empty() && last() >= entry->what.index) terms.pop_back();
    if (terms.empty()) first = entry->what.index;
    terms.push_back(entry->what.term);
  } else if (const auto* t = std::get_if<persist_truncate>(&op.what)) {
    while (!terms.empty() && last() >= t->from) terms.pop_back();
  } else if (const auto* s = std::get_if<persist_state>(&op.what)) {
    if (s->what.valid_from == 0 && promises.valid_from != 0) checkpoint = 0;  // X3: of a time that is over
    promises = s->what;
    for (; !terms.empty() && first <= promises.base.index; ++first) terms.pop_front();
    if (terms.empty()) first = promises.base.index + 1;
  } else if (const auto* i = std::get_if<persist_install>(&op.what)) {
    checkpoint = i->at.index;
  }
}

void disk::settle(element& e) {
  const auto keep_two = [&](stored_checkpoint c) {
    std::erase_if(checkpoints_, [&](const auto& other) { return other.index >= c.index; });
    checkpoints_.push_back(std::move(c));
    while (checkpoints_.size() > 2) checkpoints_.pop_front();
    if (!checkpoints_.back().in_memory) image_.checkpoint = checkpoints_.back().index;
  };
  if (e.own) {
    stored_now_.emplace_back(e.own->index, static_cast<std::uint32_t>(e.own->chunks.size()));
    const bool newer = checkpoints_.empty() || checkpoints_.back().index < e.own->index ||
                       (checkpoints_.back().index == e.own->index && checkpoints_.back().in_memory);
    if (newer) keep_two(std::move(*e.own));
    return;
  }
  const bool in_memory = durable_ && e.op.position == 0;
  synced_to_ = std::max(synced_to_, e.op.position);
  if (!in_memory) image_.take(e.op);
  if (std::holds_alternative<persist_state>(e.op.what)) {
    state_record_ = std::move(e.record);
    state_position_ = e.op.position;
    return;
  }
  if (const auto* i = std::get_if<persist_install>(&e.op.what)) {
    stored_checkpoint c{encode_mark(i->at, i->chunks, sum_), i->at.index, {}, in_memory};
    auto& chunks = received_[i->at.index];
    for (std::uint32_t n = 1; n <= i->chunks; ++n) c.chunks.push_back(chunks[n]);
    received_.erase(received_.begin(), received_.upper_bound(i->at.index));
    keep_two(std::move(c));
  } else if (const auto* given_up = std::get_if<persist_release>(&e.op.what)) {
    std::erase_if(checkpoints_, [&](const auto& c) { return c.index <= given_up->index; });
  } else if (const auto* trim = std::get_if<persist_trim>(&e.op.what)) {
    while (!records_.empty() && records_.front().first < trim->below) records_.pop_front();
  }
  if (!e.record.empty() && !in_memory) records_.emplace_back(e.op.position, std::move(e.record));
}

journal_position disk::sync(std::size_t count) {
  for (count = std::min(count, pending_.size()); count > 0; --count) {
    settle(pending_.front());
    pending_.pop_front();
  }
  return synced_to_;
}

void disk::crash(random& chance) {
  if (!pending_.empty()) {
    sync(chance.below(pending_.size() + 1));
    // The next record may have been written in part; a complete one would have been found.
    if (!pending_.empty() && !pending_.front().record.empty() && pending_.front().op.position != 0 && chance.chance(500)) {
      auto torn = std::move(pending_.front().record);
      torn.resize(chance.below(torn.size()));
      if (!std::holds_alternative<persist_state>(pending_.front().op.what))
        records_.emplace_back(pending_.front().op.position, std::move(torn));
    }
  }
  pending_.clear();
  stored_now_.clear();
  std::erase_if(checkpoints_, [](const stored_checkpoint& c) { return c.in_memory; });
  std::erase_if(received_, [](const auto&) { return true; });  // a transfer begins anew; chunks not installed are garbage
}

std::string disk::read(const reader& into, bool& anything) {
  if (!checkpoints_.empty()) {
    mark at;
    std::uint32_t chunks = 0;
    if (decode_mark(checkpoints_.back().head, sum_, at, chunks) != record_error::none)
      return "the checkpoint's head does not decode";
    into.checkpoint(at, chunks);
    anything = true;
  }
  if (!state_record_.empty()) {
    decoded_record d;
    if (decode_record(state_record_, state_position_, sum_, d) != record_error::none)
      return "the state record does not decode";
    into.state(std::get<persist_state>(d.op.what).what);
    anything = true;
  }
  for (std::size_t i = 0; i < records_.size(); ++i) {
    decoded_record d;
    const auto error = decode_record(records_[i].second, records_[i].first, sum_, d);
    if (error != record_error::none) {
      if (i + 1 == records_.size() && records_[i].first > synced_to_) {
        records_.pop_back();  // torn by the crash: never reported as durable
        ++torn_;
        break;
      }
      return "record " + std::to_string(records_[i].first) + ": " + to_string(error);
    }
    if (!into.record(d.op)) return "record " + std::to_string(records_[i].first) + " makes no sense";
    anything = true;
  }
  return {};
}

disk::found disk::recover(bool witness) {
  found result;
  recovery r;
  if (witness) r.without_payload();
  bool anything = false;
  result.last = synced_to_;
  decoded_record newest;
  if (!state_record_.empty() && decode_record(state_record_, state_position_, sum_, newest) == record_error::none &&
      std::get<persist_state>(newest.op.what).what.valid_from == 0) {
    checkpoints_.clear();
    result.retired = true;
    if (!records_.empty() && records_.back().first > synced_to_) records_.pop_back();
    return result;
  }
  const reader into{[&](const mark& at, std::uint32_t chunks) {
                      r.checkpoint(at, chunks);
                      result.checkpoint = at;
                    },
                    [&](const hard_state& s) { r.state(s); }, [&](const persist_op& op) { return r.record(op); }};
  result.damage = read(into, anything);
  if (!r.why().empty()) result.damage = r.why();
  if (!result.damage.empty() || !anything) return result;
  auto state = r.finish();
  if (!state) {
    result.damage = r.why();
    return result;
  }
  // Positions go on behind everything that was ever reported, also where the newest operation was no record.
  if (state->last_position < synced_to_) {
    auto later = std::make_shared<recovered_state>(*state);
    later->last_position = synced_to_;
    state = later;
  }
  result.state = state;
  return result;
}

}  // namespace cohort::sim
