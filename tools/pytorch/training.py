"""The same training in PyTorch as Starling's: model, AdamW, clipping, schedule, from weights and batches in a folder."""

import json
import math
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

import classes
from starling_side import Starling, relative_difference  # noqa: F401: who compares the two has both from here

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Model(nn.Module):
    """Pre-norm residual blocks between an embedding and the same matrix as output projection."""

    def __init__(self, config, weights):
        super().__init__()
        self.dtype, self.plan = TYPES[config["precision"]], config["livs"]
        self.embedding, self.norm = nn.Parameter(weights["embedding"]), nn.Parameter(weights["norm"])
        self.norms, self.livs, self.outs = nn.ParameterList(), nn.ModuleList(), nn.ModuleList()
        for i, liv in enumerate(self.plan):

            def take(name, i=i):
                return weights.get(f"livs.{i}.bank.{name}", weights.get(f"livs.{i}.{name}"))

            owner = self.livs[liv["weight_owner"]] if liv["weight_owner"] != i else None
            self.livs.append(classes.make(liv["class"], config, i + 1, take, owner))
            self.norms.append(nn.Parameter(take("norm")))
            self.outs.append(classes.matrix(take, "out"))

    def forward(self, tokens):
        x, features = F.embedding(tokens, self.embedding), []
        for liv, norm, out, plan in zip(self.livs, self.norms, self.outs, self.plan):
            features.append({name: features[plan["feature_owner"]][name] for name in plan["reads"]})
            x = x + out(liv(classes.rms_norm(x, norm).to(self.dtype), features[-1]))
        return F.linear(classes.rms_norm(x, self.norm).to(self.dtype), self.embedding.to(self.dtype)).float()

    def loss(self, inputs, targets):
        return F.cross_entropy(self(inputs).flatten(0, 1), targets.flatten())


class Optimiser:
    """AdamW on all tensors of a kind at once, after clipping by the norm of all gradients."""

    def __init__(self, model, config):
        self.config, self.parameters = config, list(model.parameters())
        # Matrices decay, and the embedding where Starling says so; taps, A, B, C, K and λ have two dimensions and are none.
        embedding_decays = next(weight["decay"] for weight in config["weights"] if weight["name"] == "embedding")
        decays = {id(model.embedding)} if embedding_decays else set()
        for module in model.modules():
            if isinstance(module, (classes.Bank, classes.Dense, classes.Monarch)):
                decays.update(map(id, module.parameters(recurse=False)))
            if isinstance(module, nn.ParameterDict):
                decays.update(id(weight) for name, weight in module.items() if name.endswith("_up"))
        groups = [[p for p in self.parameters if (id(p) in decays) == decay] for decay in (True, False)]
        expected = sum(math.prod(weight["shape"]) for weight in config["weights"] if weight["decay"])
        if sum(p.numel() for p in groups[0]) != expected:
            raise SystemExit("the weights that decay are not those of Starling's side")
        self.adamw = torch.optim.AdamW(
            [{"params": groups[0], "weight_decay": config["weight_decay"]}, {"params": groups[1], "weight_decay": 0.0}],
            lr=config["learning_rate"], betas=config["betas"], **({"fused": True} if model.embedding.is_cuda else {"foreach": True}))

    def rate(self, step):
        peak, steps = self.config["learning_rate"], self.config["steps"]
        final = peak * self.config["final_learning_rate"]
        warmup = math.floor(self.config["warmup"] * steps + 0.5)  # halves go up
        if step < warmup:
            return peak * (step + 1) / warmup
        return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * (step + 1 - warmup) / (steps - warmup)))

    def clear(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, step):
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm().item()
        if norm > self.config["gradient_clip"]:
            torch._foreach_mul_(gradients, self.config["gradient_clip"] / (norm + 1e-6))
        for group in self.adamw.param_groups:
            group["lr"] = self.rate(step)
        self.adamw.step()


class Start:
    """What a folder holds: configuration, first weights, batches."""

    def __init__(self, folder):
        self.config = json.loads((folder / "model.json").read_text())
        values = torch.from_numpy(numpy.fromfile(folder / "weights.f32", numpy.float32))
        sizes = [math.prod(weight["shape"]) for weight in self.config["weights"]]
        self.weights = {weight["name"]: part.view(weight["shape"]) for weight, part in zip(self.config["weights"], values.split(sizes))}
        shape = (self.config["steps"], 2, self.config["sequences"], self.config["length"])
        self.batches = torch.from_numpy(numpy.fromfile(folder / "tokens.i64", numpy.int64)).view(shape)

    def train(self):
        """Losses and seconds of every step."""
        model = Model(self.config, {name: weight.clone() for name, weight in self.weights.items()})
        optimiser = Optimiser(model, self.config)
        losses, seconds = [], []
        for step, (inputs, targets) in enumerate(self.batches):
            begin = time.perf_counter()
            optimiser.clear()
            loss = model.loss(inputs, targets)
            loss.backward()
            optimiser.step(step)
            losses.append(loss.item())
            seconds.append(time.perf_counter() - begin)
        return losses, seconds

    def warm_up(self):
        """One backward pass, in which operators choose their forms."""
        Model(self.config, {name: weight.clone() for name, weight in self.weights.items()}).loss(*self.batches[0]).backward()
