#pragma once

#include <cohort/primary_backup.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

/// Sells numbered seats. Which seat a buyer gets is up to chance, when it was sold is up to the clock of who sells, and each ticket
/// has a number that nobody can guess: no two nodes would do the same. So one of them sells, and the others follow.
class box_office final : public cohort::primary_service {
public:
  explicit box_office(std::uint32_t seats) : seats_(seats) {}

  /// The request is an order's name, chosen by its buyer: asked again, the same ticket is the answer.
  void execute(const cohort::delivery& request, cohort::state_update& change, cohort::reply& answer) override;
  void apply(std::span<const std::byte> change) override;
  /// "SOLD n SEAT:ORDER SEAT:ORDER ...", in the order of the seats.
  void query(std::span<const std::byte> question, cohort::reply& answer) const override;
  void checkpoint(cohort::sink& out) const override;
  void restore(cohort::source& in) override;

private:
  struct ticket {
    std::string order;
    std::uint64_t number = 0;   ///< drawn by chance
    std::uint64_t sold_at = 0;  ///< milliseconds since 1970, by the seller's clock
  };
  std::uint32_t some_free_seat() const;
  void take_sale(cohort::source& in);

  const std::uint32_t seats_;                            ///< 1 to this
  std::map<std::uint32_t, ticket> sold_;                 ///< by seat
  std::unordered_map<std::string, std::uint32_t> seat_;  ///< by order
};
