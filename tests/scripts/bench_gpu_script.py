"""The table of `tools/bench gpu`, from programs that stand in for those that need a GPU."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]

TRAIN = """#!/usr/bin/python3 -B
import json, os, sys
folder, genome, options = sys.argv[1], sys.argv[2], sys.argv[3:]
if genome == os.environ.get("FAILS_AT_START"):
    sys.exit("cannot begin")
option = dict(zip(options[::2], options[1::2]))
length, tokens, steps = (int(option[name]) for name in ("--length", "--batch-tokens", "--steps"))
config = {"sequences": tokens // length, "length": length, "product_flops_per_token": 1e9}
with open(os.path.join(folder, "model.json"), "w") as file:
    json.dump(config, file)
print(json.dumps({}), flush=True)
for line in sys.stdin:
    if line.strip() == "product":
        print(json.dumps({"flops": 5e14}), flush=True)
        continue
    if genome == os.environ.get("FAILS"):
        sys.exit("CUDA error: an illegal memory access was encountered")
    # The first steps are slow and do not count.
    seconds = [1.0] * (steps // 3) + [tokens / 2e5] * (steps - steps // 3)
    print(json.dumps({"losses": [4.0] * steps, "seconds": seconds, "micro_batch_tokens": tokens, "peak_memory_bytes": 3e10}), flush=True)
"""

# In place of Python: on_gpu.py FOLDER SEQUENCES.
PYTORCH = """#!/usr/bin/python3 -B
import json, os, sys
if os.environ.get("PYTORCH_FAILS"):
    sys.exit("Traceback\\nRuntimeError: no kernel image")
loss = float(os.environ.get("LOSS", 4.0))
print("on", os.environ["CUDA_VISIBLE_DEVICES"], file=open(os.environ["NOTES"], "a"))
print(json.dumps({"losses": [loss] * 6, "seconds": [9, 9] + [65536 / 1e5] * 4, "sequences": 4, "torch": "2", "peak_memory_bytes": 6e10}))
"""

MODELS = ["transformer++", "striped-mamba", "striped-hyena"]


class Table(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="starling bench ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.train, self.pytorch = self.program("train", TRAIN), self.program("pytorch", PYTORCH)

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def bench(self, *options, operators=0, device="cuda:0", minutes=9, **environment):
        kernels = self.program("operators", f"#!/bin/sh\necho \"kernels $*\"\nexit {operators}\n")
        result = subprocess.run(
            [sys.executable, "-B", TREE / "tools" / "bench_gpu.py", self.train, kernels, "--device", device, "--steps", "6", "--rounds", "3",
             "--minutes", str(minutes), *options], env={**os.environ, "NOTES": str(self.folder / "notes"), **environment},
            capture_output=True, text=True, timeout=120)
        self.lines = result.stdout.splitlines()
        self.messages = result.stderr
        return result.returncode

    def row(self, start):
        found = [line for line in self.lines if line.lstrip().startswith(start)]
        self.assertEqual(len(found), 1, self.lines)
        return found[0]

    def test_speeds_ratios_and_memory_of_all_models(self):
        self.assertEqual(self.bench("--python", self.pytorch, device="cuda:1", CUDA_VISIBLE_DEVICES="5,7"), 0, self.messages)
        self.assertIn("kernels 3 cuda:1", self.lines)
        for model in MODELS:
            self.assertEqual(self.row(model).split(), [model, "200,000", "200.0", "0.40", "30.0", "100,000", "60.0", "4.0000", "4.0000",
                                                       "ratio", "2.00x"])
        self.assertEqual((self.folder / "notes").read_text(), "on 7\n" * 3, "the same GPU")
        self.assertIn("fastest matrix product in bf16: 500.0 TFLOP/s", self.lines)
        for count in (1, 2, 4, 8):
            self.assertEqual(self.row(f"{count} ").split(), [str(count), f"{200_000 * count:,}", "ratio", f"{count}.00x"])

    def test_without_pytorch_its_columns_are_empty(self):
        self.assertEqual(self.bench(), 0)
        for model in MODELS:
            self.assertIn("ratio - (no python3 with a PyTorch that sees the GPU)", self.row(model))

    def test_a_model_that_fails_costs_no_other_row(self):
        for when in ("FAILS", "FAILS_AT_START"):
            with self.subTest(when):
                self.assertEqual(self.bench("--python", self.pytorch, **{when: "transformer++"}), 1)
                self.assertEqual(self.row("transformer++").split(), ["transformer++", "failed"])
                self.assertIn("2.00x", self.row("striped-mamba"))
                self.assertIn("2.00x", self.row("striped-hyena"))
                self.assertIn("8.00x", self.row("8 "))

    def test_what_pytorch_dies_of_is_told(self):
        self.assertEqual(self.bench("--python", self.pytorch, PYTORCH_FAILS="1"), 0)
        self.assertIn("ratio - (failed: RuntimeError: no kernel image)", self.row("striped-hyena"))
        self.assertIn("Traceback", self.messages)

    def test_other_losses_are_a_failure(self):
        self.assertEqual(self.bench("--python", self.pytorch, LOSS="4.2"), 1)
        self.assertIn("DIFFERENT LOSSES", self.row("transformer++"))

    def test_results_of_kernels_that_differ_are_a_failure_and_the_rest_is_measured(self):
        self.assertEqual(self.bench(operators=1), 1)
        self.assertIn("200,000", self.row("striped-hyena"))

    def test_without_a_gpu_nothing_is_measured(self):
        self.assertEqual(self.bench(operators=2), 2)
        self.assertIn("no GPU found", self.messages)
        self.assertEqual(self.lines, ["kernels in f32, batch 4", "kernels 3 cuda:0"])

    def test_nothing_long_begins_when_the_time_is_over(self):
        self.assertEqual(self.bench("--python", self.pytorch, minutes=0.2), 0)
        for model in MODELS:
            self.assertEqual(self.row(model).split(), [model, "no", "time", "left"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
