"""What operators are made of, in PyTorch's tensor operations: every function in the forms that are known to be fast somewhere. None steps
through time token by token: scans run in chunks, all chunks side by side, with a backward pass of their own."""

import math
import time

import torch
import torch.nn.functional as F


class Fastest:
    """Forms of one function. A call takes the form that was fastest, forward and backward, when first called with such shapes."""

    def __init__(self, *forms):
        self.forms, self.chosen = forms, {}

    def __call__(self, *inputs):
        key = tuple((value.shape, value.stride(), value.dtype) if torch.is_tensor(value) else value for value in inputs)
        if key not in self.chosen:
            self.chosen[key] = min(self.forms, key=lambda form: self.seconds(form, inputs))
        return self.chosen[key](*inputs)

    @staticmethod
    def seconds(form, inputs):
        inputs = [value.detach().requires_grad_(value.is_floating_point()) if torch.is_tensor(value) else value for value in inputs]
        times = []
        for _ in range(4):
            start = time.perf_counter()
            with torch.enable_grad():
                y = form(*inputs)
                y.backward(torch.ones_like(y))
            times.append(time.perf_counter() - start)
        return min(times)


def divisor(length, most):
    """The largest divisor of length that is at most `most`."""
    return next(size for size in range(min(length, most), 0, -1) if length % size == 0)


# --- convolutions


def convolution_in_one(x, taps):
    padded = F.pad(x.transpose(1, 2), (taps.shape[1] - 1, 0))
    return F.conv1d(padded, taps.to(x.dtype)[:, None], groups=len(taps)).transpose(1, 2)


def convolution_by_shifts(x, taps):
    padded, count = F.pad(x, (0, 0, taps.shape[1] - 1, 0)), taps.shape[1]
    taps = taps.to(x.dtype)
    return sum(padded[:, lag : lag + x.shape[1]] * taps[:, lag] for lag in range(count))


# Depthwise and causal: x (batch, length, channels), taps (channels, k), the last for the token itself.
short_convolution = Fastest(convolution_in_one, convolution_by_shifts)


def long_convolution_by_fft(u, kernel):
    size = 2 * u.shape[1]
    transformed = torch.fft.rfft(u.float(), n=size, dim=1) * torch.fft.rfft(kernel, n=size, dim=0)
    return torch.fft.irfft(transformed, n=size, dim=1)[:, : u.shape[1]].to(u.dtype)


def long_convolution_by_fft_of_rows(u, kernel):
    size = 2 * u.shape[1]
    rows, of_kernel = u.float().transpose(1, 2).contiguous(), kernel.t().contiguous()
    transformed = torch.fft.rfft(rows, n=size) * torch.fft.rfft(of_kernel, n=size)
    return torch.fft.irfft(transformed, n=size)[..., : u.shape[1]].transpose(1, 2).to(u.dtype)


def long_convolution_direct(u, kernel):
    return convolution_in_one(u, kernel.flip(0).t())


# y_t = Σ_s kernel_s u_{t−s} per channel: u (batch, length, channels), kernel (length, channels).
long_convolution = Fastest(long_convolution_by_fft, long_convolution_by_fft_of_rows, long_convolution_direct)


# --- attention: q (batch, heads of k, queries of each, length, e), scaled; k (batch, heads of k, length, e); v (batch, heads of v, length,
# d). y (batch, heads of v, queries of each, length, d): a head of v serves all queries of k's heads that fold into it.


def causal_mask(length, like):
    return torch.full((length, length), -math.inf, dtype=like.dtype).triu_(1)


def attention_rows(q, k, v, mask):
    """For the queries of some tokens and all keys that these see."""
    batch, groups, queries, rows, width = q.shape
    keys = k.shape[2]
    folded = q.reshape(batch * groups, queries * rows, width)
    scores = torch.baddbmm(mask.repeat(queries, 1), folded, k.reshape(batch * groups, keys, width).transpose(1, 2))
    weights = scores.softmax(-1).view(batch * v.shape[1], -1, keys)
    y = weights @ v.reshape(batch * v.shape[1], keys, v.shape[3])
    return y.view(batch, v.shape[1], -1, rows, v.shape[3])


def attention_whole(q, k, v):
    return attention_rows(q, k, v, causal_mask(k.shape[2], q))


def attention_in_parts(size):
    def attention(q, k, v):
        length = k.shape[2]
        mask, parts = causal_mask(length, q), []
        for begin in range(0, length, size):
            end = min(begin + size, length)
            parts.append(attention_rows(q[..., begin:end, :], k[:, :, :end], v[:, :, :end], mask[begin:end, :end]))
        return torch.cat(parts, 3)

    return attention


def attention_fused(q, k, v):
    """PyTorch's own, which takes neither heads that serve several queries nor values that serve several maps."""
    batch, groups, queries, length, width = q.shape
    times = groups * queries // v.shape[1]
    y = F.scaled_dot_product_attention(
        q.reshape(batch, groups * queries, length, width) * math.sqrt(width),
        k.repeat_interleave(queries, 1) if queries > 1 else k,
        v.repeat_interleave(times, 1) if times > 1 else v,
        is_causal=True,
    )
    return y.view(batch, v.shape[1], -1, length, v.shape[3])


attention = Fastest(
    attention_whole,
    attention_in_parts(64),
    attention_in_parts(128),
    *([attention_fused] if hasattr(F, "scaled_dot_product_attention") else []),
)


# φ(q)ᵀ Σ φ(k) vᵀ / φ(q)ᵀ Σ φ(k): q and k (batch, heads, length, e) after φ, v (batch, heads, length, d).


def linear_attention_whole(q, k, v):
    scores = (q @ k.transpose(-1, -2)).tril()
    return ((scores @ v) / scores.sum(-1, keepdim=True, dtype=torch.float32)).to(v.dtype)


def linear_attention_in_chunks(q, k, v):
    batch, heads, length, _ = q.shape
    size = divisor(length, 64)

    def chunks(x):
        return x.reshape(batch, heads, length // size, size, x.shape[-1])

    q, k, v = chunks(q), chunks(k), chunks(torch.cat([v, torch.ones_like(v[..., :1])], -1))
    states = k.transpose(-1, -2) @ v
    before = F.pad(states.float().cumsum(2)[:, :, :-1], (0, 0, 0, 0, 1, 0)).to(q.dtype)
    y = ((q @ k.transpose(-1, -2)).tril() @ v + q @ before).float()
    return (y[..., :-1] / y[..., -1:]).to(v.dtype).view(batch, heads, length, -1)


linear_attention = Fastest(linear_attention_whole, linear_attention_in_chunks)


# --- scans


def solve_scan(a, u, chunk):
    """h_t = a_t h_{t−1} + u_t along dimension 1 of (batch, length, …), real or complex: O(length) work in length / chunk + chunk dependent
    steps."""
    batch, length = a.shape[:2]
    size = divisor(length, chunk)
    a = a.reshape(batch, length // size, size, *a.shape[2:])
    h = u.reshape(a.shape).clone()
    for t in range(1, size):
        h[:, :, t].addcmul_(a[:, :, t], h[:, :, t - 1])
    decay = a.cumprod(2)
    for i in range(1, a.shape[1]):
        h[:, i].addcmul_(decay[:, i], h[:, i - 1, -1:])
    return h.view(u.shape)


def scan_gradients(solve, a, h, dh):
    """Those of a and u: g_t = dh_t + conj(a_{t+1}) g_{t+1} is the same scan from the other end."""
    after = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1).flip(1).conj().resolve_conj()
    g = solve(after, dh.flip(1)).flip(1)
    return torch.cat([torch.zeros_like(a[:, :1]), g[:, 1:] * h[:, :-1].conj().resolve_conj()], 1), g


def scan_function(chunk):
    class Scan(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, u):
            h = solve_scan(a, u, chunk)
            ctx.save_for_backward(a, h)
            return h

        @staticmethod
        def backward(ctx, dh):
            return scan_gradients(lambda a, u: solve_scan(a, u, chunk), *ctx.saved_tensors, dh)

    return Scan.apply


def by_sequence(form):
    """Sequence by sequence: what lies between fits a smaller cache. The first `per_token` inputs have a batch."""

    def separate(per_token, *inputs):
        parts = [form(per_token, *(x[i : i + 1] for x in inputs[:per_token]), *inputs[per_token:]) for i in range(len(inputs[0]))]
        return torch.cat(parts)

    return separate


def selective_scan_with(scan):
    def selective(_, delta, v, b, c, rate):
        h = scan(torch.exp(delta[..., None] * rate), (delta * v)[..., None] * b[:, :, None])
        return (h * c[:, :, None]).sum(-1)

    return selective


def gated_scan_with(scan):
    def gated(_, a, v, b, c):
        h = scan(a, (1 - a) * b[..., None] * v[:, :, None])
        return (h * c[..., None]).sum(2)

    return gated


def liquid_scan_with(scan):
    def liquid(_, u, decay, bend, weight):
        a = torch.addcmul(decay.expand(*u.shape[:2], *decay.shape), bend, torch.tanh(u)[:, :, None].to(bend.dtype))
        s = scan(a, u[:, :, None].to(a.dtype).expand(a.shape))
        return 2 * (s * weight).sum(2).real

    return liquid


def forms_of(scanned):
    whole = [scanned(scan_function(chunk)) for chunk in (8, 16, 32)]
    return Fastest(*whole, *map(by_sequence, whole))


# Σ_n C_n h_n with h_t = exp(Δ A) h_{t−1} + Δ B v: delta, v (batch, length, d), b, c (batch, length, n), A (d, n). Called with the number
# of inputs that have a batch before them, as the next two are.
selective_scan = forms_of(selective_scan_with)
# Σ_n C_n h_n with h_t = a h_{t−1} + (1 − a) B v: a (batch, length, n, d), v (batch, length, d), b, c (batch, length, n).
gated_scan = forms_of(gated_scan_with)
# 2 Re Σ_n weight_n s_n with s_t = (decay + bend tanh u_t) s_{t−1} + u_t: u (batch, length, d), the others (n, d), complex.
liquid_scan = forms_of(liquid_scan_with)


def state_space_kernel(log_decay, weight, length):
    """2 Re Σ_n weight_n exp(log_decay_n t) for t < length, (length, d), of complex (n, d): two tables of √length powers each."""
    small = divisor(length, max(1, math.isqrt(length)))

    def powers(count, step):
        return torch.exp(log_decay.t()[..., None] * (step * torch.arange(count)))  # (d, n, count)

    first, second = powers(length // small, small) * weight.t()[..., None], powers(small, 1)
    both = torch.cat([first.real, -first.imag], 1).transpose(1, 2) @ torch.cat([second.real, second.imag], 1)
    return 2 * both.reshape(both.shape[0], length).t()
