#include "actors/member_file.hpp"

#include "framework/catalogue/node_table.hpp"
#include "transport/endpoint.hpp"

#include <toml++/toml.h>

namespace cohort::detail {
namespace {

constexpr std::size_t troubles_max = 16;

class reader {
public:
  reader(member_file& out, const std::string& file) : out_(out), file_(file) {}

  void read(std::string_view text) {
    toml::table root;
    try {
      root = toml::parse(text, file_);
    } catch (const toml::parse_error& e) {
      trouble(e.source().begin.line, std::string(e.description()));
      return;
    }
    const auto* members = root.get_as<toml::table>("members");
    if (!members) return trouble(1, "there is no section [members] with NAME = \"host:port\"");
    if (members->size() > file_members_max)
      return trouble(members->source().begin.line, "more than " + std::to_string(file_members_max) + " members are named");
    out_.usable = true;
    for (const auto& [key, value] : *members) {
      member_hint hint{std::string(key.str()), {}};
      if (const auto* list = value.as_array())
        for (const auto& one : *list) add(hint, one);
      else
        add(hint, value);
      out_.hints.push_back(std::move(hint));
    }
  }

private:
  void add(member_hint& hint, const toml::node& value) {
    const auto line = value.source().begin.line;
    const auto* text = value.as_string();
    if (!text) return trouble(line, "member " + hint.name + " must have text in quotes, like \"10.0.0.1:7101\", or a list of it");
    if (catalogue::is_left_to_sources(text->get())) return;  // a configuration that leaves it to its sources
    transport::place one;
    if (auto problem = transport::parse_place(text->get(), one); !problem.empty())
      return trouble(line, "member " + hint.name + ": " + problem);
    if (hint.places.size() == transport::endpoint::places_max)
      return trouble(line, "member " + hint.name + " has more than " + std::to_string(hint.places.size()) + " places");
    hint.places.push_back(std::move(one));
  }

  void trouble(std::size_t line, const std::string& what) {
    if (out_.troubles.size() < troubles_max)
      out_.troubles.push_back(file_ + ":" + std::to_string(line) + ": " + printable(what.substr(0, 500)));
  }

  member_file& out_;
  const std::string& file_;
};

}  // namespace

std::string printable(std::string text) {
  for (auto& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

member_file parse_member_file(std::string_view text, const std::string& file) {
  member_file out;
  reader(out, file).read(text);
  return out;
}

}  // namespace cohort::detail
