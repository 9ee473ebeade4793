#!/usr/bin/python3
"""`tools/bench cpu`: Starling's trainer beside PyTorch's, in turn, a row for every genome and precision.

    bench_cpu.py BENCH_TRAIN --rounds N --steps N --precision P... -- GENOME...

The PyTorch side (pytorch/) is independent of Starling's code and in the best form that tensor operations allow: projections of one input
are one matrix, grouped queries fold into the rows of one product, scans run in chunks with backward passes of their own, kernels of state
spaces come from two tables of powers, AdamW and clipping run over lists of tensors, and where a function has several forms (attention
whole, in parts or fused; convolution by FFT or direct; scans in chunks of 8, 16 or 32, over the batch or sequence by sequence) the model
takes those that were fastest at its shapes, before the rounds begin. PyTorch runs eagerly: Debian's cannot compile.

Where Starling's time goes (perf, one Xeon core with AMX; 2048 tokens a step). f32: 54 to 56 % are OpenBLAS's products, of which a fifth packs
operands, since at width 128 no product is large; the fused kernels (attention 12 %, norms, gates, cross-entropy, AdamW; in striped-mamba the
selective scan 10 %) take 27 to 29 %, ATen and the dispatcher 7 %, clearing memory 4 %. As PyTorch spends the same on the same products, the
ratio is what all the rest is worth: it is smallest where products and softmax are nearly all of a model (transformer++, and genomes of
linear attention and convolutions), largest where it has scans. In bf16 products run in AMX tiles and shrink to a quarter; attention, which
computes in float, is a fifth, other kernels over bfloat16 as much again, ATen 12 %. So the bf16 peak stays far away at this width.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "pytorch"))
import instructions

os.environ.setdefault("ATEN_CPU_CAPABILITY", instructions.widest())

import torch

import training

TOLERANCE = {"f32": 1e-3, "bf16": 2e-2}  # of the loss; in bf16 the order of roundings is each side's own
RATIO, PEAK = 1.5, 0.65  # a row reaches its goal by either
FILES = ["/usr/include/caf/**/*.hpp", "/usr/include/boost/asio/**/*.hpp"]


class Row:
    def __init__(self, arguments, genome, precision):
        self.genome, self.precision = genome, precision
        self.ours, self.theirs, products = [], [], []
        options = ["--steps", arguments.steps, "--precision", precision, "--files", *FILES]
        with tempfile.TemporaryDirectory() as folder, training.Starling(arguments.program, folder, genome, *options) as starling:
            start = training.Start(Path(folder))
            start.warm_up()
            for _ in range(arguments.rounds):
                products.append(starling.tell("product")["flops"])
                result = starling.tell("train")
                losses, seconds = start.train()
                self.ours.append(statistics.median(result["seconds"]))
                self.theirs.append(statistics.median(seconds))
            self.text = start.config["genome"]
            self.tokens = start.config["sequences"] * start.config["length"]
            self.products = start.config["product_flops_per_token"] * self.tokens
        self.losses = result["losses"][-1], losses[-1]
        self.difference = training.relative_difference(result["losses"], losses)
        self.ratio = min(self.theirs) / min(self.ours)
        self.peak = self.products / min(self.ours) / max(products)
        self.fastest_product = max(products)

    def __str__(self):
        ours, theirs = (self.tokens / min(seconds) for seconds in (self.ours, self.theirs))
        losses = "  ".join(f"{loss:.4f}" for loss in self.losses)
        name = self.genome if len(self.genome) <= 16 else self.genome[:13] + "..."
        return (f"{name:<16} {self.precision:<4} {ours:>10,.0f} {theirs:>10,.0f}   {losses}"
                f"   ratio {self.ratio:.2f}x peak {self.peak:.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--precision", nargs="+", required=True)
    parser.add_argument("genomes", nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as Starling does
    print(f"{'tokens/s':<21} {'starling':>10} {'pytorch':>10}   losses after {arguments.steps} steps", flush=True)
    rows = []
    for precision in arguments.precision:
        for genome in arguments.genomes:
            rows.append(Row(arguments, genome, precision))
            print(rows[-1], flush=True)
    print()
    for precision in arguments.precision:
        fastest = max(row.fastest_product for row in rows if row.precision == precision)
        print(f"fastest matrix product in {precision}: {fastest / 1e9:,.0f} GFLOP/s")
    for genome, text in {row.genome: row.text for row in rows if row.genome != row.text}.items():
        print(f"{genome} is {text}")
    reached = sum(row.ratio >= RATIO or row.peak >= PEAK for row in rows)
    print(f"{reached} of {len(rows)} rows reach ratio {RATIO}x or peak {PEAK}; PyTorch {torch.__version__}")
    different = [row for row in rows if not row.difference <= TOLERANCE[row.precision]]
    for row in different:
        print(f"{row.genome} in {row.precision}: losses differ by {row.difference:.1e} of their size, "
              f"allowed are {TOLERANCE[row.precision]:g}", file=sys.stderr)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
