#include "actors/request_witness.hpp"

#include "framework/resilience/replicated.hpp"

namespace cohort::detail {

void request_witness::begins(const delivery& request, view_number office) {
  words_.emplace(book_->words());
  persistence::spoken_word w{.kind = persistence::word_kind::request,
                             .process = group_,
                             .position = request.position,
                             .activation = office,
                             .body = request.payload};
  if (const auto in = resilience::peek_input(request.payload)) {
    w.from = in->from;
    w.number = in->number;
    w.body = std::as_bytes(std::span(in->body));
  }
  words_->begins(w);
}

}  // namespace cohort::detail
