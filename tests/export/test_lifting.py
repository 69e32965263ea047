"""What is lifted into a stand-alone file: every registered part, helpers, names that clash, and what can't be."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archfront.export import ExportRefused, Subject
from archfront.export.formats.python import RUN, Python, source
from archfront.export.lift import parts_in
from archfront.export.verify import compare, sample
from evaluators.recipes.partial import PartialRecipe
from search_spaces.blocks import (
    Block,
    ConditionalEncoding,
    Conv3x3Stem,
    DepthwiseConv,
    SelfAttention,
    TokenEmbeddingStem,
)
from search_spaces.families import FAMILIES
from search_spaces.registry import load_file
from search_spaces.topologies import Cell201, EarlyExit, Finished, Network, Stage, Tied, Timm, Trained
from tests.export.networks import subject_of

BUILDING = [family for family in FAMILIES if family not in ("network", "stage", "block", "cell_operation")]


def names_of(family: str) -> list[str]:
    """The product's parts of a family, without those that other tests have registered in this process."""
    known = FAMILIES[family].names()
    return [name for name in known if FAMILIES[family].get(name).__module__.startswith("search_spaces.")]


def of_pictures(family: str) -> list[str]:
    """Those that work on maps of two sides."""
    sides = {name: FAMILIES[family].get(name).sides for name in names_of(family)}
    return [name for name, allowed in sides.items() if allowed is None or 2 in allowed]


def made(family: str, turn: int) -> Any:
    """The member of a family whose turn it is, with every slot of it filled by those whose turn it is, too."""
    names = of_pictures(family)
    if not names:
        return None
    cls = FAMILIES[family].get(names[turn % len(names)])
    # A part that holds others of its own family takes the next one, or it would hold itself for ever.
    inner = {field: made(of, turn + (of == family)) for field, of in cls._slots.items()}
    if "children" in inner:
        inner["children"] = (inner["children"],) * 2
    if "heads" in {field.name for field in dataclasses.fields(cls)}:
        inner["heads"] = 2
    if cls.name == "spectrogram_patches":
        inner.update(bands=4, frames=2, overlap=1)  # of the small pictures here
    return cls(**inner)


def covering(turn: int) -> Subject:
    """A small staged network of the parts whose turn it is; turns go round until each part had its own."""
    block = Block(
        token_mixer=made("token_mixer", turn),
        channel_mixer=made("channel_mixer", turn),
        norm=made("norm", turn),
        norm_placement=made("norm_placement", turn),
        residual=made("residual", turn),
        channel_attention=made("channel_attention", turn),
    )
    wirings = [name for name in names_of("wiring") if "block" in FAMILIES["wiring"].get(name).wires]
    wiring = made("wiring", names_of("wiring").index(wirings[turn % len(wirings)]))
    # Long skips need three blocks; gates of gates of random weights overflow where there are more than needed.
    count = {"long_skips": 3, "recursion": 1}.get(wiring.name, 2)
    second = Stage(32, (block,) * count, made("downsample", turn), wiring)
    stages = (Stage(16, (block,), downsample=None), second)
    network = Network(made("stem", turn), stages, made("head", turn), neck=made("neck", turn) if turn % 2 else None)
    return subject_of(network, (3, 16, 16))


def covering_blocks() -> list[Subject]:
    """Whole blocks of the classic families, with and without a stride, and a network of timm's."""
    found = []
    for name in names_of("block"):
        if name == "block":  # It is everywhere else.
            continue
        block = FAMILIES["block"].get(name)()
        down: Any = FAMILIES["downsample"].get(name)() if name in names_of("downsample") else "conv"
        stages = (Stage(16, (block,), downsample=None), Stage(24, (block,), downsample=down))
        found.append(subject_of(Network("conv3x3", stages), (3, 8, 8)))
    return [*found, subject_of(Timm("lcnet_035"), (3, 32, 32))]


def covering_exits() -> Subject:
    stages = (Stage(16, (Block("pool"),), downsample=None), Stage(16, (Block("pool"),)))
    return subject_of(Network("conv3x3", stages, wiring=EarlyExit(threshold=2.0)), (3, 8, 8))


def covering_tokens() -> Subject:
    attention = Block(SelfAttention(2, ConditionalEncoding(causal=True), causal=True), norm="layer")
    convolution = Block(DepthwiseConv(3, causal=True), "glu", "rms", "peri", "layer_scale")
    stage = Stage(16, (attention, convolution), downsample=None)
    return subject_of(Network(TokenEmbeddingStem("sinusoidal"), (stage,), "per_position"), (11, 12))


def covering_tables() -> list[Subject]:
    rows = (Stage(16, (Block(None), Block(None, "glu", "layer", "post", "laurel")), downsample=None),)
    columns = (Stage(16, (Block("self_attention", norm="layer"), Block("pool")), downsample=None),)
    networks = [Network("linear", rows), Network("periodic_features", rows), Network("feature_tokens", columns)]
    return [subject_of(network, (7,)) for network in networks]


def covering_cell(turn: int) -> Subject:
    names = names_of("cell_operation")
    operations = [FAMILIES["cell_operation"].get(names[(turn + i) % len(names)])() for i in range(6)]
    return subject_of(Cell201(*operations, cells=1, width=4), (3, 8, 8))


def covering_recipe() -> Subject:
    network = Network("conv3x3", (Stage(16, (Block("pool"),), downsample=None),))
    return subject_of(Trained(network, PartialRecipe(lr=0.01)), (3, 8, 8))


def covering_tied() -> Subject:
    network = Network("conv3x3", (Stage(16, (Block("pool", "mlp"),) * 2, downsample=None),))
    return subject_of(Tied(network, ((0, 0),)), (3, 8, 8))


def covering_finished() -> Subject:
    network = Network("conv3x3", (Stage(16, (Block("pool"),), downsample=None),))
    return subject_of(Finished(network, ('{"part":"finisher/block_drop"}',), "ab12"), (3, 8, 8))


def test_a_network_leaves_without_the_recipe_it_was_searched_with() -> None:
    subject = covering_recipe()
    text = source(subject)
    assert text.count("ARCHITECTURE = Network(") == 1
    assert "ecipe" not in text and "Trained(" not in text
    assert subject.digest != dataclasses.replace(subject, architecture=subject.network).digest


def test_every_registered_part_is_exported_and_verified(tmp_path: Path) -> None:
    turns = max(len(names_of(family)) for family in BUILDING)
    # A part inside another (an activation in an MLP) has its turn only when the outer one has: twice round is enough.
    subjects = [covering(turn) for turn in range(2 * turns)] + [covering_cell(0), covering_recipe(), covering_tied()]
    subjects += [covering_exits(), covering_tokens(), *covering_tables(), covering_finished(), *covering_blocks()]
    wanted = {f"{family}/{name}" for family in FAMILIES for name in names_of(family)}
    found: set[str] = set()
    chosen = []
    for subject in subjects:
        ours = [part for part in parts_in(subject.architecture) if type(part).__module__.startswith("search_spaces.")]
        mine = {f"{part.family}/{part.name}" for part in ours}
        if mine - found:
            found |= mine
            chosen.append(subject)
    assert found == wanted
    run_all(chosen, tmp_path)


def run_all(subjects: list[Subject], folder: Path) -> None:
    """Export the source of each and compare them all, in one isolated process as `Python.run` has it."""
    jobs = []
    samples = []
    for number, subject in enumerate(subjects):
        place = folder / str(number)
        place.mkdir()
        Python().write(subject, place)
        samples.append(sample(subject))
        np.save(place / "inputs.npy", samples[-1].inputs)
        jobs.append([str(place), str(place / "inputs.npy"), str(place / "outputs.npy"), "1"])
    script = "import json, sys\njobs = json.loads(sys.argv[1])\nfor job in jobs:\n    sys.argv[1:] = job\n"
    script += "    sys.modules.pop('model', None)\n    exec(compile(" + repr(RUN) + ", 'run', 'exec'), {})\n"
    command = [sys.executable, "-I", "-B", "-c", script, json.dumps(jobs)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    for number, given in enumerate(samples):
        compare(f"network {number}", given, np.load(folder / str(number) / "outputs.npy"))


USER = '''
"""Parts of a user's own."""
import math
from functools import partial as fixed
from typing import Any
from torch import nn
from search_spaces.errors import SpaceError
from search_spaces.parts import Part, part, slot
import search_spaces.blocks.residual.add as residuals

# How wide the bottleneck is; the comment travels along.
SHARE = {"a": 2}
"""So does this text."""

def build(channels: int) -> nn.Module:
    """Clashes with the exported file's own `build`."""
    from search_spaces.blocks.block.block import replace
    if channels < 1:
        raise SpaceError("no channels")
    make = fixed(nn.Conv2d, channels, channels)
    return make(math.gcd(1, SHARE["a"]))

class ResidualAdd(nn.Module):
    """Clashes with a class of ours, which another part of the network uses."""
    def forward(self, x, branch):
        return x - branch

def sequence(site, *layers):
    return nn.Sequential(*layers, UserActivation().build(site))

@part("activation", "user_activation", source="None")
class UserActivation(Part):
    """Made by code, not by a field: keeps its defaults."""
    inner: Any = slot("activation", default="relu")
    slope: float = 0.5

    def build(self, site) -> nn.Module:
        return nn.Sequential(self.inner.build(site), nn.LeakyReLU(self.slope))

@part("token_mixer", "user_mixer", source="None")
class UserMixer(Part):
    """é: bytes and characters differ in this line."""
    SHARE = 3
    repeats: int = 1

    def validate(self) -> None:
        if self.repeats < 1: raise SpaceError("é", "user_mixer.repeats")

    def accepts(self, site):
        return None

    def build(self, site) -> nn.Module:
        layers = [build(site.channels) for _ in range(self.repeats)]; é = "é"
        return sequence(site, *layers, residual_of(é))

    def canonical(self) -> "Part":
        from search_spaces.holes import one_of
        return self

@part("residual", "user_residual", source="None")
class UserResidual(Part):
    def build(self, site) -> nn.Module:
        return ResidualAdd()

def residual_of(name: str) -> nn.Module:
    assert residuals.ResidualAdd is not ResidualAdd
    return nn.Identity()

@part("residual", "searching", source="None")
class Searching(Part):
    def build(self, site) -> nn.Module:
        from search_spaces.families import FAMILIES
        return FAMILIES["residual"].get("add")().build(site)
'''


@pytest.fixture(scope="session")  # A file's parts are registered once in a process.
def user(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("user") / "own_parts.py"
    file.write_text(USER, encoding="utf-8")
    return load_file(str(file), "part")


def network(user: Any, residual: Any) -> Network:
    block = Block(token_mixer=user.UserMixer(repeats=2), channel_mixer=None, residual=residual)
    other = Block(token_mixer="pool", channel_mixer=None)
    return Network(Conv3x3Stem(1), (Stage(8, (block, other), downsample=None),))


def test_helpers_and_clashing_names_of_a_user_file(user: Any, tmp_path: Path) -> None:
    subject = subject_of(network(user, user.UserResidual()), (3, 8, 8))
    text = source(subject)
    assert "# How wide the bottleneck is; the comment travels along." in text and "So does this text." in text
    assert "def validate" not in text and "def accepts" not in text and "one_of" not in text
    assert 'raise ValueError("no channels")' in text and "SpaceError" not in text
    assert text.count("class ResidualAdd") == 2 and text.count("\ndef build(") == 1
    Python().write(subject, tmp_path)
    spec = importlib.util.spec_from_file_location("exported_model", tmp_path / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported_model"] = module
    try:
        spec.loader.exec_module(module)
        given = sample(subject)
        with torch.no_grad():
            compare("python", given, module.load()(torch.from_numpy(given.inputs)).numpy())
    finally:
        del sys.modules["exported_model"]


def test_what_only_a_search_has_is_refused_by_name(user: Any) -> None:
    with pytest.raises(ExportRefused, match=r"Searching uses search_spaces\.families\.FAMILIES while it builds"):
        source(subject_of(network(user, user.Searching()), (3, 8, 8)))


def test_source_is_the_same_each_time(user: Any) -> None:
    first = subject_of(network(user, user.UserResidual()), (3, 8, 8))
    second = subject_of(network(user, user.UserResidual()), (3, 8, 8))
    assert source(first) == source(second)
