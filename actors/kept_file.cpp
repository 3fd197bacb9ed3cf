#include "actors/kept_file.hpp"

#include <algorithm>
#include <utility>

namespace cohort::detail {

void kept_file::keep(std::span<const std::byte> state) {
  const auto old = box_.all();
  if (!old.empty() && std::ranges::equal(old.rbegin()->second, state)) return;
  box_.put(state);
  for (const auto& [number, bytes] : old) box_.drop(number);
}

std::optional<std::vector<std::byte>> kept_file::read(const std::filesystem::path& file, std::string& trouble) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  std::size_t damage = 0;
  auto letters = persistence::letter_box::read(file, damage, trouble);
  if (!letters.empty()) return std::move(letters.rbegin()->second);
  if (trouble.empty()) trouble = file.string() + " holds nothing sound";
  return std::nullopt;
}

}  // namespace cohort::detail
