"""What a host is, as far as it matters to latency: a dictionary, and a short digest of it."""

import json
import os
import platform
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
         "asimd", "asimddp", "fphp", "sve", "i8mm", "bf16")  # fmt: skip
"""The instruction sets that decide which kernels a runtime picks."""


@cache
def host() -> dict[str, Any]:
    """The host's processor, cores, instruction sets, memory (GiB) and system."""
    processor = _processor()
    flags = set(processor.get("flags", processor.get("Features", "")).split())
    return {
        "cpu": processor.get("model name") or processor.get("CPU part") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }


@cache
def digest() -> str:
    """Twelve hexadecimal digits that change when `host()` does."""
    return sha256(json.dumps(host(), sort_keys=True).encode()).hexdigest()[:12]


def _processor() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
