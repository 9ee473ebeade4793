"""starling generate on weights that a run saved, from outside.

usage: generate_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import glob
import json
import os
import resource
import shutil
import subprocess
import tempfile
import unittest

import h5py

from case import STARLING
from tiny import EXPERIMENT, make_text


class Generate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="starling test ")
        cls.addClassCleanup(folder.cleanup)
        cls.cwd = folder.name
        make_text(cls.cwd)
        with open(os.path.join(cls.cwd, "tiny.toml"), "w") as file:
            file.write(EXPERIMENT)
        made = cls.starling("run", "tiny.toml", "--out", "run", "--quiet")
        assert made.returncode == 0, made.stderr
        # The second is the baseline striped-mamba: attention, a recurrence, two memoryless LIVs.
        cls.checkpoint = os.path.join(cls.cwd, "run", "checkpoints", "00000002.h5")

    @classmethod
    def starling(cls, *arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 300, **options}
        return subprocess.run([STARLING, *arguments], cwd=cls.cwd, **options)

    def text(self, *arguments, **options):
        result = self.starling("generate", self.checkpoint, *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refusal(self, *arguments, code=2):
        result = self.starling("generate", *arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, b"")
        return result.stderr.decode()

    def test_continues_the_prompt_with_what_it_learned(self):
        text = self.text("--prompt", "the quick ", "--tokens", "200", "--temperature", "0")
        self.assertTrue(text.startswith(b"the quick "))
        self.assertLessEqual(len(text), len("the quick ") + 200 + 1)
        # Two thousand tokens of training teach that text is made of lower-case letters, spaces and full stops.
        self.assertTrue(set(text) <= set(b"abcdefghijklmnopqrstuvwxyz .\n"), text)

    def test_the_seed_alone_decides(self):
        first = self.text("--prompt", "a ", "--seed", "4", "--tokens", "60")
        self.assertEqual(first, self.text("--prompt", "a ", "--seed", "4", "--tokens", "60"))
        self.assertNotEqual(first, self.text("--prompt", "a ", "--seed", "5", "--tokens", "60"))
        self.assertEqual(self.text("--prompt", "a ", "--temperature", "0"), self.text("--prompt", "a ", "--top-k", "1", "--seed", "9"))

    def test_the_prompt_may_come_from_a_file_or_standard_input_and_be_any_bytes(self):
        prompt = b"\xff\x00 lazy"
        with open(os.path.join(self.cwd, "prompt"), "wb") as file:
            file.write(prompt)
        from_file = self.text("--prompt-file", "prompt", "--tokens", "8")
        self.assertTrue(from_file.startswith(prompt))
        with open(os.path.join(self.cwd, "prompt"), "rb") as file:
            self.assertEqual(self.text("--prompt-file", "-", "--tokens", "8", stdin=file), from_file)

    def test_json_counts_what_the_state_holds_as_the_formula_does(self):
        result = json.loads(self.text("--json", "--prompt", "over ", "--tokens", "59", "--samples", "3"))
        self.assertEqual(result["prompt_tokens"], 6, "a document begins with a separator")
        self.assertEqual(result["capacity"], 65)
        self.assertEqual(len(result["continuations"]), 3)
        self.assertGreater(len({continuation["text"] for continuation in result["continuations"]}), 1)
        described = self.starling("describe", result["genome"], "--width", "32", "--length", "65", "--json")
        cache = json.loads(described.stdout)["cache"]
        for continuation in result["continuations"]:
            self.assertEqual(2 * continuation["cache_elements"], cache["bytes"])

    def test_bad_input_is_refused(self):
        self.assertIn("none.h5: no such file", self.refusal("none.h5"))
        self.assertIn("tiny.toml", self.refusal("tiny.toml"))
        self.assertIn("none.txt", self.refusal(self.checkpoint, "--prompt-file", "none.txt"))
        self.assertIn("--tokens", self.refusal(self.checkpoint, "--tokens", "0"))
        self.assertIn("--top-p", self.refusal(self.checkpoint, "--top-p", "1.5"))

    def test_a_state_that_does_not_fit_is_told_in_one_line(self):
        # Keys and values of 275 GB.
        limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))}
        result = self.starling("generate", self.checkpoint, "--prompt", "a", "--tokens", str(2**30), **limits)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.decode(), r"^starling-worker: out of memory: [^\n]* 2 tokens [^\n]* 1073741824 [^\n]*\n$")

    def test_weights_that_are_not_those_of_the_genome_are_damage(self):
        damaged = os.path.join(self.cwd, "damaged.h5")
        shutil.copy(self.checkpoint, damaged)
        with h5py.File(damaged, "r+") as file:
            del file["weights/livs.1.norm"]
        self.assertIn("'livs.1.norm' is missing", self.refusal(damaged, code=1))

    def test_a_mad_task_takes_and_gives_numbers(self):
        with open(os.path.join(self.cwd, "mad.toml"), "w") as file:
            file.write("""
name = "mad"
workers = 1
budget.evaluations = 2
task = {kind = "mad", name = "in-context-recall", sequence_length = 32, training_sequences = 16, test_sequences = 8}
model = {depth = 2, width = 32}
search = {objectives = ["quality"], population = 2, tournament = 2, algorithm = "random", baselines = []}
training = {tokens = 512, batch_tokens = 128}
""")
        made = self.starling("run", "mad.toml", "--out", "mad", "--quiet")
        self.assertEqual(made.returncode, 0, made.stderr)
        checkpoint = sorted(glob.glob(os.path.join(self.cwd, "mad", "checkpoints", "*.h5")))[0]
        result = self.starling("generate", checkpoint, "--prompt", "3 9 1", "--tokens", "4")
        self.assertEqual(result.returncode, 0, result.stderr)
        numbers = [int(word) for word in result.stdout.split()]
        self.assertEqual(numbers[:3], [3, 9, 1])
        self.assertEqual(len(numbers), 7)
        self.assertTrue(all(0 <= number < 16 for number in numbers))
        self.assertIn("found '16', expected", self.refusal(checkpoint, "--prompt", "3 16"))
        self.assertIn("it is empty", self.refusal(checkpoint))


if __name__ == "__main__":
    unittest.main(verbosity=2)
