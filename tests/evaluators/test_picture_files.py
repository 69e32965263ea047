"""Pictures in files: upright, 8 bits, in the mode that is asked for; folders of them hold just that."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluators.datasets import load
from evaluators.picture_files import SIDEWAYS, TURNED, opened, upright_size


def photo() -> Image.Image:
    """A picture that no turn and no mirror leaves as it is."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8))


@pytest.mark.parametrize("orientation", sorted(TURNED))
def test_every_orientation_is_undone(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = photo() if orientation not in SIDEWAYS else photo().transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "p.png", exif=exif)
    with Image.open(tmp_path / "p.png") as image:
        expected = ImageOps.exif_transpose(image)
        assert upright_size(image) == expected.size
    np.testing.assert_array_equal(np.asarray(opened(tmp_path / "p.png", "RGB")), np.asarray(expected))


def test_brightness_of_16_bits_is_not_cut_off(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / "g.png")
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "g.tiff")
    for file in ("g.png", "g.tiff"):
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / file, "L")), values >> 8)
        np.testing.assert_array_equal(np.asarray(opened(tmp_path / file, "RGB"))[..., 2], values >> 8)


def test_a_folder_of_turned_pictures_holds_them_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            photo().transpose(Image.Transpose.ROTATE_90).save(tmp_path / name / f"{number}.png", exif=exif)
            photo().save(tmp_path / name / f"{number}-upright.png")
    found = load(f"folder:{tmp_path}")
    assert found.inputs == (3, 6, 9)
    expected = np.asarray(photo()).transpose(2, 0, 1)
    assert (found.train.inputs.numpy() == expected).all()
