#pragma once

#include "actors/config_file.hpp"

#include <cohort/contract_check.hpp>

#include <map>
#include <string>
#include <vector>

namespace cohort::detail {

/// One [groups.NAME] of a configuration file.
struct group_settings {
  contract how;
  std::vector<std::string> depends_on;
  std::size_t line = 1;                           ///< of the section
  std::map<std::string, std::size_t> field_lines;  ///< of the fields that are set

  /// The line of the first of these fields that is set, else the section's.
  std::size_t line_of(const std::vector<std::string>& fields) const;
};

using group_table = std::map<std::string, group_settings>;

/// Reads [groups], if the file has it. Throws `config_error`.
group_table read_groups(const config_section& root);

/// `from` with these fields set, each as a line of [groups.NAME] in a file. Throws `config_error`.
contract with_settings(contract from, const std::vector<std::string>& settings);

/// One line on a group of a file.
struct located_finding {
  std::string group;
  std::size_t line = 1;
  cohort::severity severity{};
  std::string text;  ///< "G8: message; reason; nearest: reads = ..."
};

/// What is wrong with a contract, and what of it is not built (as rejects).
std::vector<located_finding> judge(const std::string& name, const group_settings& group, const roster_facts& members,
                                   const node_facts& nodes = {});
/// The same for all groups of a file, and for the chains which they form (G20).
std::vector<located_finding> judge(const group_table& groups, const roster_facts& members);

/// All its fields, a line each, as `contract_of` reads them: what is not written down might mean something else to another version.
std::string contract_text(const contract& what);
/// Throws `config_error`, also for a field that this version does not know.
contract contract_of(const std::string& text);

/// "G8: message; reason; the nearest legal contract has reads = ...".
std::string sentence(const finding& f, const contract& what);

/// Throws `config_error` with the rejects among them, if there are any; a line each.
void refuse(const config_file& file, const std::vector<located_finding>& found);

}  // namespace cohort::detail
