"""An experiment of seconds, and text for it."""

import os

EXPERIMENT = """
name = "tiny"
seed = 5
workers = 2

[budget]
evaluations = 6

[task]
kind = "language-model"
files = ["text/*.txt"]
sequence_length = 32

[model]
depth = 4
width = 32

[search]
objectives = ["quality", "cache"]
population = 3

[training]
tokens = 2048
batch_tokens = 256
learning_rate = 3e-3
"""


def make_text(directory, files=8, lines=120):
    """Text with some structure, the same every time."""
    os.makedirs(os.path.join(directory, "text"), exist_ok=True)
    words = "the quick brown fox jumps over a lazy dog while seven starlings murmur above the field".split()
    state = 12345
    for number in range(files):
        with open(os.path.join(directory, "text", f"{number}.txt"), "w") as file:
            for _ in range(lines):
                line = []
                for _ in range(8):
                    state = (1103515245 * state + 12345) % 2**31
                    line.append(words[(state >> 8) % len(words)])
                file.write(" ".join(line) + ".\n")
