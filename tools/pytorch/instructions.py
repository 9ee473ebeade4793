"""To be asked before torch is imported."""

from pathlib import Path


def widest():
    """For ATEN_CPU_CAPABILITY: ATen 1.13 takes AVX-512 only on request, and trusts the request."""
    return "avx512" if "avx512vl" in Path("/proc/cpuinfo").read_text() else "avx2"
