"""Augmentations: their algebra, against the library's own pictures, with masks that move along, refused where they
can't be."""

from dataclasses import replace
from typing import Any

from search_spaces import torchvision_operators  # noqa: F401  isort: skip  (before anything imports torchvision)

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from archfront.contracts import WrongUse
from evaluators.augmentation import Augmenting
from evaluators.datasets import DataSet
from evaluators.recipe import check_recipe
from evaluators.recipes.augmentation import rand_augment, trivial_augment
from evaluators.recipes.augmentation._operations import OPERATIONS, transformed
from evaluators.recipes.training import Recipe
from tests.evaluators.recipes.given import (
    GREY,
    MASKS,
    NUMBERS,
    PICTURES,
    SEVERAL,
    SPECTROGRAMS,
    TABLE,
    TOKENS,
    draw,
)

NAMES = (
    *("shift", "flip", "crop", "rand_augment", "trivial_augment", "mixup", "cutmix", "random_erasing"),
    "spec_augment",
)
POSSIBLE = {
    "pictures": (PICTURES, set(NAMES) - {"spec_augment"}),
    "grey": (GREY, set(NAMES) - {"spec_augment"}),
    "masks": (MASKS, {"shift", "flip", "crop", "cutmix", "random_erasing"}),
    "spectrograms": (SPECTROGRAMS, {"mixup", "cutmix", "random_erasing", "spec_augment"}),
    "table": (TABLE, {"mixup"}),
    "tokens": (TOKENS, set()),
    "several": (SEVERAL, set(NAMES) - {"spec_augment"}),
    "numbers": (NUMBERS, set(NAMES) - {"spec_augment"}),
}


def batch(data: DataSet, n: int = 16) -> tuple[Tensor, Tensor]:
    inputs, task = torch.randn(n, *data.inputs, generator=draw(5)), data.task
    if task.kind != "categorical":
        return inputs, torch.rand(n, task.outputs, generator=draw(6)).round()
    return inputs, torch.randint(0, task.outputs, (n, *task.gives(data.inputs)[1:]), generator=draw(7))


def applied(text: str, data: DataSet, seed: int = 0, given: Any = None) -> tuple[Tensor, Tensor]:
    recipe = Recipe(augmentation="none", augmentations=text)
    return Augmenting(recipe, data)(*(given or batch(data)), draw(seed))


@pytest.mark.parametrize("kind", POSSIBLE)
@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is_for_and_draws_from_the_generator_alone(kind: str, name: str) -> None:
    data, possible = POSSIBLE[kind]
    recipe = Recipe(augmentation="none", augmentations=name)
    if name not in possible:
        with pytest.raises(WrongUse) as error:
            check_recipe(recipe, data)
        text = str(error.value)
        assert f"augmentations={name} can't be used to train made up" in text and "\n" not in text
        # Members that came later, or are somebody's own, may be possible, too.
        said = set(text.rpartition("possible: ")[2].split(", ")) & {*NAMES, "none"}
        assert said - {"none"} == possible
        return
    check_recipe(recipe, data)
    inputs, targets = batch(data)
    kept = inputs.clone(), targets.clone()
    torch.manual_seed(1)
    first = applied(name, data, given=(inputs, targets))
    torch.manual_seed(2)
    again = applied(name, data)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert torch.equal(inputs, kept[0]) and torch.equal(targets, kept[1])
    assert first[0].shape == inputs.shape and not torch.equal(first[0], inputs)
    assert not torch.equal(first[0], applied(name, data, 1)[0])
    assert torch.isfinite(data.task.loss(torch.randn(len(inputs), *data.task.gives(data.inputs)), first[1]))


@pytest.mark.parametrize("name", ["shift", "flip", "crop(smallest=0.3)", "cutmix"])
def test_masks_move_with_the_pictures(name: str) -> None:
    """Pictures that show their own masks still do afterwards."""
    masks = torch.randint(0, 4, (16, 8, 8), generator=draw(3)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    data = replace(MASKS, inputs=(3, 16, 16))
    pictures = masks.unsqueeze(1).float().expand(-1, 3, -1, -1)
    found, moved = applied(name, data, given=(pictures, masks))
    assert not torch.equal(moved, masks) and moved.dtype == torch.int64
    shown = found[:, 0]
    exact = (shown - shown.round()).abs() < 1e-4  # Interpolation blurs edges.
    assert exact.float().mean() > (0.25 if "crop" in name else 0.99)
    assert (shown.round().long() == moved)[exact].float().mean() > (0.97 if "crop" in name else 0.999)


def test_short_words_come_first() -> None:
    inputs, targets = batch(PICTURES)
    long = applied("shift+flip", PICTURES)[0]
    short = Augmenting(Recipe(augmentation="flip"), PICTURES)(inputs, targets, draw())[0]
    assert torch.equal(long, short)
    both = Augmenting(Recipe(augmentation="flip", augmentations="mixup"), PICTURES)(inputs, targets, draw())[0]
    ordered = applied("shift+flip+mixup", PICTURES)[0]
    assert torch.equal(both, ordered) and not torch.equal(both, applied("mixup+shift+flip", PICTURES)[0])


def test_a_crop_is_the_cut_out_enlarged() -> None:
    """A picture that tells its own coordinates shows which rectangle it was cut from."""
    across = torch.linspace(-1, 1, 33)[:-1] + 1 / 32
    picture = torch.stack([across.expand(32, 32), across.view(-1, 1).expand(32, 32), torch.zeros(32, 32)])
    data = replace(PICTURES, inputs=(3, 32, 32))
    found, _ = applied("crop(smallest=0.2)", data, given=(picture.expand(200, 3, 32, 32), torch.zeros(200).long()))
    width = (found[:, 0, 16, -2] - found[:, 0, 16, 1]) / (across[-2] - across[1])
    height = (found[:, 1, -2, 16] - found[:, 1, 1, 16]) / (across[-2] - across[1])
    area = width * height
    assert area.min() > 0.19 and area.max() < 1.01 and 0.45 < area.mean() < 0.7
    assert ((width / height) < 1.35).all() and ((width / height) > 0.74).all() and (width - height).abs().max() > 0.1
    # In the middle, linear interpolation of a ramp is a ramp.
    steps = found[:, 0, 16, 4:-4].diff(dim=1)
    assert torch.allclose(steps, (width / 16).view(-1, 1).expand_as(steps), atol=2e-3)


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_mixup_by_the_formula(alpha: float) -> None:
    inputs, targets = batch(PICTURES, 64)
    found, mixed = applied(f"mixup(alpha={alpha})", PICTURES, given=(inputs, targets))
    order = torch.randperm(64, generator=(generator := draw()))
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    share = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, 64)).float()
    one = functional.one_hot(targets, 4).float()
    own = share.view(-1, 1, 1, 1)
    assert torch.allclose(found, own * inputs + (1 - own) * inputs[order], atol=1e-6)
    assert torch.allclose(mixed, share.view(-1, 1) * one + (1 - share.view(-1, 1)) * one[order], atol=1e-6)
    assert torch.allclose(mixed.sum(1), torch.ones(64))


def test_mixup_of_numbers_and_of_several_classes_averages_targets() -> None:
    for data in (NUMBERS, SEVERAL):
        inputs = batch(data)[0]
        found, mixed = applied("mixup(alpha=2)", data, given=(inputs, inputs.mean((2, 3)).repeat(1, 2)[:, :4]))
        # Means of pictures mix as pictures do.
        assert torch.allclose(mixed, found.mean((2, 3)).repeat(1, 2)[:, :4], atol=1e-5)


def test_cutmix_mixes_targets_by_area() -> None:
    data = replace(PICTURES, inputs=(3, 20, 20))
    targets = torch.arange(64) % 4
    inputs = targets.view(-1, 1, 1, 1).float().expand(64, 3, 20, 20)
    found, mixed = applied("cutmix", data, given=(inputs, targets))
    own = (found[:, 0] == targets.view(-1, 1, 1)).float().mean((1, 2))
    assert torch.allclose(mixed.gather(1, targets.view(-1, 1)).flatten(), own, atol=1e-6)
    changed = found[:, 0] != targets.view(-1, 1, 1)
    rows, columns = changed.any(2), changed.any(1)
    assert (changed == (rows.unsqueeze(2) & columns.unsqueeze(1))).all() and changed.any()  # rectangles
    assert 0.4 < own.mean() < 0.95


def test_random_erasing_makes_rectangles_of_noise() -> None:
    data = replace(PICTURES, inputs=(3, 32, 32))
    inputs = torch.full((400, 3, 32, 32), 9.0)
    found, _ = applied("random_erasing(p=0.5,largest=0.4)", data, given=(inputs, torch.zeros(400).long()))
    erased = (found != 9).all(1)
    some = erased.any(2).any(1)
    assert 0.42 < some.float().mean() < 0.58
    area = erased[some].float().mean((1, 2))
    assert area.min() > 0.01 and area.max() < 0.45 and area.mean() == pytest.approx(0.2, abs=0.03)
    assert (erased == (erased.any(2).unsqueeze(2) & erased.any(1).unsqueeze(1))).all()
    noise = found.permute(0, 2, 3, 1)[erased]
    assert abs(float(noise.mean())) < 0.02 and float(noise.std()) == pytest.approx(1, abs=0.02)


def test_spec_augment_masks_whole_bands_and_frames() -> None:
    inputs = torch.ones(300, 1, 40, 60)
    found, _ = applied("spec_augment(times=1)", SPECTROGRAMS, given=(inputs, torch.zeros(300).long()))
    masked = found[:, 0] == 0
    bands, frames = masked.all(2), masked.all(1)
    assert (masked == (bands.unsqueeze(2) | frames.unsqueeze(1))).all()
    for lines, most in ((bands, 12), (frames, 12)):
        count = lines.sum(1)
        assert count.max() == most and count.min() == 0 and float(count.float().mean()) == pytest.approx(6, abs=0.7)
        assert (lines.int().diff(dim=1).abs().sum(1) <= 2).all()  # one stretch
    twice, _ = applied("spec_augment(times=2)", SPECTROGRAMS, given=(inputs, torch.zeros(300).long()))
    assert (twice == 0).float().mean() > 1.5 * masked.float().mean()


def unit(n: int = 8) -> Tensor:
    return torch.randint(0, 256, (n, 3, 24, 24), generator=draw(9)).float() / 255


THEIRS = {name: "".join(word.title() for word in name.split("_")) for name in OPERATIONS}
THEIRS |= {"autocontrast": "AutoContrast"}


@pytest.mark.parametrize("kind", ["rand", "trivial"])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("bin", [0, 9, 30])
def test_operations_and_strengths_are_torchvisions(kind: str, name: str, bin: int) -> None:
    other: Any = v2.RandAugment() if kind == "rand" else v2.TrivialAugmentWide()
    data = replace(PICTURES, inputs=(3, 24, 24))
    pictures = unit()
    magnitudes, signed = other._AUGMENTATION_SPACE[THEIRS[name]]
    table = magnitudes(31, 24, 24)
    strengths = {
        "rand": lambda name, bin: rand_augment.strength_of(name, abs(bin), 24, 24),
        "trivial": trivial_augment.strength_of,
    }[kind]
    for sign in (1, -1) if signed and bin else (1,):
        wanted = 0.0 if table is None else float(table[bin]) * sign
        theirs = other._apply_image_or_video_transform(pictures, THEIRS[name], wanted, other.interpolation, other._fill)
        chosen = torch.full((8,), list(OPERATIONS).index(name))
        ours = transformed((pictures - 0.5) / 0.25, data, chosen, strengths, torch.full((8,), bin * sign))
        # Where rounding decides which pixel is nearest, and steps of quantisation, a few differ.
        near = ((ours * 0.25 + 0.5) - theirs).abs() < 1e-4
        assert near.float().mean() > 0.995, (name, wanted)
    assert name == "identity" or bin == 0 or not torch.allclose(theirs, pictures) or name == "equalize"


def test_rand_augment_draws_all_operations_for_each_picture_alone() -> None:
    data = replace(PICTURES, inputs=(3, 24, 24))
    same = ((unit(1) - 0.5) / 0.25).expand(200, 3, 24, 24)
    found, _ = applied("rand_augment(operations=1,magnitude=15)", data, given=(same, torch.zeros(200).long()))
    kinds = torch.unique(found.flatten(1).round(decimals=3), dim=0)
    assert 15 <= len(kinds) <= 23 and (found == same).all(3).all(2).all(1).sum() < 40
    more, _ = applied("rand_augment(operations=3,magnitude=15)", data, given=(same, torch.zeros(200).long()))
    assert len(torch.unique(more.flatten(1).round(decimals=3), dim=0)) > 120


def test_pictures_keep_their_scale() -> None:
    """Nothing done is nothing changed, whatever the values were prepared from."""
    for data in (PICTURES, GREY):
        inputs = data.prepared(data.train.inputs)
        chosen = torch.zeros(len(inputs), dtype=torch.int64)
        ours = transformed(inputs, data, chosen, lambda name, bin: 0.0, chosen)
        assert torch.allclose(ours, inputs, atol=1e-5)
