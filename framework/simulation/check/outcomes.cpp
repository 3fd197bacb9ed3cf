// What clients were told is true: an answered message is in the order once and for all, a refused or lost one is not.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>
#include <set>

namespace cohort::sim {

using namespace protocol;

namespace {

class outcomes final : public checker {
public:
  const char* property() const override { return "O10 outcomes and durability"; }

  void called(const operation& o) override {
    if (o.message_hash != 0) by_hash_.emplace(o.message_hash, o.number);
  }
  void returned(const operation& o) override {
    if (o.message_hash == 0) return;
    if (o.result == operation::outcome::done) done_.insert(o.number);
    if (o.result == operation::outcome::lost || o.result == operation::outcome::refused) {
      undone_.insert(o.number);
      if (places_.contains(o.number)) fail("operation " + std::to_string(o.number) + " is reported as not delivered, and was");
    }
  }
  void installed(const life& l, const deliver_view& v) override {
    if (const auto* r = find(*v.what, l.id); r && r->witness) witnesses_.insert(l.node);
  }
  void started(const life& l, const disk::found& found) override {
    final_[l.node] = found.checkpoint ? found.checkpoint->delivered : 0;
  }
  void restored(const life& l, const mark& at) override { final_[l.node] = at.delivered; }
  void delivered(const life& l, const deliver_batch& b) override {
    if (b.cls != order::total) return;
    const auto end = b.position + b.what.sizes.size() - 1;
    final_[l.node] = end;
    if (b.position <= newest_) return;  // I10 compares repetitions
    newest_ = end;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < b.what.sizes.size(); begin += b.what.sizes[i++]) {
      const auto bytes = b.what.blob.subspan(begin, b.what.sizes[i]);
      const auto known = by_hash_.find(hash_payload({nullptr, {&b.what.sizes[i], 1}, bytes}));
      if (known == by_hash_.end()) continue;
      const auto number = known->second;
      if (!places_.emplace(number, b.position + i).second) fail("operation " + std::to_string(number) + " happened twice");
      if (undone_.contains(number)) fail("operation " + std::to_string(number) + " was reported as not delivered, and is");
    }
  }
  void finished(const std::vector<operation>& all) override {
    std::uint64_t acknowledged = 0;
    for (const auto& o : all) {
      if (!done_.contains(o.number)) continue;
      acknowledged = std::max(acknowledged, o.position);
      const auto place = places_.find(o.number);
      if (place == places_.end() || place->second != o.position)
        fail("acknowledged operation " + std::to_string(o.number) + " is not where it was");
    }
    for (const auto& [node, position] : final_)
      if (position < acknowledged && !witnesses_.contains(node))  // W1: a witness applies nothing
        fail("member " + std::to_string(node) + " ends at " + std::to_string(position) + ", " + std::to_string(acknowledged) +
             " was acknowledged");
  }

private:
  std::map<std::uint64_t, std::uint64_t> by_hash_;
  std::map<std::uint64_t, std::uint64_t> places_;
  std::set<std::uint64_t> done_, undone_;
  std::map<unsigned, std::uint64_t> final_;
  std::set<unsigned> witnesses_;
  std::uint64_t newest_ = 0;
};

}  // namespace

std::unique_ptr<checker> check_outcomes() { return std::make_unique<outcomes>(); }

}  // namespace cohort::sim
