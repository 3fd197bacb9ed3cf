// What is asked of a running node, through the socket in its data directory. The node knows the commands; here they are named for
// --help, and their arguments passed on.
#include "tools/cohort/commands.hpp"

#include "transport/admin/ask.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <optional>

namespace cohort::tool {
namespace {

constexpr auto patience = std::chrono::seconds(60);  ///< a change of a group takes up to 30 s

struct asked {
  std::string node;
  std::vector<std::string> words;  ///< behind the command's own
  std::map<std::string, std::optional<std::string>> options;  ///< passed on where they are given
};

int ask(const asked& a, std::vector<std::string> words) {
  words.insert(words.end(), a.words.begin(), a.words.end());
  for (const auto& [option, value] : a.options)
    if (value) words.insert(words.end(), {option, *value});
  transport::admin::answer answer;
  try {
    answer = transport::admin::ask(a.node + "/admin", words, patience);
  } catch (const std::runtime_error& e) {
    answer = {refused, std::string(e.what()) + '\n'};
  }
  (answer.code == well ? std::cout : std::cerr) << answer.text << std::flush;
  return answer.code == well ? well : refused;
}

/// `options` are pairs of a name and what it means.
void add(CLI::App& to, const std::string& name, const std::string& what, std::vector<std::string> words, const std::string& arguments,
         int& code, const std::map<std::string, std::string>& options = {}) {
  auto a = std::make_shared<asked>();
  auto& command = *to.add_subcommand(name, what);
  command.add_option("--node", a->node, "the data directory of a node that runs on this machine")->required();
  if (!arguments.empty()) command.add_option("arguments", a->words, arguments)->required();
  for (const auto& [option, meaning] : options) command.add_option(option, a->options[option], meaning);
  command.callback([a, words = std::move(words), &code] { code = ask(*a, words); });
}

}  // namespace

void add_admin(CLI::App& program, int& code) {
  add(program, "status", "Prints how a running node's groups and links are", {"status"}, "", code);
  add(program, "nodes", "Prints the nodes of a running node's cluster", {"nodes"}, "", code);
  add(program, "add", "Adds a node to the cluster, which may join from now on", {"add"}, "NAME HOST:PORT", code);
  add(program, "move", "Tells the cluster where a node is from now on", {"move"}, "NAME HOST:PORT", code);
  add(program, "remove", "Removes a node from the cluster, for good", {"remove"}, "NAME", code);
  add(program, "metrics", "Prints a running node's metrics in Prometheus' format", {"metrics"}, "", code);
  add(program, "processes", "Prints the supervised processes of a running node", {"processes"}, "", code);
  add(program, "redo", "Has resilient processes that stay down, since redoing their journal ended the whole process, try it again", {"redo"},
      "names of processes", code);
  auto& group = *program.add_subcommand("group", "A running group: its rules, its members, its leader");
  group.require_subcommand(1);
  add(group, "list", "Prints the groups that were created while the cluster ran, and whether they run here", {"group", "list"}, "", code);
  add(group, "create", "Creates a group on all nodes of the cluster, or on some", {"group", "create"},
      "GROUP TYPE [SETTING...]: a type that the program registers, settings as in a configuration file: 'election_min = \"500 ms\"'", code,
      {{"--on", "the nodes that have it: n1,n3,n4; all, if this is left out"}, {"--witness", "nodes that keep its log alone: n5"}});
  add(group, "extend", "One more node has a part in a group that was created on some", {"group", "extend"}, "GROUP NODE", code);
  add(group, "delete", "Deletes a group that was created so, with all it holds, for good", {"group", "delete"}, "GROUP", code);
  add(group, "rules", "Prints how the contract in force differs from the defaults", {"group", "rules"}, "GROUP", code);
  add(group, "change", "Changes the contract of a running group", {"group", "change"},
      "GROUP [weaker] SETTING..., settings as in a configuration file: 'heartbeat = \"100 ms\"'; weaker: also to promise less", code);
  add(group, "exclude", "Takes a member's place and vote, until it is restored", {"group", "exclude"}, "GROUP MEMBER", code);
  add(group, "restore", "Lets an excluded member join again", {"group", "restore"}, "GROUP MEMBER", code);
  add(group, "handover", "Lets another member lead, if this node does", {"group", "handover"}, "GROUP", code);
  add(group, "repair", "Drops what this node holds of a group, whose state differs from that of the others; it is given theirs", {"group", "repair"},
      "GROUP", code);
  auto& letters = *program.add_subcommand("letters", "Messages that ended their receivers, and were put aside");
  letters.require_subcommand(1);
  add(letters, "list", "Prints them, a line each", {"letters", "list"}, "", code);
  add(letters, "show", "Prints all that is known of them", {"letters", "show"}, "numbers of letters", code);
  add(letters, "replay", "Gives them to their receivers once more", {"letters", "replay"}, "numbers of letters", code);
  add(letters, "drop", "Forgets them", {"letters", "drop"}, "numbers of letters", code);
}

}  // namespace cohort::tool
