#!/usr/bin/python3
"""`tools/bench gpu`: Starling's trainer on a GPU beside PyTorch's, its kernels beside tensor operations, small models alone and together.

    bench_gpu.py BENCH_TRAIN BENCH_OPERATORS --device cuda:N --steps N --rounds N --minutes N [--python PYTHON]

The PyTorch side (pytorch/on_gpu.py) is the model of pytorch/ under torch.compile, with AdamW fused; PYTHON has a PyTorch that sees the same
GPU. A row without time left says so. A large model is 24 LIVs of width 768 with a vocabulary of 32,768, trained on sequences of
4096 tokens, 65,536 in a step; a small one is 6 LIVs of width 128, sequences of 256, 8,192 in a step, a vocabulary of 257.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "pytorch"))

from starling_side import Starling, relative_difference

TOLERANCE = 2e-2  # of the loss in bf16: the order of roundings is each side's own
LARGE = ["--depth", 24, "--width", 768, "--length", 4096, "--batch-tokens", 65536, "--random-tokens", 32768]
SMALL = ["--depth", 6, "--width", 128, "--length", 256, "--batch-tokens", 8192, "--random-tokens", 257]
GENOMES = ["transformer++", "striped-mamba", "striped-hyena"]
SMALL_GENOME = "striped-mamba"
SEQUENCES = 4  # that PyTorch trains on at once: 16,384 tokens fill a GPU, and what its scans keep of more does not fit
TOGETHER = [1, 2, 4, 8]
ONE_COMPARISON = 180  # seconds that PyTorch's side of a row has at most


def settled(seconds):
    """The median step, without the first ones, in which libraries choose and compile."""
    return statistics.median(seconds[len(seconds) // 3 :])


class Clock:
    def __init__(self, minutes):
        self.end = time.monotonic() + 60 * minutes

    def left(self):
        return self.end - time.monotonic()


def say(line):
    print(line, flush=True)


def pytorch(python, device, folder, clock):
    """Losses and seconds, or a word why not."""
    if python is None:
        return "no python3 with a PyTorch that sees the GPU"
    if clock.left() < 30:
        return "no time left"
    command = [python, "-B", HERE / "pytorch" / "on_gpu.py", folder, str(SEQUENCES)]
    number, visible = device.removeprefix("cuda:"), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        number = visible.split(",")[int(number)].strip()
    try:
        done = subprocess.run(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": number}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=min(clock.left(), ONE_COMPARISON))
    except subprocess.TimeoutExpired:
        return "no time left"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        print(*lines[-40:], sep="\n", file=sys.stderr)
        return "failed: " + (lines[-1] if lines else f"exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def large_rows(arguments, clock):
    """Whether all sides that ran had the same losses."""
    say(f"{'d 768, T 4096, bf16':<20} {'tokens/s':>10} {'TFLOP/s':>8} {'peak':>5} {'GB':>6}   {'compiled PyTorch':>16} {'GB':>6}   losses after the last step")
    agree, product = True, None
    for genome in GENOMES:
        options = [*LARGE, "--steps", arguments.steps, "--precision", "bf16", "--device", arguments.device]
        if clock.left() < 60:
            say(f"{genome:<20} no time left")
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                with Starling(arguments.train, folder, genome, *options) as starling:
                    product = starling.tell("product")["flops"]
                    ours = starling.tell("train")
            except (SystemExit, BrokenPipeError):  # it has said why; no reason to miss the other rows
                say(f"{genome:<20} failed")
                agree = False
                continue
            config = json.loads((Path(folder) / "model.json").read_text())
            speed = config["sequences"] * config["length"] / settled(ours["seconds"])
            flops = speed * config["product_flops_per_token"]
            row = f"{genome:<20} {speed:>10,.0f} {flops / 1e12:>8.1f} {flops / product:>5.2f} {ours['peak_memory_bytes'] / 1e9:>6.1f}"
            theirs = pytorch(arguments.python, arguments.device, folder, clock)
        if isinstance(theirs, str):
            say(f"{row}   {'-':>16} {'-':>6}   {ours['losses'][-1]:.4f}   ratio - ({theirs})")
            continue
        compared = config["sequences"] * config["length"] / settled(theirs["seconds"])
        difference = relative_difference(ours["losses"], theirs["losses"])
        agree = agree and difference <= TOLERANCE
        say(f"{row}   {compared:>16,.0f} {theirs['peak_memory_bytes'] / 1e9:>6.1f}   {ours['losses'][-1]:.4f}  {theirs['losses'][-1]:.4f}   ratio {speed / compared:.2f}x"
            + ("" if difference <= TOLERANCE else f"  DIFFERENT LOSSES ({difference:.1e})"))
    if product:
        say(f"fastest matrix product in bf16: {product / 1e12:,.1f} TFLOP/s")
    return agree


def small_rows(arguments, clock):
    say(f"\n{'small models at once':<20}  tokens/s of all  ({SMALL_GENOME}, bf16)")
    alone = None
    for count in TOGETHER:
        if clock.left() < 20:
            say(f"{count:>20}  no time left")
            continue
        with contextlib.ExitStack() as stack:
            sides = []
            for _ in range(count):
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                options = [*SMALL, "--steps", 10 * arguments.steps, "--precision", "bf16", "--device", arguments.device]
                sides.append(stack.enter_context(Starling(arguments.train, folder, SMALL_GENOME, *options)))
            # The first time kernels are loaded and libraries choose.
            for _ in range(2):
                for side in sides:
                    side.ask("train")
                results = [side.answer() for side in sides]
        speed = sum(8192 / settled(result["seconds"]) for result in results)
        alone = alone or speed
        say(f"{count:>20}  {speed:>15,.0f}  ratio {speed / alone:.2f}x")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("operators")
    parser.add_argument("--device", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--python")
    arguments = parser.parse_args()
    clock = Clock(arguments.minutes)
    say("kernels in f32, batch 4")
    try:
        code = subprocess.run([arguments.operators, str(arguments.rounds), arguments.device], timeout=clock.left() / 3).returncode
    except subprocess.TimeoutExpired:
        say("no time left")
        code = 1
    if code == 2:
        print("tools/bench: no GPU found: this needs a build of the preset cuda and a machine with a GPU", file=sys.stderr)
        sys.exit(2)
    say("")
    agree = large_rows(arguments, clock)
    try:
        small_rows(arguments, clock)
    except (SystemExit, BrokenPipeError):
        agree = False
    sys.exit(0 if agree and code == 0 else 1)


if __name__ == "__main__":
    main()
