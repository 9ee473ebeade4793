#include "cli.hpp"

int main(int count, char** arguments) { return starling::tools::cli_main(count, arguments); }
