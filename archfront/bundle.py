"""A folder that `archfront export` wrote, used: from files of pictures to what the network says of them."""

import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from archfront.contracts import WrongUse
from evaluators.picture_files import opened

PIPELINE = "pipeline.onnx"
ARRAYS = ".npy"
FORM = "pipeline"


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
        if found.get("form") != FORM:
            raise WrongUse(
                f"{self.file} doesn't take raw inputs, or is of another version of Archfront; export what does: "
                "archfront export STUDY --format pipeline"
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
        if outputs.ndim == 3:
            outputs = outputs[:, :, -1]  # Of a text, what follows its last token.
        elif outputs.ndim == 4:
            # Of a map of classes, the share of places that each class has.
            classes = np.arange(outputs.shape[1])[:, None, None]
            outputs = (outputs.argmax(1)[:, None] == classes).mean((2, 3))
        return [self.named(values) for values in outputs]

    def _read(self, file: Path) -> np.ndarray:
        if not file.is_file():
            raise Unreadable("there is no such file")
        try:
            if file.suffix.lower() == ARRAYS:
                return self._checked(np.load(file, allow_pickle=False))
            if self.takes_pictures:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Pillow's, on EXIF and palettes that are odd but readable.
                    return np.asarray(opened(file, "RGB"))[None]
        except Unreadable:
            raise
        except Exception as error:  # Pillow's decoders raise all kinds of errors for broken files.
            line = " ".join(str(error).replace(repr(str(file)), "").split())[:150]
            raise Unreadable(f"can't be read ({line or type(error).__name__})") from None
        raise Unreadable(f"this network takes no files but {ARRAYS} arrays of raw inputs, {self._wanted}")

    @cached_property
    def _type(self) -> str:
        """NumPy's name of the type of inputs."""
        name = str(self._session.get_inputs()[0].type).removeprefix("tensor(").removesuffix(")")
        return {"float": "float32", "double": "float64"}.get(name, name)

    @property
    def _wanted(self) -> str:
        return f"{self._type} ({', '.join(map(str, self._session.get_inputs()[0].shape))})"

    def _checked(self, inputs: np.ndarray) -> np.ndarray:
        sides = self._session.get_inputs()[0].shape
        fits = len(inputs.shape) == len(sides) and all(
            isinstance(side, str) or side == found for side, found in zip(sides, inputs.shape, strict=True)
        )
        if not fits or inputs.dtype != self._type or not len(inputs):
            raise Unreadable(f"holds {inputs.dtype} {inputs.shape}; this network takes {self._wanted}")
        return inputs
