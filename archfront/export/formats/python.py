"""Stand-alone Python source with safetensors weights: readable, and importing nothing of Archfront."""

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_model

from archfront.export.errors import ExportRefused
from archfront.export.formats import FORMATS, Format
from archfront.export.lift import Lifted, lift, parts_in
from archfront.export.literal import expression
from archfront.export.modules import Imported
from archfront.export.preprocessing import described, properties
from archfront.export.subject import Subject, figure
from search_spaces import torchvision_operators

FILE = "model.py"
WEIGHTS = "model.safetensors"
TIMEOUT_S = 300


@FORMATS.register("python")
class Python(Format):
    """One Python file that builds the searched network, and its weights."""

    name = "python"
    packages = ("torch", "safetensors", "timm")

    def write(self, subject: Subject, folder: Path) -> list[str]:
        (folder / FILE).write_text(source(subject), encoding="utf-8")
        save_model(subject.model, str(folder / WEIGHTS), properties(subject))
        return [FILE, WEIGHTS]

    def run(self, folder: Path, inputs: np.ndarray) -> np.ndarray:
        """In a process of its own, with only `folder` on its path and every package of ours out of reach."""
        with tempfile.TemporaryDirectory() as scratch:
            given, taken = Path(scratch, "inputs.npy"), Path(scratch, "outputs.npy")
            np.save(given, inputs, allow_pickle=False)
            arguments = [str(folder), str(given), str(taken), str(torch.get_num_threads())]
            command = [sys.executable, "-I", "-B", "-c", RUN, *arguments]
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=TIMEOUT_S)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
                raise ExportRefused(f"python: {FILE} doesn't run on its own: {last[:300]}")
            return np.load(taken, allow_pickle=False)

    def usage(self, subject: Subject) -> str:
        return "from model import load\nnetwork = load()\noutputs = network(inputs)"


RUN = """
import importlib.abc, pathlib, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"archfront", "search_spaces", "evaluators", "controllers", "hardware_profiles"}:
            raise ModuleNotFoundError(f"the exported file imports {name}", name=name)

sys.meta_path.insert(0, Hidden())
folder, given, taken, threads = sys.argv[1:]
sys.path.insert(0, folder)
import numpy, torch
torch.set_num_threads(int(threads))
import model
network = model.load()
inputs = torch.from_numpy(numpy.load(given, allow_pickle=False))
with torch.no_grad():
    numpy.save(taken, torch.cat([network(batch) for batch in inputs.split(64)]).numpy(), allow_pickle=False)
"""


def source(subject: Subject) -> str:
    """The text of the stand-alone file."""
    lifted = lift(subject.network)
    pieces = [_docstring(subject, lifted), _imports(lifted), BASE]
    for title, definitions in lifted.sections:
        pieces += [_heading(title), *definitions]
    written = expression(subject.network, lifted.class_names, before=len("ARCHITECTURE = "))
    pieces.append(_heading("The network"))
    said = described(subject.data_set) if subject.data_set is not None else {}
    constants = {
        "INPUTS": subject.inputs,
        "OUTPUTS": subject.outputs,
        "CLASSES": subject.classes,
        "PREPROCESSING": said,
    }
    lines = [f"{name} = {_literal(value)}" for name, value in constants.items() if value]
    pieces.append("\n".join([f"ARCHITECTURE = {written}", *lines]))
    pieces.append(ENTRY.replace("@SITE@", lifted.site))
    if {"size", "mean"} <= said.keys():
        pieces.append(PREPARE)
    return "\n\n\n".join(piece.strip("\n") for piece in pieces) + "\n"


def _heading(title: str) -> str:
    bar = f"# --- {title.partition(':')[0].rstrip('.')[:100]} "
    return bar.ljust(120, "-")


PREPARE = '''
def prepare(image: Any) -> torch.Tensor:
    """A Pillow image, turned upright, as the network takes it, float32 (1, channels, height, width).

    It is scaled until it covers the size, cropped in the middle and standardized, as the pictures were in training.
    """
    height, width = PREPROCESSING["size"]
    image = image.convert(PREPROCESSING["mode"])
    scale = max(width / image.width, height / image.height)
    wide, high = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    image = image.resize((wide, image.height)).resize((wide, high))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.crop((left, top, left + width, top + height))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, height, width, -1)
    mean, std = (torch.tensor(PREPROCESSING[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    return (pixels.permute(0, 3, 1, 2) / PREPROCESSING["scale"] - mean) / std
'''

BASE = '''
class Part:
    """Base of the dataclasses below: each describes a part of the network, and `build` makes its module."""

    def shape_after(self, site: Any) -> Any:
        """The shape that its module gives: that of its input unless said otherwise."""
        return site.shape

    def layers(self) -> int:
        """How many blocks it counts as."""
        return 1
'''

ENTRY = f'''
def build() -> nn.Module:
    """The network with fresh weights, in training mode."""
    return ARCHITECTURE.build(@SITE@(INPUTS, OUTPUTS, inputs=INPUTS))


def load(weights: str | Path | None = None) -> nn.Module:
    """The network with its trained weights ("{WEIGHTS}" beside this file), in evaluation mode, on the CPU."""
    network = build()
    path = Path(__file__).with_name("{WEIGHTS}") if weights is None else weights
    # Not strict: of layers that share weights the file has one, and load_model takes the others for unexpected.
    missing, _ = load_model(network, path, strict=False)
    if missing:
        raise ValueError(f"the file lacks {{len(missing)}} tensors of this network, as {{sorted(missing)[0]}}")
    return network.eval()
'''


def _literal(value: Any) -> str:
    """A constant as Python source, in lines of the file's length."""
    text = pformat(value, width=100, compact=True, sort_dicts=False)
    if "\n" not in text:
        return text
    inner = "\n".join(f"    {line}".rstrip() for line in text[1:-1].replace("\n ", "\n").splitlines())
    return f"{text[0]}\n{inner},\n{text[-1]}"


def _docstring(subject: Subject, lifted: Lifted) -> str:
    requires = ["torch>=2.9", "safetensors>=0.6", *(["timm>=1.0.20"] if "timm" in lifted.packages else [])]
    known = {"torch", "safetensors", "timm", "dataclasses", *sys.stdlib_module_names}
    requires += sorted(lifted.packages - known)
    lines = [
        f"{subject.title[0].upper()}{subject.title[1:]}.",
        "",
        "    from model import load",
        "",
        "    network = load()",
        f"    outputs = network(inputs)  # inputs: {subject.takes} -> {subject.gives}",
        "",
        f"Needs: {', '.join(requires)}. Written by Archfront, which it doesn't need.",
    ]
    if subject.data.get("preprocessing"):
        lines += ["", f"Inputs: {subject.data['preprocessing']}"]
    if subject.metrics:
        lines += ["", "Metrics when it was searched:"]
        lines += [f"    {m.name} = {figure(m.value)} {m.unit}".rstrip() + f" ({m.kind})" for m in subject.metrics]
    lines += ["", "What it is made of, and where that was published:"]
    for cls in dict.fromkeys(type(part) for part in parts_in(subject.network)):
        text = f"- {cls.family.replace('_', ' ')} {cls.name}: {cls.source}"
        lines += textwrap.wrap(text, 116, initial_indent="", subsequent_indent="  ")
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


def _imports(lifted: Lifted) -> str:
    """Standard library, torch and safetensors, then what the parts use; timm behind what makes it importable."""
    own = [
        Imported("pathlib", "Path", "Path"),
        Imported("torch", "", "torch"),
        Imported("torch", "nn", "nn"),
        Imported("typing", "Any", "Any"),
        Imported("safetensors.torch", "load_model", "load_model"),
    ]
    every = list(dict.fromkeys([*lifted.imports, *own]))
    standard = [i for i in every if i.module.partition(".")[0] in sys.stdlib_module_names]
    late = [i for i in every if i.module.partition(".")[0] in ("timm", "torchvision")]
    middle = [i for i in every if i not in standard and i not in late]
    shim = bool({"timm", "torchvision"} & lifted.packages)
    if shim:
        standard.append(Imported("sys", "", "sys"))
    blocks = [_statements(standard), _statements(middle)]
    if shim:
        text = Path(str(torchvision_operators.__file__)).read_text(encoding="utf-8")
        blocks += ["\n" + _as_section(text), _statements(late, "  # noqa: E402")]
    return "\n\n".join(block for block in blocks if block)


def _statements(imports: list[Imported], comment: str = "") -> str:
    """Import statements, one per module, sorted: `import a` before `from a import b`."""
    whole = sorted({str(i) + comment for i in imports if not i.name})
    names: dict[str, set[str]] = {}
    for item in imports:
        if item.name:
            alias = f" as {item.alias}" if item.alias != item.name else ""
            names.setdefault(item.module, set()).add(item.name + alias)
    return "\n".join([*whole, *[_from(module, sorted(found), comment) for module, found in sorted(names.items())]])


def _from(module: str, names: list[str], comment: str) -> str:
    line = f"from {module} import {', '.join(names)}{comment}"
    if len(line) <= 120:
        return line
    return "\n".join([f"from {module} import ({comment}", *[f"    {name}," for name in names], ")"])


def _as_section(text: str) -> str:
    """The module that makes torchvision importable beside a CPU torch: docstring as comment, imports left to us."""
    _, docstring, rest = text.split('"""', 2)
    comment = "\n".join(f"# {line}".rstrip() for line in docstring.strip().splitlines())
    code = [line for line in rest.strip("\n").splitlines() if not line.startswith(("import ", "from "))]
    return comment + "\n" + "\n".join(code).strip("\n")
