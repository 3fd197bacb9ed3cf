#include "tools/cohort/commands.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

int main(int argc, char** argv) {
  using namespace cohort::tool;
  int code = well;
  CLI::App program{"What an operator of Cohort's nodes needs beside the nodes.", "cohort"};
  program.set_version_flag("--version", std::string("cohort ") + COHORT_VERSION);
  program.require_subcommand(1);
  add_check(program, code);
  add_explain(program, code);
  add_verify(program, code);
  add_supervise(program, code);
  add_call(program, code);
  add_watch(program, code);
  add_admin(program, code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return program.exit(e) == 0 ? well : wrong_usage;
  } catch (const std::exception& e) {
    std::cerr << "cohort: " << e.what() << '\n';
    return wrong_usage;
  }
  return code;
}
