// What an operator's tool, or a disk that is full, may leave where members are looked for. The second half of the input is
// read as a place and as a list of name servers, too.
#include "actors/member_file.hpp"
#include "transport/endpoint.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace cohort;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool clean(const std::string& text) {
  for (const auto c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = detail::parse_member_file(text, "f.toml");
  require(file.usable || !file.troubles.empty());
  require(file.usable || file.hints.empty());
  require(file.hints.size() <= detail::file_members_max);
  for (const auto& trouble : file.troubles) require(trouble.starts_with("f.toml:") && clean(trouble));
  for (const auto& hint : file.hints) {
    require(hint.places.size() <= transport::endpoint::places_max);
    for (const auto& place : hint.places) {
      // What was taken is read alike again.
      transport::place again;
      require(transport::parse_place(to_string(place), again).empty());
      require(again == place);
    }
  }
  transport::place place;
  (void)transport::parse_place(text.substr(size / 2), place);
  std::vector<transport::address> servers;
  if (transport::parse_name_servers(text.substr(size / 2), servers).empty())
    for (const auto& server : servers) require(server.port != 0);
  return 0;
}
