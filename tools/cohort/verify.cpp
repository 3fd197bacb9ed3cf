#include "persistence/journal.hpp"
#include "tools/cohort/commands.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace cohort::tool {
namespace {

std::string counted(std::uint64_t n, const std::string& what) { return std::to_string(n) + ' ' + what + (n == 1 ? "" : "s"); }

void print(const std::string& directory, const persistence::verify_result& found) {
  std::cout << directory << ": " << (found.damage.empty() ? "sound" : "DAMAGED") << '\n';
  if (found.owner.directory_id != 0) std::cout << "  node " << found.owner.node << '\n';
  std::cout << "  file of " << counted(found.file_bytes, "byte") << '\n';
  for (const auto& g : found.groups)
    std::cout << "  group " << g.group.name << ": " << (g.group.is_volatile ? "volatile" : "journaled") << ", epoch "
              << g.group.epoch << (g.founded ? "" : ", not founded yet") << ", " << counted(g.records, "record") << ", "
              << counted(g.checkpoints, "checkpoint") << '\n';
  if (!found.damage.empty()) std::cout << "  " << found.damage << '\n';
  std::cout << std::flush;
}

/// Damage found anywhere counts more than a directory that could not be looked at.
int verify(const std::vector<std::string>& directories) {
  bool broken = false, missed = false;
  for (const auto& directory : directories) {
    const auto found = persistence::verify(directory);
    broken |= found.checked && !found.damage.empty();
    missed |= !found.checked;
    if (found.checked)
      print(directory, found);
    else
      std::cerr << "cohort: not verified: " << found.damage << '\n';
  }
  return broken ? damaged : missed ? wrong_usage : well;
}

}  // namespace

void add_verify(CLI::App& program, int& code) {
  struct options {
    std::vector<std::string> directories;
  };
  const auto chosen = std::make_shared<options>();
  auto* command = program.add_subcommand("verify",
                                         "Checks data directories of stopped nodes: structure, every record, every chunk "
                                         "of every checkpoint. Changes no record");
  command->add_option("directories", chosen->directories, "Data directories")->required()->type_name("DIRECTORY");
  command->footer("Exit code: 0 all sound, 1 damage found, 2 wrong usage or a directory that could not be checked");
  command->callback([chosen, &code] { code = verify(chosen->directories); });
}

}  // namespace cohort::tool
