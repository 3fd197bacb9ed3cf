#pragma once

#include "framework/simulation/explore/member.hpp"

namespace cohort::sim::explore {

inline constexpr std::size_t members_max = 4;

/// What is left of the scope's budgets.
struct budget {
  std::uint8_t crashes = 0, restarts = 0, doubts = 0, elections = 0, expiries = 0, beats = 0, losses = 0, lapses = 0;
  std::uint64_t word() const {
    return std::uint64_t(crashes) | std::uint64_t(restarts) << 8 | std::uint64_t(doubts) << 16 | std::uint64_t(elections) << 24 |
           std::uint64_t(expiries) << 32 | std::uint64_t(beats) << 40 | std::uint64_t(losses) << 48 | std::uint64_t(lapses) << 56;
  }
};

/// A group: what each of its members looks like, by number, and what is on its way.
struct state {
  std::array<std::uint32_t, members_max> members{};
  budget left;
  std::uint32_t slow = 0;             ///< links, in bits
  std::vector<std::uint32_t> flight;  ///< by link, in the order of sending; with reordering: sorted; with few slow links: as sent
};

/// What becomes of a letter.
enum class fate : std::uint8_t { arrives, lost, slow };

/// What happens next, in one word: states remember how they were reached first.
struct action {
  input::kind what{};
  fate how = fate::arrives;
  std::uint8_t node = 0;
  std::uint32_t number = 0;
  std::uint32_t member_input() const {
    return what == input::kind::crash || what == input::kind::doubt ? number & 0xff : number;
  }
  std::uint32_t lost_links() const {
    return what == input::kind::crash || what == input::kind::doubt ? number >> 8 : 0;
  }
  std::uint64_t packed() const {
    return std::uint64_t(what) | std::uint64_t(how) << 5 | std::uint64_t(node) << 8 | std::uint64_t(number) << 16;
  }
  static action unpacked(std::uint64_t word) {
    return {static_cast<input::kind>(word & 0x1f), static_cast<fate>(word >> 5 & 7), static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint32_t>(word >> 16)};
  }
};

}  // namespace cohort::sim::explore
