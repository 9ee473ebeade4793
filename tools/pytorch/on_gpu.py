"""Trains the start that a folder holds on the first GPU, by torch.compile, and prints losses and seconds of every step as JSON.

    on_gpu.py FOLDER SEQUENCES

SEQUENCES: of a step that are trained on at once, fewer where memory runs out.
"""

import json
import sys
import time
from pathlib import Path

import torch

import graph_forms
import training


def train(start, sequences):
    model = training.Model(start.config, {name: weight.cuda() for name, weight in start.weights.items()})
    optimiser = training.Optimiser(model, start.config)
    compiled = torch.compile(model.loss)
    losses, seconds = [], []
    torch.cuda.reset_peak_memory_stats()
    for step, batch in enumerate(start.batches):
        begin = time.perf_counter()
        optimiser.clear()
        inputs, targets = (half.pin_memory().cuda(non_blocking=True) for half in batch)
        total = 0.0
        for first in range(0, len(inputs), sequences):
            part = inputs[first : first + sequences], targets[first : first + sequences]
            loss = compiled(*part) * (len(part[0]) / len(inputs))
            loss.backward()
            total = total + loss.detach()
        optimiser.step(step)
        losses.append(total.item())
        seconds.append(time.perf_counter() - begin)
    return {"losses": losses, "seconds": seconds, "sequences": sequences, "torch": torch.__version__,
            "peak_memory_bytes": torch.cuda.max_memory_allocated()}


def main():
    folder, sequences = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_default_device("cuda")
    graph_forms.take()
    start = training.Start(folder)
    while True:
        try:
            result = train(start, sequences)
            break
        except torch.cuda.OutOfMemoryError:
            if sequences == 1:
                raise
        sequences = (sequences + 1) // 2
        torch.cuda.empty_cache()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
