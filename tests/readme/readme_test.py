"""Does what README.md says, from its first block to its last, as a reader would who stands in the root of the tree: sh, console and
Python blocks are run, TOML blocks are experiments that `starling` accepts, and a block of any other kind is refused here. Blocks without
a kind, or of kind text, show output.

usage: readme_test.py SOURCE_DIRECTORY BUILD_DIRECTORY [unittest arguments]
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
BUILD = Path(sys.argv.pop(1)).resolve()
PYTHON = "/usr/bin/python3"

CAN_COMPARE = (BUILD / "bench_train").exists() and all(map(importlib.util.find_spec, ["torch", "numpy"]))

# What is not run as written: the command, what is run in its place, and why.
REDUCED = {
    "tools/quickstart": (
        "build/release/starling run experiments/quickstart.toml budget.evaluations=17 training.tokens=2048 task.validation_tokens=4096"
        " --out runs/quickstart-1",
        "installs, builds, and searches for minutes; tests/scripts drives the script itself"),
    "build/release/starling retrain runs/quickstart-1 --front --baselines --tokens 4_000_000": (
        "build/release/starling retrain runs/quickstart-1 --front --baselines --tokens 4_096",
        "forty times the tokens of the search take an hour"),
    **{f"build/release/starling run experiments/quickstart.toml budget.evaluations=200 training.tokens=500_000 {rest}": (
        f"build/release/starling run experiments/quickstart.toml budget.evaluations=17 training.tokens=2048 task.validation_tokens=4096 {rest}",
        "searches for an hour") for rest in ("--out runs/hour-nsga2", "search.algorithm=random --out runs/hour-random")},
    "tools/test": (
        "tools/test --help | grep '^Usage: tools/test'",
        "would run this test, among others"),
    "build/release/starling run experiments/series.toml": (
        "build/release/starling run experiments/series.toml budget.evaluations=9 training.tokens=2048",
        "searches for two minutes"),
    "tools/bench operators": (
        "tools/bench operators --rounds 1", "best times need rounds on a machine that has nothing else to do"),
    "tools/bench gpu": (
        "tools/bench --help | grep '^Usage: tools/bench gpu'", "needs a GPU"),
    "tools/bench cpu": (
        "tools/bench cpu --rounds 1 --steps 2 --precision f32 striped-mamba" if CAN_COMPARE
        else "tools/bench --help | grep '^Usage: tools/bench cpu'",
        "five rounds of ten models take minutes; the Python PyTorch that it compares with need not be installed"),
}


@dataclass
class Block:
    line: int
    kind: str
    text: str


def blocks(markdown):
    """The fenced blocks of a page, and as blocks of kind sh the commands in the text between them: `tools/…` or `build/release/…` and
    arguments."""
    found, fence = [], None
    for number, line in enumerate(markdown.splitlines(), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})\s*(.*?)\s*$", line)
        if fence and mark and not mark[2] and mark[1].startswith(fence):
            fence = None
        elif fence:
            found[-1].text += line + "\n"
        elif mark:
            fence = mark[1]
            found.append(Block(number, mark[2], ""))
        else:
            for command in re.findall(r"(?<!`)`((?:tools|build/release)/[^`\s]+ [^`]+)`(?!`)", line):
                found.append(Block(number, "sh", command + "\n"))
    if fence:
        raise ValueError(f"line {found[-1].line}: the block does not end")
    return found


def lines_of(block):
    """The lines of a shell block as the shell sees them: without output, with what a backslash continues."""
    lines, continued = [], False
    for line in block.text.splitlines():
        if block.kind == "console":
            match = re.match(r"> ?(.*)" if continued else r"\$ (.*)", line)
            if not match and not continued:
                continue
            line = match[1] if match else line
        if continued:
            lines[-1] = f"{lines[-1][:-1].rstrip()} {line.lstrip()}"
        else:
            lines.append(line)
        continued = line.endswith("\\")
    return lines


def command_in(line):
    """A line without the comment behind it."""
    return re.sub(r"(^|\s)#.*", "", line).strip()


class Scratch(unittest.TestCase):
    """A root like the tree's, with the build under test in the place of build/release, and folders of its own where a reader writes."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="starling readme ")
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)
        for entry in SOURCE.iterdir():
            if entry.name in ["tools", "experiments"]:  # the scripts of tools/ find the root from where they lie
                shutil.copytree(entry, self.root / entry.name)
            elif entry.name not in ["build", "runs"] and not entry.name.startswith("."):
                (self.root / entry.name).symlink_to(entry)
        (self.root / "build").mkdir()
        (self.root / "build" / "release").symlink_to(BUILD)
        (self.root / "runs").mkdir()

    def process(self, *command):
        return subprocess.run(command, cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
                              env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, timeout=600)

    def shell(self, lines):
        """Ends at the first command that fails, in a pipe too, and traces how far it came."""
        return self.process("bash", "-c", "set -euxo pipefail\n" + "\n".join(lines))

    def run_block(self, block):
        """What a block did, as processes; none where this test does not know what to do with it."""
        if block.kind in ["sh", "console"]:
            return [self.shell(REDUCED.get(command_in(line), [line])[0] for line in lines_of(block))]
        if block.kind == "python":
            return [self.process(PYTHON, "-c", block.text)]
        if block.kind == "toml":
            file = self.root / "from-the-readme.toml"
            file.write_text(block.text, encoding="utf-8")
            return [self.process("build/release/starling", "check", file.name),
                    self.process("build/release/starling", "run", file.name, "--dry-run")]
        return []


class Readme(Scratch):
    def setUp(self):
        super().setUp()
        self.blocks = blocks((SOURCE / "README.md").read_text(encoding="utf-8"))

    def test_does_what_it_says(self):
        self.assertTrue({"sh", "toml", "python"} <= {block.kind for block in self.blocks})
        done = []
        for block in self.blocks:
            if block.kind in ["", "text"] or (block.kind, block.text) in done:
                continue
            done.append((block.kind, block.text))
            with self.subTest(f"README.md:{block.line}", kind=block.kind):
                processes = self.run_block(block)
                self.assertTrue(processes, f"a block of kind '{block.kind}' is one that nothing runs")
                for process in processes:
                    self.assertEqual(process.returncode, 0, f"\n{block.text}{process.stdout}{process.stderr}")

    def test_shows_commands_only_in_blocks_that_are_run(self):
        for block in self.blocks:
            if block.kind in ["", "text"]:
                self.assertNotRegex(block.text, r"(?m)^\s*\$ ", f"README.md:{block.line}")
            elif block.kind in ["sh", "console"]:
                self.assertTrue(any(map(command_in, lines_of(block))), f"README.md:{block.line} holds no command")

    def test_has_a_use_for_every_reduced_command(self):
        commands = {command_in(line) for block in self.blocks if block.kind in ["sh", "console"] for line in lines_of(block)}
        self.assertLessEqual(set(REDUCED), commands)


class Reading(Scratch):
    """That the test above misses nothing."""

    def test_blocks_are_found_with_their_kind_and_line(self):
        page = "a\n```sh\nx\n```\n- b\n  ~~~ text\n  ```\n  ~~~\n\n````\n```sh\n````\nrun `tools/x y`, not `tools/x` or ``tools/x y``\n"
        self.assertEqual(blocks(page), [Block(2, "sh", "x\n"), Block(6, "text", "  ```\n"), Block(10, "", "```sh\n"),
                                        Block(13, "sh", "tools/x y\n")])

    def test_a_block_that_does_not_end_is_refused(self):
        with self.assertRaisesRegex(ValueError, "line 2: "):
            blocks("a\n```sh\nx\n")

    def test_console_blocks_are_commands_and_output(self):
        block = Block(1, "console", "$ one \\\n>   two\nout $ put\n$ three  # why\n> out\n$ four \\\nfive\n")
        self.assertEqual([command_in(line) for line in lines_of(block)], ["one two", "three", "four five"])

    def test_shell_blocks_are_commands_and_comments(self):
        block = Block(1, "sh", "# why\none \\\n  two  # why\nthree a#b\n")
        self.assertEqual([command_in(line) for line in lines_of(block)], ["", "one two", "three a#b"])

    def test_the_first_command_that_fails_is_the_last_that_is_run(self):
        for text in ["true\nfalse\necho on\n", "false | true\necho on\n"]:
            [process] = self.run_block(Block(1, "sh", text))
            self.assertNotEqual(process.returncode, 0)
            self.assertIn("+ false\n", process.stderr)
            self.assertEqual(process.stdout, "")

    def test_blocks_that_do_not_work_are_noticed(self):
        for block in [Block(1, "console", "$ build/release/starling front runs/quickstart-1\n"), Block(1, "sh", "cat no-such-file\n"),
                      Block(1, "python", "open('runs/quickstart-1/run.h5')\n"), Block(1, "toml", "[budget]\nevaluatoins = 3\n")]:
            self.assertTrue(any(process.returncode for process in self.run_block(block)), block)

    def test_blocks_of_another_kind_are_not_run(self):
        for kind in ["bash", "shell", "cpp", "SH"]:
            self.assertEqual(self.run_block(Block(1, kind, "true\n")), [])

    def test_what_a_reader_writes_stays_out_of_the_tree(self):
        [process] = self.run_block(Block(1, "sh", "cp experiments/quickstart.toml experiments/mine.toml; touch runs/x build/x\n"))
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertFalse(any((SOURCE / name).exists() for name in ["experiments/mine.toml", "runs/x", "build/x"]))


if __name__ == "__main__":
    unittest.main()
