"""The ready spaces of sequences, language, audio, dense prediction and tables: conformance, and what each owes."""

import warnings
from typing import Any

import pytest
import torch

from search_spaces import SpaceError
from search_spaces.blocks import (
    MLP,
    AbsoluteEncoding,
    Block,
    ConditionalEncoding,
    Conv3x3Stem,
    DepthwiseConv,
    PerPositionHead,
    SelfAttention,
    SinusoidalEncoding,
    TokenEmbeddingStem,
)
from search_spaces.building import build
from search_spaces.counting import count
from search_spaces.deployment import deployed
from search_spaces.edits import Deepen, Edit, EnlargeKernel, Widen
from search_spaces.edits.weights import apply
from search_spaces.example_inputs import example_inputs, takes_ids
from search_spaces.site import Site
from search_spaces.spaces import SPACES, get_space
from search_spaces.testing import SpaceConformance, SupernetConformance, randomise
from search_spaces.topologies import Network, Stage

OUTPUTS = 5
SPACES_OF = {
    "sequence": ((11, 20), 1_000),
    "language": ((11, 20), 1_000),
    "audio": ((1, 16, 24), 1_000),
    "dense": ((3, 18, 25), 400),
    "tabular": ((7,), 1_000),
    "tabular_tokens": ((7,), 1_000),
}
"""Each space's inputs here, and the number of examples."""


def space_of(name: str) -> Any:
    """The space, fitted."""
    return get_space(name, *SPACES_OF[name])


class TestSequence(SpaceConformance):
    space, inputs, samples = space_of("sequence"), SPACES_OF["sequence"][0], 100


class TestLanguage(SpaceConformance):
    space, inputs, samples = space_of("language"), SPACES_OF["language"][0], 100


class TestAudio(SpaceConformance):
    space, inputs, samples, builds = space_of("audio"), SPACES_OF["audio"][0], 100, 4


class TestDense(SpaceConformance):
    space, inputs, samples = space_of("dense"), SPACES_OF["dense"][0], 100


class TestTabular(SpaceConformance):
    space, inputs, samples = space_of("tabular"), SPACES_OF["tabular"][0], 100


class TestTabularTokens(SpaceConformance):
    space, inputs, samples = space_of("tabular_tokens"), SPACES_OF["tabular_tokens"][0], 100


class TestSequenceSupernet(SupernetConformance):
    space, inputs = space_of("sequence"), SPACES_OF["sequence"][0]


class TestLanguageSupernet(SupernetConformance):
    space, inputs = space_of("language"), SPACES_OF["language"][0]


class TestAudioSupernet(SupernetConformance):
    space, inputs, samples = space_of("audio"), SPACES_OF["audio"][0], 6


class TestDenseSupernet(SupernetConformance):
    space, inputs = space_of("dense"), SPACES_OF["dense"][0]


class TestTabularSupernet(SupernetConformance):
    space, inputs = space_of("tabular"), SPACES_OF["tabular"][0]


class TestTabularTokensSupernet(SupernetConformance):
    space, inputs = space_of("tabular_tokens"), SPACES_OF["tabular_tokens"][0]


@pytest.mark.parametrize("name", SPACES_OF)
def test_twenty_networks_are_counted_and_deployed(name: str) -> None:
    """Shapes are the promised ones, costs are had from a trace, and deployed networks give the same."""
    (inputs, _), space = SPACES_OF[name], space_of(name)
    for seed in range(20):
        architecture = space.sample(seed)
        network = build(architecture, inputs, OUTPUTS, seed=seed).eval()
        x = example_inputs(network, inputs, 3, seed)
        with torch.no_grad():
            expected, got = network(x), deployed(network)(x)
        assert tuple(got.shape[1:]) == architecture.shape_after(Site(inputs, OUTPUTS, inputs=inputs))
        assert (got - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())
        found = count(network, inputs)
        assert found.how == "traced" and found.macs > 0
        assert found.params == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "inputs", "gives"),
    [
        ("sequence", (2, 1), (OUTPUTS,)),
        ("sequence", (50, 700), (OUTPUTS,)),
        ("language", (50, 1), (OUTPUTS, 1)),
        ("language", (50, 600), (OUTPUTS, 600)),
        ("audio", (1, 32, 32), (OUTPUTS,)),
        ("audio", (1, 64, 200), (OUTPUTS,)),
        ("audio", (1, 8, 5), (OUTPUTS,)),
        ("dense", (3, 90, 120), (OUTPUTS, 90, 120)),
        ("dense", (1, 4, 5), (OUTPUTS, 4, 5)),
        ("tabular", (1,), (OUTPUTS,)),
        ("tabular", (600,), (OUTPUTS,)),
        ("tabular_tokens", (1,), (OUTPUTS,)),
    ],
)
@pytest.mark.parametrize("examples", [500, 50_000])
def test_other_sizes_build_and_run(name: str, inputs: tuple[int, ...], gives: tuple[int, ...], examples: int) -> None:
    space = get_space(name, inputs, examples)
    for seed in range(6):
        network = build(space.sample(seed), inputs, OUTPUTS, seed=seed).eval()
        with torch.no_grad():
            assert network(example_inputs(network, inputs, 1)).shape == (1, *gives)


@pytest.mark.parametrize("name", SPACES_OF)
def test_without_data_each_space_is_that_of_its_reference(name: str) -> None:
    assert get_space(name).sample(0).layers() > 0


@pytest.mark.parametrize("name", ["sequence", "language", "dense", "tabular", "tabular_tokens"])
def test_many_examples_allow_larger_networks(name: str) -> None:
    few, many = (get_space(name, SPACES_OF[name][0], examples) for examples in (1_000, 10**6))
    widths = [max(space.sample(seed).stages[0].width for seed in range(30)) for space in (few, many)]
    assert widths[0] < widths[1]


# What a language network sees.


def changes_before(network: Any, inputs: tuple[int, ...], place: int) -> float:
    """How much the outputs at positions before `place` change when all tokens from there on do, of their range."""
    x = example_inputs(network, inputs, 4)
    other = x.clone()
    other[:, place:] = (x[:, place:] + 1) % inputs[0]
    with torch.no_grad():
        first, second = network(x), network(other)
    assert (first - second)[..., place:].abs().max() > 0
    return ((first - second)[..., :place].abs().max() / first.abs().max()).item()


def test_language_networks_never_look_ahead() -> None:
    (inputs, _), space = SPACES_OF["language"], space_of("language")
    for seed in range(20):
        network = randomise(build(space.sample(seed), inputs, OUTPUTS).double(), seed).eval()
        for place in (1, 10, 19):
            assert changes_before(network, inputs, place) < 1e-12
            assert changes_before(deployed(network), inputs, place) < 1e-12


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "mixer",
    [
        lambda causal: DepthwiseConv(5, causal=causal),
        lambda causal: SelfAttention(2, causal=causal),
        lambda causal: SelfAttention(2, ConditionalEncoding(causal=True), causal=causal),
        lambda causal: SelfAttention(2, AbsoluteEncoding(), causal=causal),
    ],
    ids=["convolution", "attention", "conditional", "absolute"],
)
def test_it_is_causal_that_keeps_a_mixer_from_looking_ahead(mixer: Any, causal: bool) -> None:
    block = Block(mixer(causal), MLP(2), norm="layer")
    tree = Network(TokenEmbeddingStem(), (Stage(8, (block, block), None),), PerPositionHead())
    network = randomise(build(tree, (7, 12), 7).double(), 0).eval()
    assert (changes_before(network, (7, 12), 6) < 1e-12) == causal


# Edits.


def edits_of(architecture: Any) -> list[Edit]:
    """Edits that every architecture here allows, and a longer filter where there is a depthwise convolution."""
    stage = len(architecture.stages) - 1
    found: list[Edit] = []
    if stage > 0 or not isinstance(getattr(architecture.stem, "positional_encoding", None), SinusoidalEncoding):
        found.append(Widen(f"stages.{stage}", 2 * architecture.stages[stage].width))
    for number, block in enumerate(architecture.stages[stage].blocks):
        if block.norm_placement.name != "post":
            found.append(Deepen(f"stages.{stage}", number + 1))
        if isinstance(block.token_mixer, DepthwiseConv):
            path = f"stages.{stage}.blocks.{number}.token_mixer"
            found.append(EnlargeKernel(path, block.token_mixer.kernel + 2))
    return found


@pytest.mark.parametrize("name", SPACES_OF)
def test_edits_leave_what_is_computed_as_it_was(name: str) -> None:
    (inputs, _), space, kinds = SPACES_OF[name], space_of(name), set()
    for seed in range(12):
        architecture = space.sample(seed)
        network = randomise(build(architecture, inputs, OUTPUTS).double(), seed).eval()
        x = example_inputs(network, inputs, 2, seed, torch.float64)
        for edit in edits_of(architecture):
            edited = apply(edit, architecture, network.state_dict(), inputs, OUTPUTS, seed)
            after = build(edited.architecture, inputs, OUTPUTS).double().eval()
            after.load_state_dict(edited.state)
            with torch.no_grad():
                expected, got = network(x), after(x)
            # Norms of each position add a small number to the variance, which wider ones weigh otherwise.
            assert (got - expected).abs().max() <= 1e-5 * max(1, expected.abs().max()), (seed, str(edit))
            kinds.add(edit.name)
    assert {"widen", "deepen"} <= kinds


def test_sinusoidal_positions_are_of_one_width() -> None:
    tree = Network(TokenEmbeddingStem("sinusoidal"), (Stage(8, (Block("depthwise_conv"),), None),))
    with pytest.raises(SpaceError, match=r"^stem\.positions: the waves of 8 channels [^\n]*$"):
        apply(Widen("stages.0", 16), tree, build(tree, (7, 12), 7).state_dict(), (7, 12), 7)


# Export.


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES_OF)
def test_networks_are_exported_with_an_open_batch(name: str, tmp_path: Any) -> None:
    """torch.export and ONNX, run with a batch that wasn't traced."""
    onnxruntime = pytest.importorskip("onnxruntime")
    (inputs, _), space = SPACES_OF[name], space_of(name)
    for seed in range(2):
        network = deployed(build(space.sample(seed), inputs, OUTPUTS, seed=seed))
        example, x = example_inputs(network, inputs, 2), example_inputs(network, inputs, 5, 1)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = network(x)
            dynamic = ({0: torch.export.Dim("batch")},)
            program = torch.export.export(network, (example,), dynamic_shapes=dynamic)
            torch.testing.assert_close(program.module()(x), expected, rtol=1e-4, atol=1e-4)
            converted: Any = torch.onnx.export(
                network, (example,), dynamo=True, verbose=False, opset_version=20, dynamic_shapes=dynamic
            )
        converted.save(str(tmp_path / f"{seed}.onnx"))
        session = onnxruntime.InferenceSession(str(tmp_path / f"{seed}.onnx"), providers=["CPUExecutionProvider"])
        [got] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-3, atol=1e-4)


# Wrong combinations.


def test_spaces_refuse_other_inputs_in_one_line() -> None:
    for name in SPACES_OF:
        assert name in SPACES.names()
        for inputs in ((7,), (11, 20), (3, 18, 25)):
            if len(inputs) != len(SPACES_OF[name][0]):
                with pytest.raises(SpaceError, match=r"^inputs: takes [^\n]*$"):
                    get_space(name, inputs, 1_000)


def test_stems_refuse_other_inputs_in_one_line() -> None:
    stage = (Stage(8, (Block("depthwise_conv"),), None),)
    with pytest.raises(SpaceError, match=r"^stem: stem 'token_embedding' works on maps of 1 sides[^\n]*$"):
        build(Network(TokenEmbeddingStem(), stage), (3, 8, 8), 4)
    with pytest.raises(SpaceError, match=r"^stem: stem 'linear' works on maps of 0 sides[^\n]*$"):
        build(Network("linear", stage), (11, 20), 4)
    with pytest.raises(SpaceError, match=r"^stages\.0\.blocks\.0\.token_mixer: [^\n]*maps of 1 or 2 sides[^\n]*$"):
        build(Network("linear", stage), (11,), 4)
    with pytest.raises(SpaceError, match=r"^head: head 'dense' works on maps of 2 sides[^\n]*$"):
        build(Network(Conv3x3Stem(), stage, "dense"), (3, 20), 4)


def test_networks_say_whether_they_take_numbers_of_tokens() -> None:
    taking = {name for name in SPACES_OF if takes_ids(build(space_of(name).sample(0), SPACES_OF[name][0], OUTPUTS))}
    assert taking == {"sequence", "language"}
