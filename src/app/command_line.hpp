#pragma once

namespace detection::app {

/// Reads the command line and runs the subcommand; the exit code of the process.
int run(int argc, char** argv);

}  // namespace detection::app
