#!/usr/bin/python3
"""The other side of `tools/bench train`: the same model in PyTorch, independent of Starling's code.

    bench_train.py DIRECTORY NAME

trains what bench_train wrote to DIRECTORY from the same weights on the same batches, prints one row of the table, and ends with 1
where the losses differ by more than 1e-3 (in bf16 2e-2). Every operator is in the best form that tensor operations allow: projections
of one input are one matrix, grouped queries are folded into the rows of one product, scans run in chunks of 16 with all chunks side by
side and a backward pass of their own, AdamW is the foreach form. Where there were several forms (convolution, chunk length, sum over
states, fused attention) the fastest at this size was taken. In bf16, weights, residual stream, norms, recurrences, the loss and AdamW are
f32, as on Starling's side; each use of a matrix casts it, which costs less than autocast's bookkeeping.
"""

import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512" if "avx512vl" in Path("/proc/cpuinfo").read_text() else "avx2")

import numpy
import torch
import torch.nn.functional as F
from torch import nn

TOLERANCE = {"f32": 1e-3, "bf16": 2e-2}  # nats, at every step; in bf16 the order of roundings is each side's own
CHUNK = 16
NORM_EPSILON = 1e-5

# Feature groups that a reader takes from its owner, by strategy.
ATTENTION = {1: "", 2: "kv", 3: "k", 4: "v"}
STATES = {1: "", 2: "BC", 3: "B", 4: "C"}


class Scan(torch.autograd.Function):
    """h_t = a_t h_{t-1} + u_t along dimension 1 of (batch, length, ...): O(length) work in 2 √length dependent steps."""

    @staticmethod
    def solve(a, u):
        batch, length = a.shape[:2]
        a = a.view(batch, length // CHUNK, CHUNK, *a.shape[2:])
        h = u.reshape(a.shape).clone()
        for t in range(1, CHUNK):
            h[:, :, t].addcmul_(a[:, :, t], h[:, :, t - 1])
        decay = a.cumprod(2)
        for chunk in range(1, a.shape[1]):
            h[:, chunk].addcmul_(decay[:, chunk], h[:, chunk - 1, -1:])
        return h.view(u.shape)

    @staticmethod
    def forward(ctx, a, u):
        h = Scan.solve(a, u)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx, dh):
        # g_t = dh_t + a_{t+1} g_{t+1}: the same scan from the other end.
        a, h = ctx.saved_tensors
        next_decay = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1)
        g = Scan.solve(next_decay.flip(1), dh.flip(1)).flip(1)
        da = torch.zeros_like(a)
        torch.mul(g[:, 1:], h[:, :-1], out=da[:, 1:])
        return da, g


def causal_convolution(x, taps):
    """Depthwise: x (batch, length, channels), taps (channels, k)."""
    padded = F.pad(x.transpose(1, 2), (taps.shape[1] - 1, 0))
    return F.conv1d(padded, taps.to(x.dtype)[:, None], groups=len(taps)).transpose(1, 2)


def silu(x):
    return F.silu(x.float()).to(x.dtype)  # in bfloat16 itself it takes half as long again


class Bank(nn.Module):
    """Projections of one input as one matrix; a LIV that computes only some of them uses its rows."""

    def __init__(self, take, names):
        super().__init__()
        weights = {name: weight for name in names if (weight := take(name)) is not None}
        self.rows, begin = {}, 0
        for name, weight in weights.items():
            self.rows[name] = slice(begin, begin + len(weight))
            begin += len(weight)
        self.weight = nn.Parameter(torch.cat(list(weights.values())))

    def forward(self, x, names):
        weight = self.weight.to(x.dtype)
        if list(names) == list(self.rows):
            parts = F.linear(x, weight).split([rows.stop - rows.start for rows in self.rows.values()], -1)
            return dict(zip(names, parts))
        return {name: F.linear(x, weight[self.rows[name]]) for name in names}


class Attention(nn.Module):
    reads, groups = ATTENTION, "qkv"

    def __init__(self, config, take, shared):
        super().__init__()
        self.heads, self.length = config["heads"], config["length"]
        self.bank = shared or Bank(take, self.groups)
        half = config["width"] // self.heads // 2
        angles = torch.arange(self.length, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        self.cos, self.sin = angles.cos().float().repeat(1, 2), angles.sin().float().repeat(1, 2)
        self.mask = torch.full((self.length, self.length), -math.inf, dtype=TYPES[config["precision"]]).triu(1)

    def split(self, x):
        return x.unflatten(-1, (-1, self.cos.shape[1])).transpose(1, 2)

    def rotate(self, x):
        exact = x.float()
        a, b = exact.chunk(2, -1)
        return (exact * self.cos + torch.cat([-b, a], -1) * self.sin).to(x.dtype)

    def forward(self, x, features):
        new = {name: self.split(y) for name, y in self.bank(x, [g for g in self.groups if g not in features]).items()}
        q = self.rotate(new["q"]) / math.sqrt(new["q"].shape[-1])
        if "k" in new:
            new["k"] = self.rotate(new["k"])
        features.update(new)
        k, v = features["k"], features["v"]
        folded = q.reshape(q.shape[0], k.shape[1], -1, q.shape[-1])
        scores = (folded @ k.transpose(-1, -2)).view(*q.shape[:2], self.length, self.length)
        weights = (scores + self.mask).softmax(-1)
        y = weights.view(q.shape[0], v.shape[1], -1, self.length) @ v
        return y.view(q.shape).transpose(1, 2).flatten(2)


class StateSpace(nn.Module):
    reads, groups = STATES, "BCA"

    def __init__(self, config, take, shared):
        super().__init__()
        self.shared = shared
        if shared is None:
            self.inner = Bank(take, ["v", "z"])
            self.outer = Bank(take, ["B", "C", "A.down"])
            for name in ["A.up", "A.bias", "A.log", "v.taps"]:
                setattr(self, name.replace(".", "_"), nn.Parameter(take(name)))
        self.bank = self if shared is None else shared
        self.skip = nn.Parameter(take("D"))

    def forward(self, x, features):
        bank = self.shared or self
        inner = bank.inner(x, ["v", "z"])
        v = silu(causal_convolution(inner["v"], bank.v_taps))
        new = bank.outer(v, [g for g in ["B", "C", "A.down"] if g not in features])
        delta = F.softplus(F.linear(new.pop("A.down"), bank.A_up.to(v.dtype)).float() + bank.A_bias)
        features.update({name: y.float() for name, y in new.items()})
        # Decays, states and sums of the recurrence are float in either precision.
        decay = torch.exp(delta[..., None] * -bank.A_log.exp())
        exact = v.float()
        h = Scan.apply(decay, (delta * exact)[..., None] * features["B"][:, :, None])
        y = (h * features["C"][:, :, None]).sum(-1) + self.skip * exact
        return y.to(v.dtype) * silu(inner["z"])


class GatedConvolution(nn.Module):
    reads, groups = STATES, "BCv"

    def __init__(self, config, take, shared):
        super().__init__()
        self.bank = shared or Bank(take, self.groups)
        if shared is None:
            self.bank.taps = nn.Parameter(take("K"))

    def forward(self, x, features):
        features.update(self.bank(x, [g for g in self.groups if g not in features]))
        return features["C"] * causal_convolution(features["B"] * features["v"], self.bank.taps)


class Memoryless(nn.Module):
    reads, groups = {1: [], 2: ["gate"]}, ["gate", "value"]

    def __init__(self, config, take, shared):
        super().__init__()
        self.bank = shared or Bank(take, self.groups)

    def forward(self, x, features):
        features.update(self.bank(x, [g for g in self.groups if g not in features]))
        return silu(features["gate"]) * features["value"]


TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
CLASSES = {"SA-1": Attention, "SA-3": Attention, "Rec-1": StateSpace, "GConv-1": GatedConvolution, "GMemless": Memoryless}


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * weight


class Model(nn.Module):
    def __init__(self, config, weights):
        super().__init__()
        self.dtype = TYPES[config["precision"]]
        self.embedding = nn.Parameter(weights["embedding"])
        self.norm = nn.Parameter(weights["norm"])
        livs = config["livs"]
        self.owners = [self.owner(livs, i, "feature") for i in range(len(livs))]
        self.reads = []
        self.norms, self.livs, self.outs = nn.ParameterList(), nn.ModuleList(), nn.ParameterList()
        for i, liv in enumerate(livs):
            if liv["class"] not in CLASSES:
                sys.exit(f"LIV {i + 1}: the Python side has no class {liv['class']}, only {', '.join(CLASSES)}")
            kind = CLASSES[liv["class"]]

            def take(name, i=i):
                return weights.get(f"livs.{i}.bank.{name}", weights.get(f"livs.{i}.{name}"))

            bank_owner = self.owner(livs, i, "featurizer")
            self.livs.append(kind(config, take, self.livs[bank_owner].bank if bank_owner != i else None))
            self.norms.append(nn.Parameter(take("norm")))
            self.outs.append(nn.Parameter(take("out")))
            self.reads.append(kind.reads[liv["feature_strategy"]] if self.owners[i] != i else [])

    @staticmethod
    def owner(livs, i, kind):
        """The first LIV of the sharing group that LIV i is a member of, or i."""
        same = [
            j
            for j in range(i + 1)
            if livs[i][f"{kind}_strategy"] > 1
            and livs[j][f"{kind}_strategy"] > 1
            and all(livs[j][key] == livs[i][key] for key in ("class", f"{kind}_group"))
        ]
        return same[0] if same else i

    def forward(self, tokens):
        x = F.embedding(tokens, self.embedding)
        features = []
        for liv, norm, out, owner, reads in zip(self.livs, self.norms, self.outs, self.owners, self.reads):
            features.append({name: features[owner][name] for name in reads})
            x = x + F.linear(liv(rms_norm(x, norm).to(self.dtype), features[-1]), out.to(self.dtype))
        return F.linear(rms_norm(x, self.norm).to(self.dtype), self.embedding.to(self.dtype)).float()


def load_weights(directory, config):
    values = torch.from_numpy(numpy.fromfile(directory / "weights.f32", numpy.float32))
    weights, begin = {}, 0
    for weight in config["weights"]:
        size = math.prod(weight["shape"])
        weights[weight["name"]] = values[begin : begin + size].view(weight["shape"]).clone()
        begin += size
    return weights


def optimiser_of(model, config):
    """Parameters that decay are those that Starling decays: matrices, and the embedding where it says so."""
    embedding_decays = next(weight["decay"] for weight in config["weights"] if weight["name"] == "embedding")
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        matrix = name.startswith("outs.") or name.endswith(("inner.weight", "outer.weight", "bank.weight", "A_up"))
        groups[embedding_decays if name == "embedding" else matrix].append(parameter)
    decayed = sum(parameter.numel() for parameter in groups[True])
    assert decayed == sum(math.prod(weight["shape"]) for weight in config["weights"] if weight["decay"])
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": config["weight_decay"]},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=config["learning_rate"],
        betas=config["betas"],
        foreach=True,
    )


def learning_rate(config, step):
    peak, steps = config["learning_rate"], config["steps"]
    final, warmup = peak * config["final_learning_rate"], round(config["warmup"] * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (steps - warmup)))


def train(model, config, tokens):
    optimiser = optimiser_of(model, config)
    losses, elapsed, start = [], [], time.perf_counter()
    for step in range(config["steps"]):
        inputs, targets = tokens[step]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config["gradient_clip"])
        optimiser.step()
        losses.append(loss.item())
        elapsed.append(time.perf_counter() - start)
    return losses, elapsed


def speed(elapsed, tokens):
    """Tokens per second of the median step: what another program does to a few steps does not count."""
    return tokens / statistics.median(after - before for before, after in zip(elapsed, elapsed[1:]))


def main():
    directory, name = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    config = json.loads((directory / "model.json").read_text())
    starling = json.loads((directory / "result.json").read_text())
    shape = (config["steps"], 2, config["sequences"], config["length"])
    tokens = torch.from_numpy(numpy.fromfile(directory / "tokens.i64", numpy.int64)).view(shape)
    losses, elapsed = train(Model(config, load_weights(directory, config)), config, tokens)

    per_step = config["sequences"] * config["length"]
    ours, theirs = speed(starling["elapsed_s"], per_step), speed(elapsed, per_step)
    difference = max(abs(a - b) for a, b in zip(starling["losses"], losses))
    verdict = "" if difference <= TOLERANCE[config["precision"]] else f"  losses differ by {difference:.1e}"
    print(
        f"{name:<16} {ours:>10,.0f} {theirs:>10,.0f}   ratio {ours / theirs:.2f}x"
        f"   {starling['losses'][-1]:.4f}  {losses[-1]:.4f}{verdict}",
        flush=True,
    )
    sys.exit(1 if verdict or math.isnan(difference) else 0)


if __name__ == "__main__":
    main()
