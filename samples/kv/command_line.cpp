#include "samples/kv/command_line.hpp"

#include <CLI/CLI.hpp>

namespace kv {

std::optional<command_line> parse_command_line(int argc, char** argv, int& exit_code) {
  command_line result;
  CLI::App app{
      "A node of a replicated key-value service that Redis clients can use.\n"
      "Neither clients nor links between nodes are authenticated or encrypted: keep both in a trusted network.",
      "cohort-kv"};
  app.set_version_flag("--version", std::string("cohort-kv ") + COHORT_VERSION);
  app.add_option("--config", result.config, "The node's configuration file (TOML)")->required()->type_name("FILE");
  app.add_option(
         "--new-epoch", result.new_epoch,
         "Founds a volatile group anew after all its members were lost; a number larger than the one before, the "
         "same at all members")
      ->type_name("N");
  app.add_option("--log-level", result.log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_flag("--check", result.check, "Reads the configuration, says what is wrong with it, and ends");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_code = app.exit(e) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return result;
}

}  // namespace kv
