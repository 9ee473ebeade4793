# shellcheck shell=bash
# What setup, quickstart and test have in common; they source it.
unset CDPATH

# With standard input closed, the next file that any program opens would become its standard input.
if [[ ! -e /dev/fd/0 ]]; then exec </dev/null; fi

program=tools/${0##*/}
root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")

say() { printf '%s: %s\n' "$program" "$*" >&2; }

# fail CODE MESSAGE: the codes are those of starling (1 failed, 2 usage or environment).
fail() {
  local code=$1
  shift
  say "$*"
  exit "$code"
}

# As many compilers as there are cores, but no more than memory holds: one that reads LibTorch's headers takes up to 1.5 GB.
compilers() {
  local cores fit
  cores=$(nproc)
  fit=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo)
  ((fit >= 1)) || fit=1
  echo $((fit < cores ? fit : cores))
}

# configure PRESET: ninja itself configures again where a CMake file has changed, so this is for what it cannot know: the first time,
# changed presets, and a build folder that came along when the tree was copied.
configure() {
  local build=$root/build/$1 home='' options=()
  if [[ -f $build/CMakeCache.txt ]]; then
    home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$build/CMakeCache.txt")
    [[ $home -ef $root ]] || options=(--fresh)
  fi
  if [[ -f $build/build.ninja && ${#options[@]} == 0 && ! $root/CMakePresets.json -nt $build/build.ninja ]]; then return; fi
  (cd -- "$root" && cmake --preset "$1" "${options[@]}")
}

# build PRESET TARGET...
build() {
  # Checkouts share what ccache holds, wherever they lie.
  CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} \
    cmake --build "$root/build/$1" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(compilers)}" --target "${@:2}"
}
