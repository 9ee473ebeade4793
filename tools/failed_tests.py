"""Prints the failed tests of JUnit files of ctest, each with the end of what it printed. tools/test calls it last: those who see only
the end of a log see what failed.

usage: failed_tests.py FILE...
"""

import sys
import xml.etree.ElementTree as xml

LINES = 40  # of each test, from the end; the rest is further up


def main(paths):
    for path in paths:
        for case in xml.parse(path).getroot().iter("testcase"):
            if case.find("failure") is None:
                continue
            said = (case.findtext("system-out") or "").rstrip().splitlines()
            print(f"--- {case.get('name')} failed" + (f"; the last {LINES} of {len(said)} lines:" if len(said) > LINES else ""))
            print("".join(f"    {line}\n" for line in said[-LINES:]), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
