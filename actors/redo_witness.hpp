#pragma once

#include "actors/death_book.hpp"

#include "framework/resilience/engine.hpp"

#include <optional>
#include <string>

namespace cohort::detail {

/// Says what a resilient process that comes back is doing where that outlives the operating system's process. The thread that
/// recovers it.
class redo_witness final : public resilience::recovery_witness {
public:
  /// A checkpoint that has ended so many lives of the whole process is passed over.
  redo_witness(const death_book& book, const resilience::engine& of, unsigned ends_max)
      : book_(book), of_(of), ends_max_(ends_max) {}

  std::string restores(std::uint64_t position) override;
  void redoes(std::uint64_t first, std::uint64_t last) override;
  void at(std::uint64_t position) noexcept override { words_->at(position); }
  void ends() noexcept override { words_.reset(); }

  bool has_passed_over() const { return passed_over_; }

private:
  const death_book& book_;
  const resilience::engine& of_;
  const unsigned ends_max_;
  std::optional<persistence::last_words::speaker> words_;
  bool passed_over_ = false;
};

}  // namespace cohort::detail
