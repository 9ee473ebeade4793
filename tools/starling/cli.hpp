// The command line of `starling`: reads it, runs the command, turns errors into messages and exit codes.
#pragma once

namespace starling::tools {

/// Never throws. Results go to stdout, messages to stderr.
int cli_main(int count, char** arguments);

}  // namespace starling::tools
