#pragma once

/// One function a subcommand: adds it with its options to the program's, and sets the program's exit code when it runs.
namespace CLI {
class App;
}

namespace cohort::tool {

enum exit_code : int { well = 0, damaged = 1, refused = 1, wrong_usage = 2, crash_loop = 3 };

/// `cohort verify DIRECTORY...`
void add_verify(CLI::App& program, int& code);
/// `cohort check FILE [--group NAME]`, `cohort check --rules`
void add_check(CLI::App& program, int& code);
/// `cohort explain FILE [--group NAME]`
void add_explain(CLI::App& program, int& code);
/// `cohort call --gateway HOST:PORT --group NAME [TEXT...]`, `cohort watch ...`
void add_call(CLI::App& program, int& code);
void add_watch(CLI::App& program, int& code);
/// `cohort status --node DIRECTORY`, `cohort letters ...`, and whatever else is asked of a running node
void add_admin(CLI::App& program, int& code);
/// `cohort supervise -- COMMAND...`
void add_supervise(CLI::App& program, int& code);

}  // namespace cohort::tool
