"""Starling's side of a comparison, and how far two sides are apart. Needs no PyTorch."""

import json
import math
import subprocess


class Starling:
    """The program bench_train: writes a start into a folder, then trains when told to."""

    def __init__(self, program, folder, genome, *options):
        command = [program, folder, genome, *map(str, options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(self.process.wait() or 1)  # it has said why
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def tell(self, command):
        self.ask(command)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def relative_difference(ours, theirs):
    """The largest over the steps; NaN is infinitely far from everything."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} losses beside {len(theirs)}")
    apart = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
    return max(math.inf if math.isnan(x) else x for x in apart)
