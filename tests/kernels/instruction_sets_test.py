"""Objects that are compiled for an instruction set leave nothing that the linker may take for all of them: a weak function (an inline one
that was not inlined, an instance of a template) must name its level, or a processor without those instructions may run it.

usage: instruction_sets_test.py NM OBJECT...
"""

import subprocess
import sys


def shared(nm, objects):
    """(object, symbol) of weak definitions that do not say which level they are of."""
    found = []
    for path in objects:
        listing = subprocess.run([nm, "--demangle", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            kind, _, symbol = line[17:].partition(" ")
            if kind in "WVu" and "Level)" not in symbol:
                found.append((path, symbol))
    return found


if __name__ == "__main__":
    nm, *objects = sys.argv[1:]
    assert objects
    found = shared(nm, objects)
    for path, symbol in found:
        print(f"{path}: {symbol}")
    sys.exit(bool(found))
