"""That all tensors of a supernet are found: by its space's covering, and by learning which choices act together."""

import random
import warnings

import pytest
from torch import nn

from search_spaces import FAMILIES, SpaceError, integers, one_of, part, repeat, size, slot
from search_spaces.blocks import (
    GLU,
    MLP,
    AbsoluteEncoding,
    Block,
    ConditionalEncoding,
    Conv3x3Stem,
    ConvDownsample,
    DepthwiseConv,
    InvertedBottleneck,
    LayerScale,
    PatchifyStem,
    Paths,
    SelfAttention,
    SqueezeExcitation,
    WindowAttention,
)
from search_spaces.parts import Part
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet, survey
from search_spaces.weight_sharing.few_shot import decision_to_split
from search_spaces.weight_sharing.recording import shapes_of
from search_spaces.weight_sharing.sampling import at_most, axes_of, covering
from search_spaces.weight_sharing.sharing import tells_apart
from search_spaces.weight_sharing.splitting import Split
from search_spaces.weight_sharing.survey import Survey

OUTPUTS = 10


def union(architectures, inputs):
    """Every tensor of some networks, with the shape that holds all its slices."""
    found = {}
    for architecture in architectures:
        try:
            views = shapes_of(architecture, inputs, OUTPUTS)
        except SpaceError:
            continue  # Options that don't go together on these inputs.
        for view in views:
            found[view.key] = view.larger(found.get(view.key, ()))
    return found


def staged(*stages, stem=None):
    return Space(Network(stem or Conv3x3Stem(stride=1), tuple(stages)))


@pytest.fixture
def no_covering(monkeypatch):
    """What is learnt must do alone."""

    def refused(*_):
        raise AssertionError("what was learnt wasn't enough, so that the covering was looked at")

    monkeypatch.setattr(survey, "covering", refused)
    monkeypatch.setattr(survey, "covering_sizes", refused)


READY = ["hybrid", "mobile", "cell201", "tied"]
SMALL, LARGE = (1, 8, 8), (3, 32, 32)
CASES = [
    pytest.param(name, inputs, examples, split, marks=[pytest.mark.slow] if examples > 2_000 or split else [])
    for name in READY
    for inputs in (SMALL, LARGE)
    for examples in (1_400, 60_000)
    for split in (False, True)
    if not split or inputs == SMALL or name != "cell201"  # of which nothing depends on the images' size
]


@pytest.mark.parametrize(("name", "inputs", "examples", "split"), CASES)
def test_what_is_learnt_finds_what_the_covering_does(no_covering, monkeypatch, name, inputs, examples, split):
    space = get_space(name, inputs, examples)
    divided = Split(space, decision_to_split(space)) if split else None
    learnt = Survey(space, inputs, OUTPUTS, divided, "learnt")
    monkeypatch.undo()
    whole = Survey(space, inputs, OUTPUTS, divided, "whole")
    assert learnt.shapes == whole.shapes
    assert learnt.kernels == whole.kernels


@pytest.mark.parametrize("split", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("inputs", [SMALL, LARGE])
def test_paths_need_more_than_every_pair(no_covering, monkeypatch, inputs, split):
    """Wider shares of fewer paths, in each kind of path: the covering misses some, what is learnt doesn't."""
    space = get_space("paths", inputs, 1_400)
    divided = Split(space, decision_to_split(space)) if split else None
    learnt = Survey(space, inputs, OUTPUTS, divided, "learnt")
    monkeypatch.undo()
    whole = Survey(space, inputs, OUTPUTS, divided, "whole")
    assert set(learnt.shapes) > set(whole.shapes)
    assert all(all(a <= b for a, b in zip(shape, learnt.shapes[k], strict=True)) for k, shape in whole.shapes.items())
    for seed in range(100):
        architecture = space.sample(seed)
        prefix = divided.prefix(architecture) if divided else ""
        for view in shapes_of(architecture, inputs, OUTPUTS, prefix):
            assert view.larger(learnt.shapes[view.key]) == learnt.shapes[view.key], view.key


@pytest.mark.parametrize("name", READY)
def test_small_spaces_keep_their_initial_weights(name):
    """They are those of the first network of the covering that has the largest of a tensor."""
    space = get_space(name, SMALL, 1_400)
    fitting, whole = (Survey(space, SMALL, OUTPUTS, None, way) for way in ("fitting", "whole"))
    assert fitting.origins == whole.origins and fitting.shapes == whole.shapes
    assert whole.builds < fitting.builds <= whole.builds + survey.CHECKED // 4


def named(family, name, sliced=False):
    """A part whose registration ends with the test that asked for it (the fixture `registering`)."""
    return part(family, name, source="A test", sliced=sliced)


@pytest.fixture
def registering():
    before = {family: dict(registry._entries) for family, registry in FAMILIES.items()}
    yield
    for family, registry in FAMILIES.items():
        for name in registry._entries.keys() - before[family].keys():
            registry._entries.pop(name)


def norm_inside_of_its_placement():
    """The second branch, and so its norm, is only there with a channel mixer."""
    block = Block(
        "pool",
        one_of(None, MLP(2)),
        norm=one_of("batch", "layer", "rms"),
        norm_placement=one_of("pre", "post", "peri"),
        residual=one_of("add", LayerScale()),
    )
    return staged(Stage(8, (block,)))


def windows_cut_by_maps():
    mixers = one_of("pool", WindowAttention(heads=one_of(2, 4), window=one_of(3, 7)))
    stem = one_of(Conv3x3Stem(stride=one_of(1, 2)), PatchifyStem(4))
    first = Stage(one_of(8, 16), (Block(mixers, None),))
    return staged(
        first, Stage(one_of(8, 16), (Block(mixers, None),), one_of("conv", ConvDownsample(2), "pool")), stem=stem
    )


def positions_of_maps_inside_windows():
    encodings = one_of(None, ConditionalEncoding(one_of(3, 5)), AbsoluteEncoding())
    mixers = one_of(WindowAttention(2, one_of(2, 5), positional_encoding=encodings), SelfAttention(2))
    stem = one_of(Conv3x3Stem(stride=one_of(1, 2, 4)), PatchifyStem(3))
    return staged(Stage(one_of(4, 8), repeat(integers(1, 2), Block(mixers, None))), stem=stem)


def shares_of_paths():
    kinds = one_of(DepthwiseConv(one_of(3, 5)), "pool", InvertedBottleneck(3, one_of(1, 2)))
    inner = Paths(repeat(one_of(2, 4), kinds), one_of("replicate", "split"))
    outer = Paths((inner, DepthwiseConv(one_of(3, 5))), one_of("replicate", "split"))
    return staged(Stage(16, (Block(one_of("pool", outer), None, norm=None),)))


def bottlenecks_by_what_they_hold():
    mixer = InvertedBottleneck(
        one_of(3, 5), one_of(1, 2), one_of(None, "batch"), one_of("relu", "silu"), one_of(None, SqueezeExcitation(4))
    )
    return staged(Stage(one_of(8, 12), (Block(mixer, None, norm=None),)))


def smaller_numbers_with_larger_tensors():
    mixers = one_of("pool", DepthwiseConv(3), InvertedBottleneck(3, 2, channel_attention=SqueezeExcitation(4)))
    block = Block(mixers, None, channel_attention=one_of(None, SqueezeExcitation(one_of(1, 2, 4))))
    return staged(Stage(one_of(16, 32), (block,)))


def parts_without_a_rule():
    """A mixer, with parts inside of it, and a placement that builds the norm of the block."""

    @named("token_mixer", "survey_low_rank")
    class LowRank(Part):
        """Two 1x1 layers through `rank` channels, normalized."""

        rank: int = 2
        norm: object = slot("norm", default="batch")

        def build(self, site):
            inner = [] if self.norm is None else [self.norm.build(site.wide(self.rank))]
            return nn.Sequential(nn.Conv2d(site.channels, self.rank, 1), *inner, nn.Conv2d(self.rank, site.channels, 1))

    @named("norm_placement", "survey_scaled")
    class Scaled(Part):
        """x + norm(f(x)), by a norm that it builds itself."""

        def build(self, site, inner, make_norm, residual):
            branch = nn.Sequential(inner, make_norm())
            branch.residual = residual
            return branch

    rank = LowRank(one_of(2, 3), one_of(None, "batch", "layer"))
    block = Block(one_of("pool", rank), None, one_of("batch", "layer"), one_of("pre", Scaled()))
    stem = one_of(Conv3x3Stem(stride=one_of(1, 2)), PatchifyStem(2))
    return staged(Stage(one_of(4, 8), (block,)), Stage(one_of(4, 6), (block,)), stem=stem)


def names_by_what_is_held():
    """What a part calls its own tensors depends on two of the parts in it together."""

    @named("token_mixer", "survey_sequence", sliced=True)
    class Sequence(Part):
        """A convolution behind what else there is."""

        mode: str = "a"
        before: object = slot("norm", default=None)
        between: object = slot("norm", default=None)

        def build(self, site):
            layers = [one.build(site) for one in (self.before, self.between) if one is not None]
            return nn.Sequential(*layers, nn.Conv2d(site.channels, site.channels, 1, bias=self.mode == "a"))

    norms = one_of(None, "batch")
    mixer = Sequence(one_of("a", "b"), norms, norms)
    return staged(Stage(one_of(8, 16), (Block(one_of("pool", mixer), one_of(None, GLU(one_of(1, 2)))),)))


DESIGNED = [
    norm_inside_of_its_placement,
    windows_cut_by_maps,
    positions_of_maps_inside_windows,
    shares_of_paths,
    bottlenecks_by_what_they_hold,
    smaller_numbers_with_larger_tensors,
    parts_without_a_rule,
    names_by_what_is_held,
]
SIMPLE = {smaller_numbers_with_larger_tensors}
"""Where single choices show all."""


@pytest.mark.parametrize("designed", DESIGNED, ids=lambda function: function.__name__)
def test_finds_every_tensor_of_every_network(no_covering, registering, designed):
    """Against all networks of a space (or three hundred); single choices alone don't show what acts together."""
    space, inputs = designed(), (1, 8, 8)
    size = space.size()
    every = space.enumerate() if size <= 300 else (space.sample(seed) for seed in range(300))
    needed = union(every, inputs)

    def missing(shapes):
        return [
            key
            for key, shape in needed.items()
            if key not in shapes or any(a > b for a, b in zip(shape, shapes[key], strict=True))
        ]

    assert missing(Survey(space, inputs, OUTPUTS, None, "learnt").shapes) == []
    singly = missing(Survey(space, inputs, OUTPUTS, None, "singly").shapes)
    assert (singly == []) == (designed in SIMPLE), singly


def test_random_networks_call_the_covering(monkeypatch):
    """Where learning misses something, as it does when it doesn't look at what acts together."""
    space = norm_inside_of_its_placement()
    run = survey.Interplay.run

    def singly(self):
        self._related = False
        run(self)

    monkeypatch.setattr(survey.Interplay, "run", singly)
    whole = Survey(space, (1, 8, 8), OUTPUTS, None, "whole").shapes
    assert whole.keys() <= Survey(space, (1, 8, 8), OUTPUTS, None, "learnt").shapes.keys()
    monkeypatch.setattr(survey, "CHECKED", 0)
    assert not whole.keys() <= Survey(space, (1, 8, 8), OUTPUTS, None, "learnt").shapes.keys()


def wide(mixers, norms):
    """A space of so many token mixers and normalizations."""
    choices = [DepthwiseConv(one_of(3, 5, 7))]
    for number in range(mixers - 1):

        @named("token_mixer", f"survey_mixer_{number}", sliced=True)
        class Mixer(Part):
            """A convolution."""

            kernel: int = size("kernel", default=3)

            def build(self, site):
                return nn.Conv2d(site.channels, site.channels, self.kernel, padding=self.kernel // 2)

        choices.append(Mixer(one_of(1, 3)))
    kinds = ["batch"]
    for number in range(norms - 1):

        @named("norm", f"survey_norm_{number}", sliced=True)
        class Norm(Part):
            """A normalization."""

            def build(self, site):
                return nn.GroupNorm(1, site.channels)

        kinds.append(Norm())
    block = Block(one_of(*choices), one_of(None, MLP(one_of(1, 2))), one_of(*kinds), one_of("pre", "post"))
    return staged(Stage(one_of(8, 16), repeat(integers(1, 2), block)))


def test_many_designs_take_as_many_networks_as_there_are_not_as_pairs(no_covering, registering):
    space = wide(24, 12)
    axes, _ = axes_of(space)
    assert not at_most(axes, survey.WHOLE, triples=False)
    assert sum(1 for _ in covering(space)) > 300
    found = Survey(space, (1, 4, 4), OUTPUTS, None)
    options = sum(len(axis.labels) for axis in axes)
    assert found.builds - survey.CHECKED < options + 2 * 12
    supernet = Supernet(space, (1, 4, 4), OUTPUTS, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(100):
            supernet.activate(space.sample(seed))


def test_equal_surveys_have_equal_origins(registering):
    """The networks whose initial weights are taken are the same whenever it is done."""
    space = wide(12, 12)
    random.seed(1)
    first = Survey(space, (1, 4, 4), OUTPUTS, None, "learnt")
    random.seed(2)
    assert Survey(space, (1, 4, 4), OUTPUTS, None, "learnt").origins == first.origins


def test_a_space_that_does_not_build_says_why():
    with pytest.raises(SpaceError, match="heads"):
        Survey(staged(Stage(9, (Block(SelfAttention(one_of(2, 4))),))), (1, 8, 8), OUTPUTS, None, "learnt")


def test_options_that_need_other_sizes_are_found(no_covering):
    """Three heads don't divide the largest width."""
    space = staged(Stage(one_of(6, 8), (Block(one_of("pool", SelfAttention(3)), None, one_of("batch", "layer")),)))
    assert Survey(space, (1, 8, 8), OUTPUTS, None, "learnt").shapes == union(space.enumerate(), (1, 8, 8))


def test_tells_which_parts_depend_on_what_they_are_given(registering):
    assert tells_apart(WindowAttention) and tells_apart(AbsoluteEncoding) and tells_apart(InvertedBottleneck)
    assert not tells_apart(DepthwiseConv) and not tells_apart(SelfAttention)

    @named("norm", "survey_unknown")
    class Unknown(Part):
        """Without a rule."""

    assert tells_apart(Unknown)
