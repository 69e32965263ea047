"""Files of pictures as 8-bit pixels, in whatever mode and size they come: the same for training and for predicting."""

import struct
from pathlib import Path

from PIL import Image

ERRORS = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no pictures, or broken ones."""
GREY = {"1", "L", "I", "I;16", "I;16L", "I;16B"}
"""Modes of Pillow whose pixels are one brightness."""
ORIENTATION = 0x0112
TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the value of the EXIF tag `ORIENTATION`."""
SIDEWAYS = {5, 6, 7, 8}


def opened(file: Path, mode: str) -> Image.Image:
    """The picture in a file, decoded in full, upright, in `mode` ("L" or "RGB"); raises one of `ERRORS`."""
    with Image.open(file) as image:
        return as_pixels(image, mode)


def as_pixels(image: Image.Image, mode: str) -> Image.Image:
    """A picture upright as its EXIF says, in `mode` ("L" or "RGB"), 8 bits a channel; transparency is dropped."""
    turned = TURNED.get(_orientation(image))
    if image.mode[0] == "I":
        # Pillow cuts brightness of 16 bits off at 255, which would leave nearly white pictures.
        image = image.point(lambda value: value / 256).convert("L")
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # As Pillow asks for; transparency is dropped below.
    image = image.convert(mode)
    return image if turned is None else image.transpose(turned)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a picture when it is upright."""
    return image.size[::-1] if _orientation(image) in SIDEWAYS else image.size


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (*ERRORS, TypeError):
        return 1  # What can't be read of a picture's EXIF doesn't spoil its pixels.


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled until it covers width × height (bicubic, antialiased), and cropped in the middle.

    First its width, then its height: left to itself, Pillow takes the one or the other first, by its version, and what
    is rounded in between differs. Exports scale in this order, too.
    """
    if image.size == (width, height):
        return image
    scale = max(width / image.width, height / image.height)
    wide, high = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    scaled = image.resize((wide, image.height)).resize((wide, high))
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    return scaled.crop((left, top, left + width, top + height))
