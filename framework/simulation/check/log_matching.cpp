// I3: an index and a term name one entry with one predecessor, in every log and every APPEND.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class log_matching final : public checker {
public:
  const char* property() const override { return "I3 log matching"; }

  void sent(const life&, const message& what) override {
    const auto* a = std::get_if<append>(&what);
    if (!a) return;
    auto before = a->prev_term;
    for (const auto& e : a->entries) {
      see(e, before);
      before = e.term;
    }
  }
  void persisted(const life&, const persist_op& op) override {
    if (const auto* e = std::get_if<persist_entry>(&op.what)) see(e->what, unknown);
  }

private:
  static constexpr term_number unknown = ~term_number(0);
  struct seen {
    std::uint64_t hash = 0;
    term_number before = unknown;
  };

  void see(const entry& e, term_number before) {
    const auto hash = hash_entry(e);
    const auto [known, fresh] = entries_.try_emplace({e.index, e.term}, seen{hash, before});
    if (fresh) return;
    auto& s = known->second;
    if (s.hash != hash) fail("two entries have index " + std::to_string(e.index) + " and term " + std::to_string(e.term));
    if (before == unknown) return;
    if (s.before != unknown && s.before != before)
      fail("entry " + std::to_string(e.index) + " of term " + std::to_string(e.term) + " has two predecessors");
    s.before = before;
  }

  std::map<std::pair<log_index, term_number>, seen> entries_;
};

}  // namespace

std::unique_ptr<checker> check_log_matching() { return std::make_unique<log_matching>(); }

}  // namespace cohort::sim
