"""The LIV classes of the catalogue `liquid` in PyTorch, written from their equations and independent of Starling's code. Each is a module
that makes mixed channels of a normalised input (batch, length, width), before its output projection. Weights come by name through
`take(name)`, None where another LIV has them; features that others may read are left in a dictionary by name. In bf16 matrices and
activations are bfloat16; norms, decays, states, sums over states and what is learned besides matrices are float."""

import math

import torch
import torch.nn.functional as F
from torch import nn

import forms

NORM_EPSILON = 1e-5


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * weight


def exactly(function):
    """bfloat16 through float: some functions take half as long again in bfloat16 itself."""
    return lambda x: function(x.float()).to(x.dtype)


silu = exactly(F.silu)


class Bank(nn.Module):
    """Projections of one input as one matrix; a LIV that computes only some of them uses its rows."""

    def __init__(self, take, names):
        super().__init__()
        weights = {name: weight for name in names if (weight := take(name)) is not None}
        self.rows, begin = {}, 0
        for name, weight in weights.items():
            self.rows[name] = slice(begin, begin + len(weight))
            begin += len(weight)
        self.weight = nn.Parameter(torch.cat(list(weights.values()))) if weights else None

    def forward(self, x, names):
        names = list(names)
        if not names:
            return {}
        weight = self.weight.to(x.dtype)
        if names != list(self.rows):
            weight = torch.cat([weight[self.rows[name]] for name in names])
        return dict(zip(names, F.linear(x, weight).split([self.rows[name].stop - self.rows[name].start for name in names], -1)))


class Monarch(nn.Module):
    """y[o, k] = Σ_β left[k, o, β] Σ_j right[β, k, j] x[β, j]."""

    def __init__(self, take, name):
        super().__init__()
        self.right, self.left = nn.Parameter(take(name + ".right")), nn.Parameter(take(name + ".left"))

    def forward(self, x):
        blocks, block, _ = self.right.shape
        inner = x.reshape(-1, blocks, block).transpose(0, 1) @ self.right.to(x.dtype).transpose(1, 2)  # β, row, k
        y = inner.permute(2, 1, 0) @ self.left.to(x.dtype).transpose(1, 2)  # k, row, o
        return y.permute(1, 2, 0).reshape(*x.shape[:-1], -1)


class Dense(nn.Module):
    def __init__(self, take, name):
        super().__init__()
        self.weight = nn.Parameter(take(name))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


def matrix(take, name):
    return Dense(take, name) if take(name) is not None else Monarch(take, name)


class Liv(nn.Module):
    """`owner`: the LIV whose weights this one has for all that may be shared, or None for its own. Differential, T₁ − λ T₂: two maps."""

    def __init__(self, config, position, take, owner, differential=False):
        super().__init__()
        self.heads, self.length = config["heads"], config["length"]
        self.head_width = config["width"] // self.heads
        self.maps = ["", "2"] if differential else [""]
        self.first_lambda = 0.8 - 0.6 * math.exp(-0.3 * (position - 1))
        if differential:
            self.vectors = nn.Parameter(take("lambda"))
        if owner is None:
            self.shared = self.make(take)
        else:
            self.shared = owner.shared

    def weigh(self):
        first, second, third, fourth = self.vectors
        return (first @ second).exp() - (third @ fourth).exp() + self.first_lambda

    def difference(self, outputs):
        return outputs[0] if len(outputs) == 1 else outputs[0] - self.weigh() * outputs[1]

    def in_maps(self, names):
        return [name + suffix for suffix in self.maps for name in names]

    @staticmethod
    def parameters_of(take, names):
        return nn.ParameterDict({name.replace(".", "_"): nn.Parameter(take(name)) for name in names if take(name) is not None})


class Attention(Liv):
    """y = softmax(q kᵀ / √e) v per head, q and k rotated; each head of k and v serves as many of q as there are for it. Differential:
    heads of q and k are two of half the width, y = (1 − λ₀) RMSNorm((softmax(q₁ k₁ᵀ / √e) − λ softmax(q₂ k₂ᵀ / √e)) v). With taps, a
    convolution of three tokens lies behind each projection."""

    def make(self, take):
        shared = nn.ModuleDict({"bank": Bank(take, "qkv")})
        shared["taps"] = self.parameters_of(take, ["q.taps", "k.taps", "v.taps"])
        return shared

    def __init__(self, config, position, take, owner, differential=False):
        super().__init__(config, position, take, owner, differential)
        self.part = self.head_width // len(self.maps)
        half = self.part // 2
        angles = torch.arange(self.length)[:, None].double() * 10000.0 ** (-torch.arange(half).double() / half)
        self.cos, self.sin = angles.cos().float().repeat(1, 2)[:, None], angles.sin().float().repeat(1, 2)[:, None]

    def rotate(self, x, scale=1.0):
        exact = x.unflatten(-1, (-1, self.part)).float()
        a, b = exact.chunk(2, -1)
        return (exact * (self.cos * scale) + torch.cat([-b, a], -1) * (self.sin * scale)).to(x.dtype)

    def forward(self, x, features):
        names = [name for name in "qkv" if name not in features]
        new = self.shared["bank"](x, names)
        taps = self.shared["taps"]
        if len(taps):
            widths = [new[name].shape[-1] for name in names]
            joined = forms.short_convolution(torch.cat(list(new.values()), -1), torch.cat([taps[name + "_taps"] for name in names]))
            new = dict(zip(names, joined.split(widths, -1)))
        q = self.rotate(new["q"], 1 / math.sqrt(self.part))
        if "k" in new:
            features["k"] = self.rotate(new["k"]).transpose(1, 2)
        if "v" in new:
            features["v"] = new["v"].unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        k, v = features["k"], features["v"]
        q = q.unflatten(2, (k.shape[1], -1)).permute(0, 2, 3, 1, 4)
        y = forms.attention(q, k, v).unflatten(2, (len(self.maps), -1))
        if len(self.maps) == 2:
            apart = (y[:, :, 0] - self.weigh() * y[:, :, 1]).float()
            y = rms_norm(apart, 1 - self.first_lambda).to(x.dtype)
        else:
            y = y[:, :, 0]
        return y.permute(0, 3, 1, 2, 4).flatten(2)


class LinearAttention(Liv):
    """y_t = φ(q_t)ᵀ Σ φ(k_s) v_sᵀ / φ(q_t)ᵀ Σ φ(k_s) per head, φ = elu + 1."""

    def make(self, take):
        return nn.ModuleDict({"bank": Bank(take, ["q", "k", "v", "q2", "k2"])})

    def forward(self, x, features):
        names = [name for name in ["q", "k", "v", "q2", "k2"][: 1 + 2 * len(self.maps)] if name not in features]
        for name, y in self.shared["bank"](x, names).items():
            y = y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            features[name] = y if name == "v" else (F.elu(y.float()) + 1).to(x.dtype)
        v = features["v"]
        y = self.difference([forms.linear_attention(features.pop("q" + m), features["k" + m], v) for m in self.maps])
        return y.to(x.dtype).transpose(1, 2).flatten(2)


class StateSpaceGate(Liv):
    """What S6 and S4 have in common: y = SiLU(z) ⊙ (mixed + D v), D private."""

    def __init__(self, config, position, take, owner, differential=False):
        super().__init__(config, position, take, owner, differential)
        self.skip = nn.Parameter(take("D"))

    def gated(self, outputs, v, z):
        if len(self.maps) == 2:
            mixed = self.difference(outputs) + ((1 - self.weigh()) * self.skip) * v
        else:
            mixed = outputs[0] + self.skip * v
        return mixed.to(z.dtype) * silu(z)


class SelectiveStateSpace(StateSpaceGate):
    """S6: v = SiLU(conv₄(W x)); B, C and Δ = softplus(W_up W_down v + bias) of v; A = −exp(A_log)."""

    def make(self, take):
        of_v = self.in_maps(["B", "C", "A.down"])
        own = self.in_maps([""])
        shared = nn.ModuleDict({"of_x": Bank(take, ["v", "z"]), "of_v": Bank(take, [self.named(name) for name in of_v])})
        names = [f"A{m}.{part}" for m in own for part in ("up", "bias", "log")]
        shared["own"] = self.parameters_of(take, names + ["v.taps"])
        return shared

    @staticmethod
    def named(name):
        """"A.down2" as "A2.down"."""
        return "A2.down" if name == "A.down2" else name

    def forward(self, x, features):
        own = self.shared["own"]
        inner = self.shared["of_x"](x, ["v", "z"])
        v = silu(forms.short_convolution(inner["v"], own["v_taps"]))
        exact = v.float()
        new = self.shared["of_v"](v, [n for n in map(self.named, self.in_maps(["B", "C", "A.down"])) if n not in features])
        outputs = []
        for m in self.maps:
            delta = F.softplus(F.linear(new.pop(f"A{m}.down"), own[f"A{m}_up"].to(v.dtype)).float() + own[f"A{m}_bias"])
            for name in ("B" + m, "C" + m):
                if name in new:
                    features[name] = new[name].float()
            rate = -own[f"A{m}_log"].exp()
            outputs.append(forms.selective_scan(4, delta, exact, features["B" + m], features["C" + m], rate))
        return self.gated(outputs, exact, inner["z"])


class GatedRecurrence(Liv):
    """h_t = a h_{t−1} + (1 − a) B v, y = Σ_n C_n h_n, a = σ(W_a x + b)."""

    def make(self, take):
        shared = nn.ModuleDict({"bank": Bank(take, ["A", "v", "B", "C", "A2", "B2", "C2"])})
        shared["own"] = self.parameters_of(take, [f"A{m}.bias" for m in self.maps])
        return shared

    def forward(self, x, features):
        names = ["A", "v", "B", "C", "A2", "B2", "C2"][: 1 + 3 * len(self.maps)]
        new = self.shared["bank"](x, [name for name in names if name not in features])
        v, outputs = new["v"].float(), []
        for m in self.maps:
            for name in ("B" + m, "C" + m):
                if name in new:
                    features[name] = new[name].float()
            decay = torch.sigmoid(new["A" + m].float() + self.shared["own"][f"A{m}_bias"])
            decay = decay.unflatten(-1, (-1, v.shape[-1]))
            outputs.append(forms.gated_scan(4, decay, v, features["B" + m], features["C" + m]))
        return self.difference(outputs).to(x.dtype)


class GatedConvolution(Liv):
    """y = C ⊙ (K * (B ⊙ v)), K of three taps, or as long as the sequence and a network of the position under a window (Hyena)."""

    filter = [f"{layer}{part}" for layer in "123" for part in ("", ".bias")] + ["out"]

    def make(self, take):
        shared = nn.ModuleDict({"bank": Bank(take, ["B", "C", "v", "B2", "C2"])})
        kernels = [f"K{m}.{part}" for m in self.maps for part in self.filter]
        shared["own"] = self.parameters_of(take, [f"K{m}" for m in self.maps] + kernels)
        return shared

    def implicit(self, m):
        own = self.shared["own"]
        place = torch.arange(self.length)[:, None] / self.length
        angles = 2 * math.pi * place * torch.arange(1, 5)
        hidden = torch.cat([place, angles.cos(), angles.sin()], 1)
        for layer in "123":
            hidden = torch.sin(F.linear(hidden, own[f"K{m}_{layer}"], own[f"K{m}_{layer}_bias"]))
        out = own[f"K{m}_out"]
        decay = torch.linspace(math.log(100) / 1.5, math.log(100) / 0.3, len(out))
        return F.linear(hidden, out) * torch.exp(-decay * place)

    def forward(self, x, features):
        names = ["B", "C", "v", "B2", "C2"][: 1 + 2 * len(self.maps)]
        features.update(self.shared["bank"](x, [name for name in names if name not in features]))
        v, outputs = features.pop("v"), []
        for m in self.maps:
            u = features["B" + m] * v
            short = self.shared["own"]["K" + m] if "K" + m in self.shared["own"] else None
            mixed = forms.long_convolution(u, self.implicit(m)) if short is None else forms.short_convolution(u, short)
            outputs.append(features["C" + m] * mixed)
        return self.difference(outputs).to(x.dtype)


class StateSpace(StateSpaceGate):
    """S4D with zero-order hold: A = −exp(A.log) + i A.imaginary, Ā = exp(Δ A), B̄ = B (Ā − 1) / A; liquid: with decays
    Ā + (1 − |Ā|) b tanh v, b = l / √(1 + |l|²)."""

    def make(self, take):
        dense = take("v") is not None
        shared = nn.ModuleDict({"bank": Bank(take, ["v", "z"])} if dense else {name: Monarch(take, name) for name in "vz"})
        of_maps = ["A{}.log", "A{}.imaginary", "A{}.step", "A{}.liquid", "B{}", "C{}"]
        shared["own"] = self.parameters_of(take, [name.format(m) for m in self.maps for name in of_maps])
        return shared

    def forward(self, x, features):
        shared, own, outputs = self.shared, self.shared["own"], []
        inner = shared["bank"](x, "vz") if "bank" in shared else {name: shared[name](x) for name in "vz"}
        v = inner["v"].float()

        def number(both):
            return torch.complex(*both.chunk(2))

        for m in self.maps:
            for name in ("B" + m, "C" + m):
                if name not in features:
                    features[name] = own[name]
            rate = torch.complex(-own[f"A{m}_log"].exp(), own[f"A{m}_imaginary"])
            log_decay = own[f"A{m}_step"].exp() * rate
            decay = torch.exp(log_decay)
            weight = number(features["C" + m]) * number(features["B" + m]) * (decay - 1) / rate
            if f"A{m}_liquid" in own:
                bend = number(own[f"A{m}_liquid"])
                bend = (1 - decay.abs()) * bend / torch.sqrt(1 + bend.abs().square())
                outputs.append(forms.liquid_scan(1, v, decay, bend, weight))
            else:
                outputs.append(forms.long_convolution(v, forms.state_space_kernel(log_decay, weight, self.length)))
        return self.gated(outputs, v, inner["z"])


class Memoryless(Liv):
    """y = act(gate) ⊙ value."""

    def __init__(self, config, position, take, owner, act):
        super().__init__(config, position, take, owner)
        self.act = exactly(act)

    def make(self, take):
        return nn.ModuleDict({"bank": Bank(take, ["gate", "value"])})

    def forward(self, x, features):
        features.update(self.shared["bank"](x, [name for name in ["gate", "value"] if name not in features]))
        return self.act(features["gate"]) * features["value"]


CLASSES = {
    **dict.fromkeys(["SA-1", "SA-3", "SA-4", "SA-5"], Attention),
    "SA-2": LinearAttention,
    "Rec-1": SelectiveStateSpace,
    "Rec-2": GatedRecurrence,
    **dict.fromkeys(["GConv-1", "GConv-2"], GatedConvolution),
    **dict.fromkeys(["S4-1", "S4-2", "S4-Monarch"], StateSpace),
}
ACTS = {"GMemless": F.silu, "GMemless-2": F.gelu, "GMemless-3": F.relu}


def make(name, config, position, take, owner):
    """The LIV of that class at that position in depth, from 1."""
    if name in ACTS:
        return Memoryless(config, position, take, owner, ACTS[name])
    base = name.removesuffix("-Diff")
    base = "S4-1" if base == "S4" else base
    if base not in CLASSES:
        raise SystemExit(f"the PyTorch side has no class {name}")
    return CLASSES[base](config, position, take, owner, base != name or name == "S4-Diff")
