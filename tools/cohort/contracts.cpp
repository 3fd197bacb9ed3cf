#include "actors/group_settings.hpp"
#include "actors/node_settings.hpp"
#include "tools/cohort/commands.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cohort::tool {
namespace {

using namespace cohort::detail;

/// A mistyped section of ours must not pass for one of the application's.
constexpr std::size_t typing_error = 2;

struct options {
  std::string file;
  std::string group;
  bool rules = false;
};

/// What the commands need of a configuration file: its groups, and how many members they have.
class configuration {
public:
  explicit configuration(const options& chosen)
      : file_(config_file::load(chosen.file, "name a node's configuration file")) {
    const auto root = file_.root();
    const known_words ours{"node", "members", "groups"};
    for (const auto& key : root.keys()) {
      if (std::find(ours.begin(), ours.end(), key) != ours.end()) continue;
      for (const auto known : ours)
        if (word_distance(key, known) <= typing_error)
          root.fail(key, "unknown section [" + key + "]" + suggestion(key, ours));
      others_.push_back(key);
    }
    // A whole node's file is read as the node would; a file of members and groups alone will do as well.
    members_.members =
        static_cast<unsigned>(root.has("node") ? read_node(root).members.size() : read_members(root).size());
    groups_ = read_groups(root);
    if (!chosen.group.empty() && !groups_.contains(chosen.group)) {
      known_words known;
      for (const auto& [name, group] : groups_) known.push_back(name);
      throw config_error(file_.name().string() + ": it has no [groups." + chosen.group + "]" +
                         suggestion(chosen.group, known));
    }
  }

  const group_table& groups() const { return groups_; }
  const roster_facts& members() const { return members_; }
  const config_file& file() const { return file_; }
  const std::vector<std::string>& others() const { return others_; }

private:
  config_file file_;
  group_table groups_;
  roster_facts members_;
  std::vector<std::string> others_;
};

void print_rules() {
  for (const auto& row : rule_table()) {
    const std::string number = row.number;
    std::cout << number << std::string(number.size() < 6 ? 6 - number.size() : 1, ' ') << row.text << '\n';
  }
}

int check_file(const options& chosen) {
  const configuration c(chosen);
  for (const auto& other : c.others())
    std::cout << chosen.file << ": section [" << other << "] is the application's, and is not looked at\n";
  if (c.groups().empty()) {
    std::cout << chosen.file
              << ": no [groups.NAME]: groups have the default contract, unless the program gives another\n";
    group_settings usual;
    usual.how.replication = replication::active;
    bool good = true;
    for (const auto& f : judge("default", usual, c.members())) {
      good &= f.severity == severity::warn;
      std::cout << c.file().located(1, std::string(f.severity == severity::reject ? "refused: " : "warning: ") + f.text)
                << '\n';
    }
    return good ? well : refused;
  }
  const auto found = judge(c.groups(), c.members());
  bool any_refused = false;
  for (const auto& [name, group] : c.groups()) {
    if (!chosen.group.empty() && name != chosen.group) continue;
    bool good = true;
    for (const auto& f : found) {
      if (f.group != name) continue;
      good &= f.severity == severity::warn;
      std::cout << c.file().located(f.line, "[groups." + name + "] " +
                                                (f.severity == severity::reject ? "refused: " : "warning: ") + f.text)
                << '\n';
    }
    if (good)
      std::cout << c.file().located(group.line, "[groups." + name + "] can be started by " +
                                                    std::to_string(c.members().members) + " members")
                << '\n';
    any_refused |= !good;
  }
  return any_refused ? refused : well;
}

int explain_file(const options& chosen) {
  const configuration c(chosen);
  bool first = true;
  for (const auto& [name, group] : c.groups()) {
    if (!chosen.group.empty() && name != chosen.group) continue;
    std::cout << (std::exchange(first, false) ? "" : "\n") << "group " << name << ": "
              << explain(group.how, c.members());
    for (const auto& f : judge(name, group, c.members()))
      std::cout << (f.severity == severity::reject ? "refused: " : "warning: ") << f.text << '\n';
  }
  if (first) std::cout << "the default contract: " << explain(contract::replicated(), c.members());
  return well;
}

std::shared_ptr<options> add_file(CLI::App& command, bool needed) {
  const auto chosen = std::make_shared<options>();
  auto* file = command.add_option("file", chosen->file, "A node's configuration file")->type_name("FILE");
  if (needed) file->required();
  command.add_option("--group", chosen->group, "Only this group")->type_name("NAME");
  return chosen;
}

}  // namespace

void add_check(CLI::App& program, int& code) {
  auto* command =
      program.add_subcommand("check",
                             "Checks the contracts of a configuration file: what contradicts what, why, and "
                             "the nearest legal contract");
  const auto chosen = add_file(*command, false);
  command->add_flag("--rules", chosen->rules, "Prints the table of rules");
  command->footer(
      "Exit code: 0 all can be started, 1 a contract is refused, 2 wrong usage or a file that cannot be read");
  command->callback([chosen, &code] {
    if (chosen->rules)
      print_rules();
    else if (chosen->file.empty())
      throw CLI::RequiredError("file");
    if (!chosen->file.empty()) code = check_file(*chosen);
  });
}

void add_explain(CLI::App& program, int& code) {
  auto* command = program.add_subcommand("explain",
                                         "Tells what the contracts of a configuration file mean: messages, delays and "
                                         "flushes, what is survived, bounds on time and memory");
  const auto chosen = add_file(*command, true);
  command->footer("Exit code: 0 explained, 2 wrong usage or a file that cannot be read");
  command->callback([chosen, &code] { code = explain_file(*chosen); });
}

}  // namespace cohort::tool
