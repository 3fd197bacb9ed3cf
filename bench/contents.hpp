// What measured messages hold: nothing, something like text, or noise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// Records as applications send them: the same fields, other names and numbers each time. Zstd's level 1 makes about a third of them.
inline std::vector<std::byte> text_like(std::size_t bytes, std::mt19937_64& draw) {
  constexpr std::string_view places[] = {"Aachen", "Bremen", "Coimbra", "Dresden", "Essen", "Faro", "Genova", "Halle", "Izmir", "Jena"};
  std::string text;
  text.reserve(bytes + 256);
  while (text.size() < bytes) {
    char line[256];
    const auto length = std::snprintf(line, sizeof line,
        "{\"id\": \"%016llx%016llx%016llx%012llx\", \"account\": %llu, \"from\": \"%s\", \"to\": \"%s\", \"amount\": %llu.%02llu, \"state\": \"%s\"}\n",
        static_cast<unsigned long long>(draw()), static_cast<unsigned long long>(draw()), static_cast<unsigned long long>(draw()),
        static_cast<unsigned long long>(draw() >> 16), static_cast<unsigned long long>(draw() % 100'000'000),
        places[draw() % std::size(places)].data(), places[draw() % std::size(places)].data(),
        static_cast<unsigned long long>(draw() % 10'000), static_cast<unsigned long long>(draw() % 100), draw() % 8 ? "booked" : "open");
    text.append(line, static_cast<std::size_t>(length));
  }
  std::vector<std::byte> out(bytes);
  std::memcpy(out.data(), text.data(), bytes);
  return out;
}

inline std::vector<std::byte> noise(std::size_t bytes, std::mt19937_64& draw) {
  std::vector<std::byte> out(bytes);
  for (std::size_t at = 0; at < bytes; at += 8) {
    const auto word = draw();
    std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, bytes - at));
  }
  return out;
}

/// `zeros`, `text` or `random`; the same for everybody.
inline std::vector<std::byte> contents(std::string_view kind, std::size_t bytes) {
  std::mt19937_64 draw(1);
  if (kind == "text") return text_like(bytes, draw);
  if (kind == "random") return noise(bytes, draw);
  if (kind == "zeros") return std::vector<std::byte>(bytes);
  throw std::invalid_argument("messages hold zeros, text or random bytes");
}

}  // namespace bench
