# At every build: OUTPUT, a source that defines starling::tools::git_commit, touched only where that has changed.
#   cmake -DSOURCE=<repository> -DOUTPUT=<source> -P GitCommit.cmake
cmake_minimum_required(VERSION 3.25)
find_package(Git QUIET)
set(commit "")
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} describe --always --dirty --exclude=* --abbrev=12
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "namespace starling::tools {\nextern const char* const git_commit;\nconst char* const git_commit = \"@commit@\";\n}\n" @ONLY)
