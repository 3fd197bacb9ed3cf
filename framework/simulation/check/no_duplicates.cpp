// I16: no life delivers a batch twice, nor one that its checkpoint contains, and no message is in two batches.
#include "framework/simulation/check/book.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class no_duplicates final : public checker {
public:
  explicit no_duplicates(book& b) : book_(b) {}
  const char* property() const override { return "I16 no duplicates"; }

  void delivered(const life& l, const deliver_batch& d) override {
    if (!book_.now().fresh) fail(name_of(l) + " delivers " + name_of(d.lane(), d.seq) + " again");
    // Who submits the same bytes twice has them delivered twice, and no more often.
    if (book_.now().repeated) fail("a message of " + name_of(d.lane(), d.seq) + " is in another batch, too");
  }

private:
  book& book_;
};

}  // namespace

std::unique_ptr<checker> check_no_duplicates(book& b) { return std::make_unique<no_duplicates>(b); }

}  // namespace cohort::sim
