"""The same losses as an independent implementation: Starling's trainer and the PyTorch of tools/pytorch train from the same weights on the
same batches, and every step's loss is the same.

usage: losses_test.py BENCH_TRAIN DIRECTORY_OF_THE_PYTORCH_SIDE [unittest arguments]
"""

import importlib.util
import os
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.path.abspath(sys.argv.pop(1))
sys.path.insert(0, os.path.abspath(sys.argv.pop(1)))
SKIPPED = 77

for module in ["torch", "numpy"]:
    if not importlib.util.find_spec(module):
        print(f"skipped: Python has no {module} to compare with; tools/setup --compare installs it")
        sys.exit(SKIPPED)

import torch

import training

# The headers of a library that Starling is built with.
FILES = "/usr/include/caf/**/*.hpp"
TOLERANCE = 1e-3  # of the loss
SMALL = {"--width": 64, "--length": 128, "--batch-tokens": 512, "--learning-rate": 2e-3}


class Losses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)

    def start(self, genome, **options):
        """What both start from, and the losses of Starling."""
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="starling quality "))
        options = [str(word) for option in (SMALL | options).items() for word in option]
        with training.Starling(PROGRAM, folder, genome, "--files", FILES, *options) as starling:
            return training.Start(Path(folder)), starling.tell("train")["losses"]

    def assert_same(self, ours, theirs, tolerance=TOLERANCE):
        difference = training.relative_difference(ours, theirs)
        print(f"  {len(ours)} steps, loss {ours[0]:.4f} to {ours[-1]:.4f}, largest difference {difference:.1e}", flush=True)
        self.assertLessEqual(difference, tolerance)

    def test_reference_models_learn_alike_for_a_hundred_steps(self):
        for genome in ["transformer++", "striped-mamba", "striped-hyena"]:
            with self.subTest(genome):
                start, ours = self.start(genome, **{"--steps": 100})
                self.assertLess(ours[-1], 0.7 * ours[0], "nothing is learned")
                self.assert_same(ours, start.train()[0])

    def test_every_class_starts_alike(self):
        for number in range(1, 26):
            with self.subTest(number):
                start, ours = self.start(f"{number}.1.1.1.1-{number}.1.1.1.1-81111", **{"--steps": 3, "--length": 64})
                self.assert_same(ours, start.train()[0], 1e-4)

    def test_random_genomes_that_share_start_alike(self):
        for seed in range(1, 9):
            with self.subTest(seed):
                start, ours = self.start(f"random-{seed}", **{"--steps": 5, "--length": 64})
                self.assert_same(ours, start.train()[0])

    def test_bfloat16_stays_close_to_bfloat16(self):
        start, ours = self.start("striped-mamba", **{"--steps": 30, "--precision": "bf16"})
        self.assert_same(ours, start.train()[0], 2e-2)

    def test_another_training_is_noticed(self):
        start, ours = self.start("transformer++", **{"--steps": 40})
        config = start.config
        self.assertLess(training.relative_difference(ours, start.train()[0]), TOLERANCE / 10)
        for change in [{"weight_decay": 1.0}, {"betas": [0.9, 0.99]}, {"gradient_clip": 1e9}, {"warmup": 0.125},
                       {"final_learning_rate": 0.0}]:
            with self.subTest(change):
                start.config = config | change
                self.assertGreater(training.relative_difference(ours, start.train()[0]), TOLERANCE)


@unittest.skipUnless(hasattr(torch.library, "custom_op"), "this PyTorch has no torch.library.custom_op")
class FormsForCompiling(Losses):
    """What `tools/bench gpu` compares with: the same losses, and each model is one graph."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import forms
        import graph_forms

        for name, form in graph_forms.take().items():
            cls.addClassCleanup(setattr, forms, name, form)

    test_another_training_is_noticed = None  # whatever the forms

    def test_a_model_is_one_graph(self):
        for genome in ["transformer++", "striped-mamba", "striped-hyena", "random-3"]:
            with self.subTest(genome):
                start, _ = self.start(genome, **{"--steps": 1})
                model = training.Model(start.config, start.weights)
                compiled = torch.compile(model.loss, backend="aot_eager", fullgraph=True)
                loss = compiled(*start.batches[0])
                loss.backward()
                self.assertAlmostEqual(loss.item(), start.train()[0][0], places=4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
