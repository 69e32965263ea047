"""Conformance suites for third parties: subclass one in a test module, say what to test, and pytest does the rest.

class TestMyMixer(PartConformance):
    cases = [(MyMixer(kernel=3), (16, 8, 8)), (MyMixer(kernel=5), (16, 7, 9))]
    refused = [(MyMixer(kernel=3), (15, 8, 8))]
    wrong = [(lambda: MyMixer(kernel=4), "my_mixer.kernel")]

    def reference(self, part, site, module, x):
        return functional.conv2d(x, module.weight, module.bias, padding=part.kernel // 2, groups=site.channels)

class TestMySpace(SpaceConformance):
    space = Space(my_tree, "mine")
    inputs = (3, 32, 32)

class TestMySupernet(SupernetConformance):
    space = Space(my_tree, "mine")
    inputs = (3, 32, 32)
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from search_spaces.building import build, check
from search_spaces.canonical import canonical, digest, from_json, to_json
from search_spaces.counting import count
from search_spaces.decisions import INACTIVE
from search_spaces.deployment import deployed, unfolded
from search_spaces.errors import SpaceError
from search_spaces.example_inputs import example_inputs
from search_spaces.families import FAMILIES
from search_spaces.parts import Part, fields_of
from search_spaces.site import Shape, Site
from search_spaces.space import Genes, SearchSpace, Space
from search_spaces.training_protocols import with_auxiliary_losses
from search_spaces.weight_sharing import Supernet
from search_spaces.weight_sharing.sharing import weights_of

OUTPUTS = 10
"""Classes of the networks and heads under test."""
BATCHES = 32
"""After so many batches every weight of a part that routes its input must have had a gradient."""


def module_of(part: Any, shape: Shape) -> tuple[nn.Module, Shape]:
    """The module of a part for features of `shape`, built as its family is, and the shape that must come out."""
    family = FAMILIES[part.family]
    site = family.site(shape)
    module = family.module(part, site)
    module.takes_ids = part.takes_ids()
    return module, family.shape_after(part, site)


def randomise(model: nn.Module, seed: int) -> nn.Module:
    """Every weight, bias and batch norm statistic drawn at random: what is still zero or one hides mistakes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * (high - low) + low)

    for parameter in model.parameters():
        spread = math.sqrt(3 / max(1, parameter[0].numel())) if parameter.dim() > 1 else 1.0
        draw(parameter, -spread, spread)
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            draw(module.running_mean, -1, 1)
            draw(module.running_var, 0.5, 2)
    return model


def assert_deployed_equal(model: nn.Module, inputs: Shape, seed: int = 0, tolerance: float = 1e-10) -> None:
    """The deployed form of `model`, in float64 with random weights, gives the same outputs, within their range."""
    model = randomise(model.double(), seed).eval()
    x = example_inputs(model, inputs, 2, seed, torch.float64)
    with torch.no_grad():
        expected, got = model(x), deployed(model)(x)
    error = (expected - got).abs().max().item() / max(1.0, expected.abs().max().item())
    assert error <= tolerance, f"the deployed network's outputs are off by {error:.2g} of their range"


def network_with(part: Any, shape: Shape) -> Any:
    """A tree of networks of two widths that have `part` in them, where it is given features of `shape` or wider ones.

    The networks take inputs of 3 channels and the shape's sides; for a stem or network, of the shape itself.
    """
    family = FAMILIES[part.family]
    return family.network(part, family.site(shape))


def randomise_supernet(supernet: Supernet, seed: int) -> Supernet:
    """A supernet in float64 with every weight, bias and batch norm statistic drawn at random."""
    randomise(supernet.double(), seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in supernet.named_buffers():
        if buffer.is_floating_point():
            drawn = torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
            buffer.copy_(0.5 + 1.5 * drawn if name.endswith("running_var") else 2 * drawn - 1)
    return supernet


def assert_extracted_equal(supernet: Supernet, architecture: Any, tolerance: float = 1e-10) -> None:
    """Outputs, gradients and training's effect on statistics are the extracted network's, to `tolerance` of scale."""
    extracted = supernet.extract(architecture)
    supernet.activate(architecture)
    x = example_inputs(extracted, supernet.inputs, 4, 0, torch.float64)
    for mode in (False, True):
        expected, got = extracted.train(mode)(x), supernet.train(mode)(x)
        _assert_near(got, expected, tolerance, f"outputs with training={mode}")
    supernet.zero_grad(set_to_none=True)
    for outputs, network in ((expected, extracted), (got, supernet.network)):
        with_auxiliary_losses(_loss(outputs), network, _loss).backward()
    (_assert_pulled_back if supernet.kernel_transformations else _assert_slices_of_gradients)(
        supernet, {name: p.grad for name, p in extracted.named_parameters() if p.grad is not None}, tolerance
    )
    for name, buffer in supernet.slices(dict(supernet.store.named_buffers())).items():
        _assert_near(buffer.double(), extracted.get_buffer(name).double(), tolerance, f"the statistics of {name}")


def _assert_slices_of_gradients(supernet: Supernet, expected: dict[str, torch.Tensor], tolerance: float) -> None:
    """The store's gradients are the expected ones within the active network's slices, and nothing elsewhere."""
    gradients = {key: p.grad for key, p in supernet.store.named_parameters() if p.grad is not None}
    slices = supernet.slices(gradients)
    for name, gradient in expected.items():
        _assert_near(slices[name], gradient, tolerance, f"the gradient of {name}")
    inside = sum(float(gradient.square().sum()) for gradient in slices.values())
    whole = sum(float(gradient.square().sum()) for gradient in gradients.values())
    assert whole <= inside * (1 + 1e-9), "weights outside of the network's slices have gradients"


def _assert_pulled_back(supernet: Supernet, expected: dict[str, torch.Tensor], tolerance: float) -> None:
    """The store's gradients, those of matrices included, are what the expected ones are before transformations."""
    bound = dict(supernet.network.named_parameters())
    keys, shared = zip(*((key, p) for key, p in supernet.store.named_parameters() if p.requires_grad), strict=True)
    outputs = [bound[name] for name in expected]
    pulled = torch.autograd.grad(outputs, shared, list(expected.values()), allow_unused=True)
    for key, parameter, gradient in zip(keys, shared, pulled, strict=True):
        assert (parameter.grad is None) == (gradient is None), f"only one of two has a gradient for {key}"
        if gradient is not None:
            _assert_near(parameter.grad, gradient, tolerance, f"the gradient of {key}")


def _loss(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.square().mean()


def _assert_near(got: Any, expected: Any, tolerance: float, what: str) -> None:
    error = (got - expected).abs().max().item() / max(1.0, expected.abs().max().item())
    assert error <= tolerance, f"{what}: off by {error:.2g} of their range"


class PartConformance:
    """What every part owes. `cases` holds pairs of a part without holes and a shape that it accepts.

    For a stem or network the shape is that of the inputs; of tokens, (vocabulary, length). `refused` holds
    pairs that `accepts` must refuse, `wrong` pairs of a function that makes a part with a value that can't be, and the
    path in the error.
    """

    cases: ClassVar[Sequence[tuple[Any, Shape]]] = ()
    refused: ClassVar[Sequence[tuple[Any, Shape]]] = ()
    wrong: ClassVar[Sequence[tuple[Callable[[], Any], str]]] = ()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        for fixture, cases in (("case", self.cases), ("refused_case", self.refused)):
            if fixture in metafunc.fixturenames:
                names = [f"{part.family}/{part.name}-{'x'.join(map(str, shape))}" for part, shape in cases]
                metafunc.parametrize(fixture, cases, ids=names)

    def test_is_registered_with_a_source(self, case: tuple[Part, Shape]) -> None:
        part = case[0]
        entry = FAMILIES[part.family].entry(part.name)
        assert entry.value is type(part)
        assert entry.source.strip() and entry.source == part.source
        assert entry.about, f"{part.name} has no line about it; write a docstring"

    def test_json_and_digest_round_trip(self, case: tuple[Part, Shape]) -> None:
        part = case[0]
        again = from_json(json.loads(json.dumps(to_json(part))))
        assert again == part and type(again) is type(part)
        assert digest(again) == digest(part) and len(digest(part)) == 32

    def test_misspelt_names_raise_with_the_near_one(self, case: tuple[Part, Shape]) -> None:
        part = case[0]
        with pytest.raises(SpaceError, match=f"'{part.name}'"):
            FAMILIES[part.family].get(part.name + "_")
        with pytest.raises(SpaceError, match="no field 'not_a_field'"):
            from_json({**to_json(part), "not_a_field": 1})

    def test_trains_with_the_promised_shape(self, case: tuple[Part, Shape]) -> None:
        part, shape = case
        check(part, FAMILIES[part.family].site(shape))
        model, expected = module_of(part, shape)
        x = example_inputs(model, shape, 2)
        x.requires_grad = x.is_floating_point()
        y = model(x)
        assert tuple(y.shape) == (2, *expected)
        with_auxiliary_losses(_loss(y), model, _loss).backward()
        assert not x.requires_grad or (x.grad is not None and x.grad.isfinite().all())
        if part.routed:
            # A batch reaches only some of the weights; many of them reach all.
            for seed in range(1, BATCHES):
                model(example_inputs(model, shape, 2, seed)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), f"no finite gradient for {name}"

    def reference(self, part: Any, site: Site, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """What `module`, the part's module in evaluation mode, must give for `x`, computed independently of it.

        By a formula on its weights, or by timm's or torch's module with the same weights. A design of which another
        property tells more (one that a simpler part lacks) overrides `test_is_faithful` instead.
        """
        raise AssertionError(f"{part.name} has no fidelity test; override reference() or test_is_faithful()")

    def test_is_faithful(self, case: tuple[Part, Shape]) -> None:
        """The module computes what the publication says."""
        part, shape = case
        module = randomise(module_of(part, shape)[0].double(), 3).eval()
        x = example_inputs(module, shape, 2, 3, torch.float64)
        with torch.no_grad():
            _assert_near(module(x), self.reference(part, FAMILIES[part.family].site(shape), module, x), 1e-9, part.name)

    def test_norms_fold(self, case: tuple[Part, Shape]) -> None:
        """Deployed, no batch normalization is left whose input is the very output of a layer that could take it up."""
        part, shape = case
        left = unfolded(deployed(randomise(module_of(part, shape)[0], 4).eval()), shape)
        assert not left, f"{', '.join(left)} of {part.name} could be folded and isn't; let its module reparameterize()"

    def test_cost_is_counted(self, case: tuple[Part, Shape]) -> None:
        """Every operator that multiplies has a count; one of the part's own is declared beside it with @counts."""
        part, shape = case
        try:
            found = count(module_of(part, shape)[0], shape)
        except NotImplementedError as error:
            raise AssertionError(f"the cost of {part.name} can't be counted: {error}") from None
        assert found.macs >= 0 and found.params >= 0

    def test_slices_keep_their_roles(self, case: tuple[Part, Shape]) -> None:
        """What a weight of the smaller network does, it does in the larger one, too.

        In the largest network all weights of the part but those of the smallest one's slices become zero. Each of
        those must go on having an influence; where queries, keys and values are sliced as one tensor, say, the smaller
        network's keys and values would lie among the larger one's queries, and have none.
        """
        part, shape = case
        supernet, networks, inputs = _in_a_supernet(part, shape)
        networks.sort(key=lambda architecture: _parameters(build(architecture, inputs, OUTPUTS)))
        if not part.sliced or len(networks) < 2 or networks[0] == networks[-1]:
            pytest.skip("its configurations have weights of their own, or it stands in networks of one size alone")
        images = example_inputs(supernet.network, inputs, 8, 5, torch.float64)
        mine = re.compile(rf"\[{part.name}[,\]]")
        small = {key: found for key, found in _influence(supernet, networks[0], images).items() if mine.search(key)}
        supernet.activate(networks[0])
        views = {view.key: view for view in supernet.views if view.key in small}
        with torch.no_grad():
            for key, view in views.items():
                whole = supernet.store.tensor(key)
                assert whole is not None
                kept = view.of(whole).clone()
                view.write(whole.zero_(), kept)
        large = _influence(supernet, networks[-1], images)
        for key, view in views.items():
            if key not in large:
                continue
            before, after = (_by_row(view.of(found[key])) for found in (small, large))
            lost = (before > 1e-8 * before.max()) & (after <= 1e-12 * before.max())
            # A few may have none by chance, as behind an activation that is zero for all of these inputs.
            assert lost.sum() <= len(lost) / 8, (
                f"{int(lost.sum())} of {len(lost)} rows of {part.name}'s '{view.name}' have no influence in a wider "
                "network: if it holds several equal tensors, as queries, keys and values, name it in the part's chunks"
            )

    def test_works_in_float64(self, case: tuple[Part, Shape]) -> None:
        part, shape = case
        model = module_of(part, shape)[0].double().eval()
        y = model(example_inputs(model, shape, 2, dtype=torch.float64))
        assert y.dtype == torch.float64 and y.isfinite().all()

    def test_deployed_form_gives_the_same_outputs(self, case: tuple[Part, Shape]) -> None:
        part, shape = case
        assert_deployed_equal(module_of(part, shape)[0], shape)

    def test_canonical_spelling_builds_the_same_network(self, case: tuple[Part, Shape]) -> None:
        part, shape = case
        short = canonical(part)
        assert canonical(short) == short and digest(short) == digest(part)
        models = [randomise(module_of(spelling, shape)[0].double(), 1).eval() for spelling in (part, short)]
        x = example_inputs(models[0], shape, 2, 1, torch.float64)
        assert torch.equal(models[0](x), models[1](x))

    def test_works_in_a_supernet(self, case: tuple[Part, Shape]) -> None:
        part, shape = case
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # No network may need weights that the supernet doesn't have.
            supernet, networks, inputs = _in_a_supernet(part, shape)
            for architecture in networks:
                assert part in _parts(architecture), f"{part.name} isn't in the networks that should have it"
                assert_extracted_equal(supernet, architecture)
                _assert_held_as_listed(supernet, part)
        if not any(view.alone for view in supernet.store.views.values()):
            largest = max(_parameters(build(architecture, inputs, OUTPUTS)) for architecture in networks)
            assert _parameters(supernet) == largest, "sliced parts have more weights than the largest network"

    def test_says_why_it_refuses_a_shape(self, refused_case: tuple[Part, Shape]) -> None:
        part, shape = refused_case
        with pytest.raises(SpaceError):
            check(part, FAMILIES[part.family].site(shape))

    def test_wrong_values_raise_with_their_path(self) -> None:
        for make, path in self.wrong:
            with pytest.raises(SpaceError) as caught:
                make()
            assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


class SpaceConformance:
    """What every search space owes. `inputs` is the shape that its networks are built for, if they are."""

    space: ClassVar[SearchSpace]
    samples: ClassVar[int] = 10_000
    inputs: ClassVar[Shape | None] = None
    builds: ClassVar[int] = 8
    enumerable: ClassVar[int] = 20_000
    """The size up to which the space is also counted by enumeration."""

    def test_samples_stay_inside_and_round_trip(self) -> None:
        space, rng = self.space, Random(0)
        for i in range(self.samples):
            architecture = space.sample(rng, "architectures" if i % 2 else "decisions")
            genes = space.genes(architecture)
            assert len(genes) == len(space.decisions)
            assert space.architecture(genes) == architecture
            again = space.from_json(json.loads(json.dumps(space.to_json(architecture))))
            assert again == architecture and space.genes(again) == genes
            assert space.digest(again) == space.digest(architecture)

    def test_equal_seeds_give_equal_samples(self) -> None:
        drawn = [[self.space.digest(self.space.sample(f"seed {i}")) for i in range(20)] for _ in range(2)]
        assert drawn[0] == drawn[1]

    def test_mutation_and_crossover_stay_inside(self) -> None:
        space, rng = self.space, Random(1)
        mother = space.sample(rng)
        for i in range(self.samples):
            child = space.mutate(mother, rng)
            genes, parent = space.genes(child), space.genes(mother)
            assert child != mother
            if isinstance(space, Space):
                assert _changes(parent, genes) == 1, "a mutation changes one decision, and what depends on it"
            both = space.crossover(mother, child, rng)
            for gene, *parents in zip(space.genes(both), parent, genes, strict=True):
                if isinstance(space, Space):
                    assert gene == INACTIVE or gene in parents or parents == [INACTIVE, INACTIVE]
            mother = space.sample(rng) if i % 10 == 9 else child

    def test_neighbours_differ_in_one_decision(self) -> None:
        space = self.space
        for seed in range(3):
            architecture = space.sample(seed)
            genes = space.genes(architecture)
            near = [space.genes(neighbour) for neighbour in space.neighbours(architecture)]
            assert len(set(near)) == len(near) and genes not in near
            ruled = isinstance(space, Space) and space.rules
            assert near or ruled, "only a rule leaves an architecture without neighbours"
            if isinstance(space, Space):
                assert all(_changes(genes, other) == 1 for other in near)

    def test_size_is_what_enumeration_counts(self) -> None:
        size = self.space.size()
        if size is None or size > self.enumerable:
            pytest.skip(f"more than {self.enumerable} architectures")
        found = {self.space.genes(architecture) for architecture in self.space.enumerate()}
        assert len(found) == size == sum(1 for _ in self.space.enumerate())

    def test_networks_build_train_and_deploy(self) -> None:
        if self.inputs is None:
            pytest.skip("no inputs given: the space's architectures are not built")
        for seed in range(self.builds):
            network = build(self.space.sample(seed), self.inputs, OUTPUTS, seed=seed)
            y = network(example_inputs(network, self.inputs, 2, seed))
            site = Site(self.inputs, OUTPUTS, inputs=self.inputs)
            assert tuple(y.shape) == (2, *self.space.sample(seed).shape_after(site))
            with_auxiliary_losses(_loss(y), network, _loss).backward()
            assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
            assert_deployed_equal(network, self.inputs, seed)


class SupernetConformance:
    """What the supernet of every space of networks owes, checked on `samples` networks for images of `inputs`."""

    space: ClassVar[Space]
    inputs: ClassVar[Shape]
    samples: ClassVar[int] = 10
    supernet: ClassVar[Supernet]

    @classmethod
    def setup_class(cls) -> None:
        """The supernet, made once for all tests of the class."""
        cls.supernet = Supernet(cls.space, cls.inputs, OUTPUTS, seed=0)

    def test_extracts_what_it_ran(self) -> None:
        supernet = randomise_supernet(self.supernet, 0)
        networks = [supernet.smallest(0), supernet.largest(0), *(self.space.sample(i) for i in range(self.samples))]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # No network may need weights that the supernet doesn't have.
            for architecture in networks:
                assert_extracted_equal(supernet, architecture)

    def test_weights_are_slices_of_one_store(self) -> None:
        supernet = self.supernet
        memory = {key: p.untyped_storage().data_ptr() for key, p in supernet.store.named_parameters()}
        for seed in range(self.samples):
            supernet.activate(self.space.sample(seed))
            bound = dict(supernet.network.named_parameters())
            slices = supernet.slices(dict(supernet.store.named_parameters()))
            assert slices.keys() == bound.keys()
            assert all(torch.equal(bound[name], slices[name]) for name in bound)
            for view in supernet.views:
                # Slices of several chunks, as queries, keys and values, are gathered into tensors of their own.
                if view.parameter and view.chunks == 1:
                    assert bound[view.name].untyped_storage().data_ptr() == memory[view.key]

    def test_refuses_other_architectures(self) -> None:
        with pytest.raises(SpaceError):
            self.supernet.activate("not an architecture")


def _in_a_supernet(part: Any, shape: Shape) -> tuple[Supernet, list[Any], Shape]:
    """A supernet of networks that hold the part, weights at random; these networks; the shape of their inputs."""
    tree = network_with(part, shape)
    inputs = shape if FAMILIES[part.family].takes_inputs else (3, *shape[1:])
    supernet = randomise_supernet(Supernet(tree, inputs, OUTPUTS, seed=0), 0)
    networks = [architecture for architecture in supernet.space.enumerate() if _fits(architecture, inputs)]
    assert networks, f"no network that holds {part.name} can be built for inputs of {inputs}"
    return supernet, networks, inputs


def _influence(supernet: Supernet, architecture: Any, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """By the store's keys, how a random combination of an architecture's outputs changes with each of its weights."""
    supernet.activate(architecture)
    supernet.zero_grad(set_to_none=True)
    outputs = supernet.eval()(images)
    (
        outputs * torch.randn(outputs.shape, dtype=outputs.dtype, generator=torch.Generator().manual_seed(6))
    ).sum().backward()
    found = {}
    for view in supernet.views:
        whole = supernet.store.tensor(view.key)
        if whole is not None and whole.grad is not None:
            found[view.key] = whole.grad.detach().clone()
    return found


def _by_row(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.abs().flatten(1).amax(1) if tensor.dim() > 1 else tensor.abs().reshape(-1)


def _parts(tree: Any) -> Iterator[Part]:
    """All parts of an architecture, itself included."""
    if isinstance(tree, Part):
        yield tree
        for name in fields_of(tree):
            yield from _parts(getattr(tree, name))
    elif isinstance(tree, tuple):
        for item in tree:
            yield from _parts(item)


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _assert_held_as_listed(supernet: Supernet, part: Any) -> None:
    """The active network's tensors belong to a branch exactly when the part, or one within it, is branched."""
    held = "branched" if any(view.alone for view in supernet.views) else "sliced"
    listed = {weights_of(type(found)) for found in _parts(part)}
    if "branched" not in listed:
        assert held == "sliced", f"{part.name} is listed as sliced, and has weights of its own per configuration"
    elif weights_of(type(part)) == "branched" and _parameters(supernet) > 0:
        own = [view for view in supernet.views if f"[{part.name}" in view.key]
        assert all(view.alone for view in own), f"{part.name} is listed as branched, and shares weights"


def _fits(architecture: Any, inputs: Shape) -> bool:
    """Whether every part accepts its shape; not all work at both widths."""
    try:
        check(architecture, Site(inputs, OUTPUTS, inputs=inputs))
    except SpaceError:
        return False
    return True


def _changes(before: Genes, after: Genes) -> int:
    """How many decisions are in force in both and differ."""
    return sum(a != b for a, b in zip(before, after, strict=True) if INACTIVE not in (a, b))


__all__ = [
    "PartConformance",
    "SpaceConformance",
    "SupernetConformance",
    "assert_deployed_equal",
    "assert_extracted_equal",
    "module_of",
    "network_with",
    "randomise",
    "randomise_supernet",
]
