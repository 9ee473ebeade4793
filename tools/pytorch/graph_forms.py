"""One form of each function, of which torch.compile makes a single graph of a model: choosing by time would break it. Scans and Fourier
transforms, which it cannot make faster, are operators of their own. (What is merely left out ends a graph, and of a function that calls it in
a loop, as that over all LIVs, nothing is compiled.) Needs a PyTorch of 2.4 or later."""

import torch
from torch.library import custom_op

import forms

CHUNK = 64


@custom_op("starling::scan", mutates_args=())
def scan(a: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    return forms.solve_scan(a, u, CHUNK)


@scan.register_fake
def _(a, u):
    return torch.empty(u.shape, dtype=u.dtype, device=u.device)


scan.register_autograd(lambda ctx, dh: forms.scan_gradients(scan, *ctx.saved_tensors, dh),
                       setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0], output))


@custom_op("starling::convolve", mutates_args=())
def convolve(u: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return forms.long_convolution_by_fft_of_rows(u, kernel).contiguous()


@convolve.register_fake
def _(u, kernel):
    return torch.empty(u.shape, dtype=u.dtype, device=u.device)


@custom_op("starling::convolve_backward", mutates_args=())
def convolve_backward(dy: torch.Tensor, u: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    length = u.shape[1]

    def transformed(x):
        return torch.fft.rfft(x.float().transpose(-1, -2).contiguous(), n=2 * length)

    def back(x):
        return torch.fft.irfft(x, n=2 * length)[..., :length].transpose(-1, -2).contiguous()

    of_dy = transformed(dy)
    return back(of_dy * transformed(kernel).conj()).to(u.dtype), back((of_dy * transformed(u).conj()).sum(0)).to(kernel.dtype)


@convolve_backward.register_fake
def _(dy, u, kernel):
    return torch.empty(u.shape, dtype=u.dtype, device=u.device), torch.empty(kernel.shape, dtype=kernel.dtype, device=kernel.device)


convolve.register_autograd(lambda ctx, dy: convolve_backward(dy, *ctx.saved_tensors),
                           setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))


FORMS = {
    "short_convolution": forms.convolution_by_shifts,
    "long_convolution": convolve,
    "attention": forms.attention_fused,
    "linear_attention": forms.linear_attention_in_chunks,
    "selective_scan": forms.selective_scan_with(scan),
    "gated_scan": forms.gated_scan_with(scan),
    "liquid_scan": forms.liquid_scan_with(scan),
}


def take():
    """Every model takes these from here on. Gives those it took before."""
    before = {name: getattr(forms, name) for name in FORMS}
    for name, form in FORMS.items():
        setattr(forms, name, form)
    return before
