"""Training methods: every network learns, the right ones are trained, and what isn't trained is left alone."""

from collections import Counter
from random import Random

import pytest
import torch
from torch.nn import functional

from search_spaces import one_of
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.errors import SpaceError
from search_spaces.holes import integers, repeat
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import METHODS, Supernet
from search_spaces.weight_sharing.distillation import adaptive_alpha, alpha_divergence
from search_spaces.weight_sharing.methods import Batch, Lesson, teach
from search_spaces.weight_sharing.methods.base import regularisation
from search_spaces.weight_sharing.sampling import enlarged

INPUTS = (1, 6, 6)
PLAIN = {"single-path": 1, "fair": 2, "sandwich": 4, "multi-architecture": 4, "layerdrop": 1, "matryoshka": 3}
"""The methods that do the same all the time, and the networks of each step."""


def toy():
    """A space of 144 networks, and images whose class is where they are bright."""
    mixer = one_of(DepthwiseConv(one_of(3, 5)), "pool")
    block = Block(mixer, MLP(one_of(1, 2)), norm=one_of("batch", "layer"))
    stage = Stage(one_of(8, 16), repeat(integers(1, 2), block), None)
    supernet = Supernet(Network(Conv3x3Stem(stride=1), (stage,)), INPUTS, 4, seed=0)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (64,), generator=generator)
    images = torch.randn(64, *INPUTS, generator=generator)
    images += labels.view(-1, 1, 1, 1) * 0.7
    return supernet, Batch(images, labels)


@pytest.mark.parametrize("name", PLAIN)
def test_every_network_learns(name):
    supernet, batch = toy()
    optimizer = torch.optim.AdamW(supernet.parameters(), lr=0.01)
    networks = [supernet.smallest(), supernet.largest(), *(supernet.space.sample(i) for i in range(4))]

    def losses():
        found = []
        with torch.no_grad():
            for architecture in networks:
                supernet.activate(architecture)
                found.append(float(functional.cross_entropy(supernet(batch.inputs), batch.targets)))
        return torch.tensor(found)

    before, rng, method = losses(), Random(0), METHODS.get(name)()
    method.prepare(supernet)
    for step in range(40):
        trained = method.step(supernet, batch, optimizer, rng, step / 40, clip=1.0)
    assert len(trained) == PLAIN[name]
    assert (losses() < 0.7 * before).all()


def test_equal_seeds_train_alike():
    found = []
    for _ in range(2):
        supernet, batch = toy()
        optimizer, rng = torch.optim.SGD(supernet.parameters(), lr=0.1), Random(5)
        found.append([METHODS.get("sandwich")().step(supernet, batch, optimizer, rng, 0) for _ in range(3)])
    assert found[0] == found[1]


def test_weights_without_a_gradient_stay():
    """Momentum of paths that weren't drawn must not move them."""
    supernet, batch = toy()
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1, momentum=0.9)
    rng, method = Random(1), METHODS.get("single-path")()
    for _ in range(5):
        method.step(supernet, batch, optimizer, rng, 0)
    before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
    method.step(supernet, batch, optimizer, rng, 0)
    still = [name for name, p in supernet.named_parameters() if p.grad is None]
    assert still and all(torch.equal(before[name], supernet.get_parameter(name)) for name in still)


def test_every_method_names_its_source():
    assert {*PLAIN, "delayed-shrinking"} <= set(METHODS.names())
    assert all(entry.source and entry.about for entry in METHODS)


def test_fair_sampling_takes_every_option_once():
    supernet, _ = toy()
    space = supernet.space
    for seed in range(10):
        drawn = METHODS.get("fair")().lessons(supernet, Random(seed), 0)
        assert Counter(lesson.architecture.stages[0].width for lesson in drawn) == {8: 1, 16: 1}
        assert len({len(lesson.architecture.stages[0].blocks) for lesson in drawn}) == 2
        assert all(lesson.architecture in space for lesson in drawn)


def test_the_sandwich_has_the_extremes_and_regularises_the_largest_alone():
    supernet, _ = toy()
    largest, smallest, *others = METHODS.get("sandwich")(draws=3).lessons(supernet, Random(0), 0)
    assert largest.architecture.stages[0].width == 16 and len(largest.architecture.stages[0].blocks) == 2
    assert smallest.architecture.stages[0].width == 8 and len(smallest.architecture.stages[0].blocks) == 1
    assert [lesson.teacher for lesson in (largest, smallest, *others)] == ["labels", *["first"] * 4]
    assert [lesson.regularised for lesson in (largest, smallest, *others)] == [True, *[False] * 4]


def test_delayed_shrinking_trains_the_largest_first_and_the_others_step_by_step():
    supernet, _ = toy()
    method = METHODS.get("delayed-shrinking")(full=0.5, ramp=0.2)
    assert len(method.lessons(supernet, Random(0), 0.49)) == 1
    weights = [method.lessons(supernet, Random(0), progress)[1].weight for progress in (0.5, 0.6, 0.7, 1)]
    assert weights == pytest.approx([0.1, 0.55, 1, 1])
    assert all(method.lessons(supernet, Random(0), p)[0].weight == 1 for p in (0, 0.5, 1))


def test_multi_architecture_shares_the_batch_out():
    supernet, batch = toy()
    lessons = METHODS.get("multi-architecture")(networks=4).lessons(supernet, Random(0), 0)
    seen = [i for lesson in lessons for i in list(range(64))[lesson.first :: lesson.every]]
    assert sorted(seen) == list(range(64)) and sum(lesson.weight for lesson in lessons) == 1
    alike = [Lesson(lessons[0].architecture, weight=0.25, first=i, every=4) for i in range(4)]
    supernet.eval()  # Batch statistics of a share differ from those of all.
    teach(supernet, alike, batch)
    parts = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
    supernet.zero_grad(set_to_none=True)
    teach(supernet, [Lesson(lessons[0].architecture)], batch)
    assert parts and all(torch.allclose(parts[n], supernet.get_parameter(n).grad, atol=1e-6) for n in parts)


def test_layerdrop_leaves_layers_out_at_its_rate():
    supernet, _ = toy()
    method = METHODS.get("layerdrop")(rate=0.3)
    drawn = [method.lessons(supernet, Random(i), 0)[0].architecture for i in range(400)]
    deep = sum(len(architecture.stages[0].blocks) == 2 for architecture in drawn) / 400
    assert abs(deep - 0.7**2) < 0.07


def test_matryoshka_nests():
    supernet, _ = toy()
    small, middle, large = (x.architecture for x in METHODS.get("matryoshka")().lessons(supernet, Random(3), 0))
    assert (small.stages[0].width, large.stages[0].width) == (8, 16)
    assert len(small.stages[0].blocks) == 1 and len(large.stages[0].blocks) == 2
    assert middle in supernet.space
    kinds = {type(a.stages[0].blocks[0].token_mixer) for a in (small, middle, large)}
    assert len(kinds) == 1


def test_frozen_teachers_are_the_largest_of_the_same_kinds():
    supernet, batch = toy()
    teacher, _ = toy()
    student = supernet.smallest(Random(4))
    large = enlarged(supernet.space, student)
    assert large.stages[0].width == 16 and len(large.stages[0].blocks) == 2
    assert type(large.stages[0].blocks[0].token_mixer) is type(student.stages[0].blocks[0].token_mixer)
    before = {name: p.detach().clone() for name, p in teacher.named_parameters()}
    (loss,) = teach(supernet, [Lesson(student, "frozen")], batch, frozen=teacher)
    teacher.activate(large)
    with torch.no_grad():
        wanted = teacher(batch.inputs)
        supernet.activate(student)
        expected = functional.cross_entropy(supernet(batch.inputs), wanted.softmax(1))
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert all(p.grad is None and torch.equal(p, before[name]) for name, p in teacher.named_parameters())


def test_labels_keep_their_share_beside_a_teacher():
    supernet, batch = toy()
    supernet.eval()  # So that a network's outputs don't depend on those trained before.
    large, small = supernet.largest(Random(0)), supernet.smallest(Random(0))

    def loss(share):
        return teach(supernet, [Lesson(large), Lesson(small, "first", labels=share)], batch)[1]

    assert loss(0.3) == pytest.approx(0.7 * loss(0) + 0.3 * loss(1), rel=1e-5)
    assert loss(1) == pytest.approx(teach(supernet, [Lesson(small)], batch)[0], rel=1e-5) != loss(0)
    assert all(
        lesson.labels == 0.3 for lesson in METHODS.get("sandwich")(labels=0.3).lessons(supernet, Random(0), 0)[1:]
    )


def test_only_the_regularised_drop_out():
    supernet, _ = toy()
    supernet.network.stages.append(dropout := torch.nn.Dropout(0.5))
    with regularisation(supernet, False):
        assert not dropout.training
    with regularisation(supernet, True):
        assert dropout.training
    assert dropout.training


@pytest.mark.parametrize("alpha", [-1.0, 1.0])
def test_alpha_divergence_is_the_formula_and_its_gradient(alpha):
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(16, 5, dtype=torch.float64, generator=generator).requires_grad_()
    teacher = torch.randn(16, 5, dtype=torch.float64, generator=generator)
    q, p = student.softmax(1), teacher.softmax(1)
    plain = (p * (p / q).log()).sum(1) if alpha == 1 else ((q**2 / p).sum(1) - 1) / 2
    found = alpha_divergence(student, teacher, alpha, clip=1e9)
    assert torch.allclose(found, plain)
    (expected,) = torch.autograd.grad(plain.sum(), student, retain_graph=True)
    (gradient,) = torch.autograd.grad(found.sum(), student)
    assert torch.allclose(gradient, expected)


def test_adaptive_alpha_vanishes_where_student_and_teacher_agree():
    logits = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = adaptive_alpha(logits, logits.detach().clone())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12) and float(logits.grad.abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sandwich", {"draws": -1}),
        ("sandwich", {"divergence": "apha"}),
        ("delayed-shrinking", {"full": 1}),
        ("layerdrop", {"rate": 2}),
        ("matryoshka", {"levels": 1}),
        ("multi-architecture", {"networks": 1.5}),
    ],
)
def test_wrong_settings_are_refused(name, settings):
    with pytest.raises(SpaceError, match=str(next(iter(settings.values())))):
        METHODS.get(name)(**settings)
