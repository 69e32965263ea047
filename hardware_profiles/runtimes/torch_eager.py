"""PyTorch on the CPU: an exported program (`.pt2`), run eagerly."""

import json
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware_profiles.runtimes.base import RUNTIMES, Array, Loaded, Runtime, Unsupported, first_line

if TYPE_CHECKING:
    from torch import nn

MODELS, SAMPLES = "models/", "data/sample_inputs/"
DATA = ("data/weights/", "data/constants/", SAMPLES)
"""The folders of a .pt2 archive that hold plain data."""


@RUNTIMES.register("torch")
class TorchEager(Runtime):
    """PyTorch's own kernels on the CPU, float32, without a compiler."""

    name = "torch"
    suffix = ".pt2"
    package = "torch"

    def version(self) -> str:
        return version("torch")

    def convert(self, model: "nn.Module", inputs: tuple[int, ...], batch: int, folder: Path) -> Path:
        import torch

        from search_spaces.example_inputs import no_inputs

        path = folder / f"network{self.suffix}"
        try:
            with torch.no_grad():
                program = torch.export.export(model, (no_inputs(model, inputs, batch),))
            torch.export.save(program, path)
        except Exception as error:
            raise Unsupported(f"torch.export can't convert it: {first_line(error)}") from error
        return path

    def warm(self) -> None:
        import torch

        torch.set_num_threads(1)
        # Much of torch.export is imported when it is first used: seconds that every fork would pay.
        file = BytesIO()
        torch.export.save(torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),)), file)
        file.seek(0)
        torch.export.load(file)

    def load(self, path: Path, threads: int, options: Mapping[str, Any]) -> Loaded:
        import torch

        torch.set_num_threads(threads)
        refuse_pickles(path)
        try:
            program = torch.export.load(path)
        except Exception as error:
            raise Unsupported(f"torch.export can't load it: {first_line(error)}") from error
        inputs: Any = program.example_inputs[0] if program.example_inputs else ()
        if len(inputs) != 1 or inputs[0].dtype not in (torch.float32, torch.int64):
            raise Unsupported("a network with one float32 or int64 input can be timed; this one has others")
        module = program.module(check_guards=False).requires_grad_(False)

        def call(array: Array) -> Array:
            return module(torch.from_numpy(array)).numpy()

        return Loaded(call, tuple(inputs[0].shape), str(inputs[0].dtype).removeprefix("torch."), "float32")


def refuse_pickles(path: Path) -> None:
    """Raise `Unsupported` when loading the `.pt2` file would unpickle or run native code, as `torch.export.load` may.

    That function unpickles tensors that say so, custom objects and all older formats, and loads AOTInductor's
    libraries. What is let through has plain tensors, and sample inputs that `torch.load(weights_only=True)` takes.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.namelist()
            members = {name.partition("/")[2]: name for name in listed}
            if len(members) != len(listed):
                raise Unsupported("has two members of one name")
            _check_payloads(archive, members)
            for name, member in members.items():
                if name.startswith(SAMPLES):
                    torch.load(BytesIO(archive.read(member)), weights_only=True)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"isn't a .pt2 file that can be trusted: {first_line(error)}") from error


def _check_payloads(archive: zipfile.ZipFile, members: Mapping[str, str]) -> None:
    programs = [name[len(MODELS) : -len(".json")] for name in members if name.startswith(MODELS)]
    if not programs:
        raise Unsupported("holds no exported program; write it with torch.export.save")
    for name in members:
        data = name.startswith("data/")
        if data and (not name.startswith(DATA) or (name.endswith(".pt") and not name.startswith(SAMPLES))):
            raise Unsupported(f"holds {name}, which is not loaded; export plain weights with torch.export.save")
    for program in programs:
        for kind in ("weights", "constants"):
            config = members.get(f"data/{kind}/{program}_{kind}_config.json")
            if config is None:
                raise Unsupported("holds no list of its tensors; export it again with torch.export.save")
            for payload in json.loads(archive.read(config))["config"].values():
                if payload["use_pickle"] or not payload["path_name"].startswith(("weight_", "tensor_")):
                    raise Unsupported("holds pickled objects, which are not loaded; export plain float32 weights")
