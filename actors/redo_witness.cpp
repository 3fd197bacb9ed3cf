#include "actors/redo_witness.hpp"

namespace cohort::detail {

std::string redo_witness::restores(std::uint64_t position) {
  if (const auto known = book_.of_checkpoint(of_.name(), position); known.lives >= ends_max_) {
    passed_over_ = true;
    return "reading it " + death_book::in_words(known);
  }
  words_.emplace(book_.words());
  words_->begins({.kind = persistence::word_kind::checkpoint,
                  .process = of_.name(),
                  .from = {},
                  .position = position,
                  .activation = of_.token(),
                  .body = {}});
  return {};
}

void redo_witness::redoes(std::uint64_t first, std::uint64_t last) {
  words_.emplace(book_.words());
  words_->begins({.kind = persistence::word_kind::redo,
                  .process = of_.name(),
                  .from = {},
                  .position = first,
                  .count = last - first + 1,
                  .activation = of_.token(),
                  .body = {}});
}

}  // namespace cohort::detail
