#pragma once

#include "actors/death_book.hpp"

#include "framework/primary_backup/member.hpp"

#include <memory>
#include <optional>
#include <string>

namespace cohort::detail {

/// Says what the primary of a group executes where that outlives the process. The replica's thread.
class request_witness final : public primary_backup::execution_witness {
public:
  request_witness(std::shared_ptr<death_book> book, std::string group) : book_(std::move(book)), group_(std::move(group)) {}

  void begins(const delivery& request, view_number office) override;
  void ends() override { words_.reset(); }

private:
  const std::shared_ptr<death_book> book_;
  const std::string group_;
  std::optional<persistence::last_words::speaker> words_;
};

}  // namespace cohort::detail
