#pragma once

#include <string>
#include <vector>

namespace cohort::detail {

/// "n1, n2", for people.
inline std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Names as an operator types them, "n1,n2". Empty ones stay, and are nobody's.
inline std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> all(1);
  for (const char c : text) {
    if (c == ',') all.emplace_back();
    else all.back() += c;
  }
  return all;
}

}  // namespace cohort::detail
