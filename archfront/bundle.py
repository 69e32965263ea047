"""A folder that `archfront export` wrote, used: from files of pictures to what the network says of them."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.picture_files import opened

PIPELINE = "pipeline.onnx"
ARRAYS = ".npy"
KNOWN = frozenset({"categorical", "binary", "numeric"})


class Unreadable(ValueError):
    """A file that nothing can be said of; its text is one line that says why."""


@dataclass(frozen=True)
class Bundle:
    """The pipeline in a folder. Loads neither torch nor what it was trained with."""

    file: Path

    @classmethod
    def at(cls, place: str) -> "Bundle":
        """The bundle of a folder, of a study's export below `exports`, or of a pipeline's file.

        Raises `WrongUse`, one line, where there is none.
        """
        path = Path(place).expanduser()
        if path.is_file():
            return cls(path)
        folder = next((one for one in (path, Path("exports") / path) if one.is_dir()), None)
        if folder is None:
            raise WrongUse(f"no folder {place}, nor exports/{place}; write one: archfront export STUDY --to {place}")
        if not (folder / PIPELINE).is_file():
            raise WrongUse(
                f"{folder} has no {PIPELINE}, which takes raw inputs; add it: archfront export STUDY --format pipeline "
                f"--to {folder}"
            )
        return cls(folder / PIPELINE)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(self.file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common base but this.
            line = " ".join(str(error).split())[:200]
            raise WrongUse(f"{self.file} can't be read as ONNX: {line}; export it again") from None

    @cached_property
    def properties(self) -> dict[str, str]:
        """What the file says of itself."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if found.get("kind") not in KNOWN:
            raise WrongUse(
                f"{self.file} isn't a pipeline of this version of Archfront, and doesn't say what its outputs are; "
                "export it again: archfront export STUDY --format pipeline"
            )
        return found

    @property
    def kind(self) -> str:
        """What outputs are: "categorical" probabilities of one class, "binary" ones of several, or "numeric"."""
        return self.properties["kind"]

    @cached_property
    def takes_pictures(self) -> bool:
        """Whether it takes RGB pictures of any size."""
        return "size" in json.loads(self.properties["preprocessing"])

    def named(self, values: np.ndarray) -> list[tuple[str, float]]:
        """Outputs (n,) with their names, the likeliest first where they are probabilities."""
        names = json.loads(self.properties.get("names", "[]")) or [str(place) for place in range(len(values))]
        order = range(len(values)) if self.kind == "numeric" else np.argsort(-values, kind="stable").tolist()
        return [(str(names[place]), float(values[place])) for place in order]

    def predict(self, file: Path) -> list[list[tuple[str, float]]]:
        """What the network says of each example in a file, as `named` has it; raises `Unreadable`.

        A file is a picture, or a .npy array of raw inputs as the data set held them.
        """
        inputs = self._read(file)
        outputs = self._session.run(None, {"inputs": inputs})[0]
        if outputs.ndim > 2:
            # Of a map of classes, the share of places that each class has.
            places = outputs.argmax(1).reshape(len(outputs), -1)
            outputs = np.stack([(places == number).mean(1) for number in range(outputs.shape[1])], 1)
        return [self.named(values) for values in outputs]

    def _read(self, file: Path) -> np.ndarray:
        if not file.is_file():
            raise Unreadable("there is no such file")
        try:
            if file.suffix.lower() == ARRAYS:
                return self._checked(np.load(file, allow_pickle=False))
            if self.takes_pictures:
                return np.asarray(opened(file, "RGB"))[None]
        except Unreadable:
            raise
        except Exception as error:  # Pillow's decoders raise all kinds of errors for broken files.
            line = " ".join(str(error).replace(str(file), "it").split())[:150]
            raise Unreadable(f"can't be read ({line or type(error).__name__})") from None
        raise Unreadable(f"this network takes no files but {ARRAYS} arrays of raw inputs, {self._wanted}")

    @property
    def _wanted(self) -> str:
        given = self._session.get_inputs()[0]
        shape = ", ".join(map(str, given.shape))
        return f"{given.type.removeprefix('tensor(').removesuffix(')')} ({shape})"

    def _checked(self, inputs: np.ndarray) -> np.ndarray:
        given = self._session.get_inputs()[0]
        types = {"tensor(float)": "float32", "tensor(double)": "float64"}
        wanted = types.get(given.type, given.type.removeprefix("tensor(").removesuffix(")"))
        fits = len(inputs.shape) == len(given.shape) and all(
            isinstance(side, str) or side == found for side, found in zip(given.shape, inputs.shape, strict=True)
        )
        if not fits or inputs.dtype != wanted or not len(inputs):
            raise Unreadable(f"holds {inputs.dtype} {inputs.shape}; this network takes {self._wanted}")
        return inputs
