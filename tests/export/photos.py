"""Files of pictures in all modes, made here."""

from pathlib import Path

import numpy as np
from PIL import Image

UPRIGHT = "photo.png"


def photo(seed: int, width: int = 46, height: int = 31) -> Image.Image:
    """A picture of smooth colours with sharp edges."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height))
    coarse.paste((255, 0, 0), (width // 3, height // 4, width // 2, height // 2))
    return coarse


def odd_ones(folder: Path) -> dict[str, Path]:
    """One picture in many modes, none of which changes what is seen but grey ones; by what is odd about them."""
    folder.mkdir(parents=True, exist_ok=True)
    image = photo(99)
    turned = Image.Exif()
    turned[0x0112] = 6
    grey = np.asarray(image.convert("L"))
    made = {
        "plain": (image, "png", {}),
        "rgba": (_with_alpha(image), "png", {}),
        "turned": (image.transpose(Image.Transpose.ROTATE_90), "png", {"exif": turned}),
        "cmyk": (image.convert("CMYK"), "tiff", {}),
        "palette": (image.quantize(64), "png", {"transparency": bytes(range(64))}),
        "grey": (image.convert("L"), "png", {}),
        "grey16": (Image.fromarray(grey.astype(np.uint16) * 257), "png", {}),
        "grey32": (Image.fromarray(grey.astype(np.int32) * 257), "tiff", {}),
    }
    files = {}
    for name, (picture, suffix, options) in made.items():
        files[name] = folder / f"{name}.{suffix}"
        picture.save(files[name], **options)
    return files


def _with_alpha(image: Image.Image) -> Image.Image:
    found = image.convert("RGBA")
    found.putalpha(100)
    return found


def class_folders(root: Path, count: int = 16) -> Path:
    """A folder of JPEGs of mixed sizes in two classes, dark and light ones, and one of each odd mode."""
    for label, (name, shift) in enumerate((("dark", 0.5), ("light", 1.0))):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            picture = photo(100 * label + seed, 40 + 3 * seed, 30 + 5 * label + seed)
            picture.point(lambda value, shift=shift: value * shift).save(root / name / f"{seed}.jpg", quality=95)
    odd_ones(root / "light")
    return root
