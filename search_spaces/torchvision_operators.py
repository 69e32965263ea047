"""Makes `import torchvision`, and with it `import timm`, work beside a CPU build of torch. Import it before either.

The torchvision that package indexes offer by default is built for CUDA. Beside a torch without CUDA its C++ library
does not load, so `torchvision::nms` is never declared, and torchvision's own Python code, which registers fake
kernels for that operator, dies on import. Declaring the two missing schemas is enough: nothing here calls the
operators themselves (calling them raises `NotImplementedError`).
"""

import sys

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# The declarations live as long as this object.
_library: torch.library.Library | None = None


def declare() -> None:
    """Declare the operators when torch has no CUDA and torchvision can't be imported as it is."""
    global _library
    if _library is not None or torch.version.cuda is not None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            _library.define(schema)


declare()
