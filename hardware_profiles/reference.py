"""The fixed reference network that every measurement is interleaved with, and what is known of its quiet time."""

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hardware_profiles import fingerprint
from hardware_profiles.device_profile import Profile
from hardware_profiles.quiet import runtime_folder
from hardware_profiles.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import nn

INPUTS = (3, 16, 16)
NAME = "interleaved-1"
"""The protocol that the reference network came with; later ones keep it, and with it what is known of its time."""
EXPIRES_S = 24 * 3600.0
"""A quiet time this old is found anew: a host may have become slower for good."""


def reference_file(runtime: Runtime) -> Path:
    """The reference network converted for the runtime; converted once, and kept in the user's runtime folder."""
    path = runtime_folder() / f"reference-{NAME}-{runtime.name}-{runtime.version()}{runtime.suffix}"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=runtime_folder()) as folder:
            os.replace(runtime.convert(reference_network(), INPUTS, 1, Path(folder)), path)
    return path


def reference_network() -> "nn.Module":
    """A small convolutional network (1.3 M multiply-accumulates) with weights that are the same everywhere."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1, groups=32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 1, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, 10),
        ).eval()


def level_of(reference: Path, profile: Profile) -> float | None:
    """The reference's quiet time (ns) on this host under this profile's settings, where it is known."""
    path = _level_file(reference, profile)
    try:
        if time.time() - path.stat().st_mtime < EXPIRES_S:
            return float(json.loads(path.read_text())["level_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def remember_level(reference: Path, profile: Profile, level: float) -> None:
    """Keep the quiet time for the next measurement; of two that end together, the later one's is kept."""
    path = _level_file(reference, profile)
    known, created = level_of(reference, profile), time.time()
    if known is not None:
        created = path.stat().st_mtime
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    temporary.write_text(json.dumps({"level_ns": level}))
    os.utime(temporary, (created, created))  # its age is that of the first finding
    os.replace(temporary, path)


def _level_file(reference: Path, profile: Profile) -> Path:
    settings = f"{fingerprint.digest()}-{profile.threads}-{'.'.join(map(str, profile.pinned_to()))}"
    options = "".join(f"-{key}.{value}" for key, value in sorted(profile.options.items()))
    return reference.with_name(f"{reference.name}.{settings}{options}.json")
