"""Differentiable methods: their gradients, what they learn on planted problems, and what becomes of it in a study."""

import copy
import dataclasses
import functools
import json
import warnings
from random import Random

import pytest
import torch
from torch import nn
from torch.nn import functional

from evaluators.datasets import load
from evaluators.recipes.training import Recipe
from evaluators.supernet_training import SupernetTraining
from search_spaces import SpaceError, one_of, part, repeat
from search_spaces.blocks import MLP, Block, Conv3x3Stem, DepthwiseConv
from search_spaces.decisions import INACTIVE
from search_spaces.families import FAMILIES
from search_spaces.parts import Part, size, slot
from search_spaces.policy import Policy
from search_spaces.space import Space
from search_spaces.spaces import get_space
from search_spaces.topologies import Network, Stage
from search_spaces.weight_sharing import Supernet
from search_spaces.weight_sharing.latency_table import LatencyTable
from search_spaces.weight_sharing.methods import METHODS, Batch
from search_spaces.weight_sharing.methods.differentiable import count_skips, parameter_free
from search_spaces.weight_sharing.relaxation import Places, apart, categorical

INPUTS = (1, 8, 8)
ALONE = ["darts", "gdas", "proxyless", "fbnet"]


@pytest.fixture(scope="module", autouse=True)
def toy_parts():
    """A network of one operation, and operations of no parameters; gone after these tests."""

    @part("network", "test_line", source="test", sliced=True)
    class Line(Part):
        operation: object = slot("cell_operation")
        second: object = slot("cell_operation", default="skip_connect")

        def build(self, site):
            operations = [self.operation.build(site), self.second.build(site)]
            return nn.Sequential(*operations, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, site.leads_to))

    @part("cell_operation", "test_mirror", source="test")
    class Mirror(Part):
        """The image upside down: as good as the identity for these problems."""

        def build(self, site):
            return Flip()

    @part("network", "test_two", source="test", sliced=True)
    class Two(Part):
        useful: int = size("width")
        useless: int = size("width")

        def build(self, site):
            return Branches(self.useful, self.useless, site.leads_to)

    yield {"line": Line, "two": Two}
    for family, name in (("network", "test_line"), ("network", "test_two"), ("cell_operation", "test_mirror")):
        del FAMILIES[family]._entries[name]


class Branches(nn.Module):
    """Two branches of equal cost, one of which sees nothing of the image."""

    def __init__(self, useful, useless, outputs):
        super().__init__()
        self.useful, self.useless = nn.Conv2d(1, useful, 4, 4), nn.Conv2d(1, useless, 4, 4)
        self.seen, self.unseen = nn.Linear(4 * useful, outputs), nn.Linear(4 * useless, outputs)

    def forward(self, x):
        return self.seen(self.useful(x).relu().flatten(1)) + self.unseen(self.useless(0 * x).relu().flatten(1))


class Flip(nn.Module):
    def forward(self, x):
        return x.flip(2)


def problem(n: int = 48, seed: int = 0) -> Batch:
    """Images whose class is the quarter that is bright."""
    generator = torch.Generator().manual_seed(seed)

    def drawn():
        labels = torch.randint(4, (n,), generator=generator)
        images = 0.3 * torch.randn(n, *INPUTS, generator=generator)
        for image, label in zip(images, labels, strict=True):
            top, left = 4 * (label // 2), 4 * (label % 2)
            image[0, top : top + 4, left : left + 4] += 1
        return images, labels

    images, labels = drawn()
    return Batch(images, labels, Batch(*drawn()))


def made(name: str, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return METHODS.get(name)(**settings)


@functools.cache
def first(space) -> Supernet:
    return Supernet(space(), INPUTS, 10, seed=0)


def fresh(space) -> Supernet:
    """A supernet of the space that a function gives; what a test does to it stays in the test."""
    return copy.deepcopy(first(space))


def cells() -> Space:
    return Space(dataclasses.replace(get_space("cell201").tree, cells=1, width=4), "cell201")


def ruled() -> Space:
    def holds(network) -> bool:
        blocks = network.stages[0].blocks
        return len(blocks) == 1 or blocks[0].norm.name == "batch"

    return staged().where(holds, "layer only alone")


def line(toy, *operations: str, seed: int = 0) -> Supernet:
    return Supernet(Space(toy["line"](one_of(*operations))), INPUTS, 4, seed=seed)


def trained(method, supernet: Supernet, steps: int, seed: int = 0, lr: float = 0.1, start: int = 0, total: int = 0):
    method_optimizer = torch.optim.SGD(supernet.parameters(), lr=lr)
    for step in range(start, start + steps):
        batch = problem(seed=seed * 1000 + step)
        method.step(supernet, batch, method_optimizer, Random(f"{seed}/{step}"), step / (total or steps), clip=5.0)
    return method


EAGER = {
    "darts": {"lr": 0.1},
    "gdas": {"lr": 0.1, "temperature": 5.0},
    "proxyless": {"lr": 0.1},
    "fbnet": {"lr": 0.1, "warm_up": 0.0},
}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("order", [("none", "skip_connect"), ("skip_connect", "none")])
def test_the_option_that_keeps_the_information_wins(toy_parts, name, order):
    supernet = line(toy_parts, *order)
    method = made(name, **EAGER[name])
    method.prepare(supernet)
    trained(method, supernet, 40)
    good = order.index("skip_connect")
    assert method.probabilities()[0][good] > 0.8
    best = method.policy(supernet.space).most_probable(supernet.space)
    assert best.operation.name == "skip_connect"


def test_the_gradient_of_a_mixture_is_that_of_finite_differences(toy_parts):
    supernet = line(toy_parts, "skip_connect", "avg_pool_3x3", "test_mirror").double()
    method = made("darts")
    method.prepare(supernet)
    [logits] = method.logits = [nn.Parameter(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))]
    images, labels = problem()[:2]

    def loss():
        draw = method.draw(supernet, Random(0), 0.0)
        return functional.cross_entropy(method.outputs(supernet, draw, images.double(), Random(0)), labels)

    [found] = torch.autograd.grad(loss(), [logits])
    for index in range(3):
        values = []
        for change in (1e-5, -1e-5):
            with torch.no_grad():
                logits[index] += change
                values.append(float(loss()))
                logits[index] -= change
        assert float(found[index]) == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-9)


def outputs_and_gradient(supernet, operation, images, labels):
    """The output of the operation's module, and the loss's gradient in it, worked out without any hook."""
    x = {"skip_connect": images, "avg_pool_3x3": nn.AvgPool2d(3, 1, 1, count_include_pad=False)(images)}[operation]
    x = x.detach().requires_grad_()
    linear = supernet.network[-1]
    loss = functional.cross_entropy(linear(nn.AvgPool2d(4)(x).flatten(1)), labels)
    return x.detach(), torch.autograd.grad(loss, x)[0]


def test_gdas_has_the_gradient_of_its_formula(toy_parts):
    supernet = line(toy_parts, "skip_connect", "avg_pool_3x3").double()
    method = made("gdas", temperature=2.0)
    method.prepare(supernet)
    [logits] = method.logits = [nn.Parameter(torch.tensor([0.4, -0.1], dtype=torch.float64))]
    images, labels = problem()[:2]
    images = images.double()
    for seed in range(4):
        draw = method.draw(supernet, Random(seed), 0.0)
        chosen = draw.genes[0]
        outputs = method.outputs(supernet, draw, images, Random(0))
        [found] = torch.autograd.grad(functional.cross_entropy(outputs, labels), [logits])
        output, gradient = outputs_and_gradient(supernet, ("skip_connect", "avg_pool_3x3")[chosen], images, labels)
        soft = draw.weights[0].detach()
        assert int(soft.argmax()) == chosen
        # Through the tempered softmax of log-softmax, whose shift cancels out.
        jacobian = soft[chosen] * (torch.eye(2, dtype=torch.float64)[chosen] - soft) / 2.0
        torch.testing.assert_close(found, (output * gradient).sum() * jacobian)


def test_binary_gates_have_the_gradient_of_the_paper(toy_parts):
    """d loss / d alpha_i = sum over the two of d loss / d g_j p_j (delta_ij - p_i), others none."""
    supernet = line(toy_parts, "none", "skip_connect", "avg_pool_3x3").double()
    method = made("proxyless")
    method.prepare(supernet)
    [logits] = method.logits = [nn.Parameter(torch.tensor([0.1, 0.4, -0.1], dtype=torch.float64))]
    images, labels = problem()[:2]
    images = images.double()
    genes, seen = (1,), set()
    for seed in range(6):
        gates = method.binary_gates(0, (1, 2), Random(seed))
        passed = next(option for option, gate in gates.items() if float(gate.detach()) == 1)
        assert sorted(float(gate.detach()) for gate in gates.values()) == [0, 1]
        outputs = method.relaxed.outputs(supernet, genes, images, categorical([[1, 1, 1]], Random(0)), {}, {0: gates})
        [found] = torch.autograd.grad(functional.cross_entropy(outputs, labels), [logits])
        names = {1: "skip_connect", 2: "avg_pool_3x3"}
        _, gradient = outputs_and_gradient(supernet, names[passed], images, labels)
        in_gates = [(gradient * outputs_and_gradient(supernet, names[o], images, labels)[0]).sum() for o in (1, 2)]
        p = logits.detach()[1:].softmax(0)
        wanted = [sum(in_gates[j] * p[j] * (float(i == j) - p[i]) for j in (0, 1)) for i in (0, 1)]
        torch.testing.assert_close(found, torch.stack([torch.zeros(()).double(), *wanted]))
        seen.add(passed)
    assert seen == {1, 2}


def test_two_paths_leave_the_other_options_probabilities(toy_parts):
    supernet = line(toy_parts, "none", "skip_connect", "avg_pool_3x3", "test_mirror")
    method = made("proxyless", lr=0.1)
    method.prepare(supernet)
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.1)
    for step in range(5):
        before = torch.tensor(method.probabilities()[0])
        method.step(supernet, problem(seed=step), optimizer, Random(step), 0.0)
        moved = (torch.tensor(method.probabilities()[0]) - before).abs() > 1e-6
        assert int(moved.sum()) == 2


def staged() -> Space:
    """Kinds with sizes of their own, a width, a depth, a choice that may be none, and a rule."""
    mixer = one_of(DepthwiseConv(one_of(3, 5)), "pool")
    block = Block(
        mixer, MLP(one_of(1, 2)), norm=one_of("batch", "layer"), channel_attention=one_of(None, "squeeze_excitation")
    )
    tree = Network(Conv3x3Stem(stride=2), (Stage(one_of(8, 16), repeat(one_of(1, 2), block), None),))
    return Space(tree)


def test_decisions_are_found_in_the_modules_that_they_make():
    supernet = fresh(staged)
    places = Places()
    for seed in range(6):
        architecture = supernet.space.sample(seed)
        found = places.of(supernet, architecture)
        supernet.activate(architecture)
        genes = supernet.space.genes(architecture)
        assert set(found) == {index for index, gene in enumerate(genes) if gene != INACTIVE}
        for index, place in found.items():
            path = supernet.space.decisions[index].path
            modules = [supernet.network.get_submodule(name) for name in place.names]
            assert modules
            if path.endswith("token_mixer.kernel"):
                assert [type(m) for m in modules] == [nn.Conv2d] and place.mixable
            if path.endswith("norm"):
                assert len(modules) == 2 and place.mixable
            if path.endswith("channel_attention"):
                assert place.names == (f"stages.0.blocks.{path.split('.')[3]}",)
            if path.endswith(("width", "count")):
                blocks = range(len(architecture.stages[0].blocks))
                assert place.names == tuple(f"stages.0.blocks.{i}" for i in blocks) and not place.mixable
        chosen = apart(found, Random(seed))
        assert chosen and not any(found[a].overlaps(found[b]) for a in chosen for b in chosen if a != b)


@pytest.mark.parametrize("name", ALONE)
def test_every_decision_of_a_staged_space_learns(name):
    """Also under a rule, which bans what a mixture would need."""
    supernet = fresh(ruled)
    method = made(name, **{**EAGER[name], "lr": 0.01})
    method.prepare(supernet)
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    trained(method, supernet, 8)
    moved = [max(row) - min(row) > 1e-5 for row in method.probabilities()]
    assert sum(moved) >= 0.9 * len(moved)
    assert any(not torch.equal(value, before[key]) for key, value in supernet.state_dict().items())
    assert all(len(module._forward_hooks) == 0 for module in supernet.network.modules())


def test_cells_mix_all_edges_at_once():
    supernet = fresh(cells)
    space = supernet.space
    architecture = space.sample(0)
    places = Places().of(supernet, architecture)
    assert apart(places, Random(0)) == [0, 1, 2, 3, 4, 5]
    assert all(len(place.names) == 3 for place in places.values())
    method = made("darts")
    method.prepare(supernet)
    draw = method.draw(supernet, Random(0), 0.0)
    images = problem(8).inputs
    outputs = method.outputs(supernet, draw, images, Random(0))
    others = method.draw(supernet, Random(5), 0.0)
    assert draw.genes != others.genes
    # Whichever network carries the hooks, the mixture is the same.
    torch.testing.assert_close(outputs, method.outputs(supernet, others, images, Random(1)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [*ALONE, "once-for-both"])
def test_a_restored_method_goes_on_exactly(name):
    settings = EAGER.get(name, {"lr": 0.1})

    def start():
        supernet = fresh(staged)
        method = made(name, **settings)
        method.prepare(supernet)
        return supernet, method

    supernet, method = start()
    trained(method, supernet, 4)
    half, first = start()
    trained(first, half, 2, total=4)
    other, second = start()
    other.load_state_dict(half.state_dict())
    state = {key: value.clone() for key, value in first.state().items()}
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    second.restore(state)
    trained(second, other, 2, start=2, total=4)
    wanted, found = method.state(), second.state()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    weights = other.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in supernet.state_dict().items())


@pytest.mark.parametrize("name", ["proxyless", "once-for-both"])
def test_a_training_goes_on_from_its_checkpoint(tmp_path, name):
    found = []
    for stops in ((4,), (2, 4)):
        for until in stops:
            training = SupernetTraining(fresh(staged), load("digits"), Recipe(epochs=1), made(name, lr=0.1), 3, steps=4)
            training.run(tmp_path / str(len(stops)), until=until)
        found.append((training.history, training.method.policy(training.supernet.space)))
    assert found[0] == found[1]


def table_for(space: Space, added) -> dict:
    return LatencyTable(space.fingerprint(), 1.0, tuple(map(tuple, added)), {}).to_json(space)


@pytest.mark.parametrize("name", ["fbnet", "proxyless"])
def test_the_faster_of_two_equally_good_options_wins(toy_parts, name):
    supernet = line(toy_parts, "skip_connect", "test_mirror")
    found = []
    for added in ([[5.0, 0.0]], [[0.0, 5.0]]):
        settings = EAGER[name] | {"latency_table": table_for(supernet.space, added)}
        method = made(name, **settings)
        method.prepare(supernet)
        trained(method, supernet, 40, lr=0.0)
        found.append(method.probabilities()[0])
    assert found[0][1] > 0.8
    assert found[1][0] > 0.8


def test_the_expected_latency_is_the_mean_over_the_policy():
    space = Space(
        Network(
            Conv3x3Stem(stride=2),
            (Stage(8, repeat(one_of(1, 2), Block(one_of(DepthwiseConv(one_of(3, 5)), "pool"))), None),),
        )
    )
    rng = Random(0)
    added = tuple(tuple(rng.random() for _ in d.options) for d in space.decisions)
    table = LatencyTable(space.fingerprint(), 2.0, added, {})
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(len(d.options), generator=generator, dtype=torch.float64).softmax(0) for d in space.decisions]
    policy = Policy.of(space, "test", [row.tolist() for row in weights])
    mean = sum(policy.probability(a, space) * table.predicted(space.genes(a)) for a in space.enumerate())
    assert float(table.expected(weights, space)) == pytest.approx(mean, rel=1e-9)
    assert LatencyTable.of(json.loads(json.dumps(table.to_json(space))), space) == table


def test_wrong_tables_are_one_line(tmp_path):
    space, other = staged(), get_space("cell201")
    good = table_for(space, [[0.0] * len(d.options) for d in space.decisions])
    with pytest.raises(SpaceError, match="measure it anew"):
        LatencyTable.of(good, other)
    with pytest.raises(SpaceError, match="is no latency table"):
        LatencyTable.of({"a": 1}, space)
    with pytest.raises(SpaceError, match="can't be read"):
        LatencyTable.of(str(tmp_path / "none.json"), space)
    with pytest.raises(SpaceError, match="lacks an option"):
        LatencyTable.of({**good, "decisions": good["decisions"][1:]}, space)


def test_darts_warns_and_counts_skips():
    with pytest.warns(UserWarning, match="collapse to skips"):
        method = METHODS.get("darts")()
    supernet = fresh(cells)
    space = supernet.space
    method.prepare(supernet)
    with torch.no_grad():
        for logits, option in zip(method.logits, (0, 1, 2, 3, 4, 1), strict=True):
            logits[option] = 3.0
    with pytest.warns(UserWarning, match="collapsed: 4 of 6 choices"):
        report = method.policy(space).report
    assert (report["skips"], report["choices"]) == (4, 6)
    assert report["where"][1] == "op_0_2: skip_connect"


def test_options_without_parameters():
    space = staged()
    free = {d.path: [parameter_free(o) for o in d.options] for d in space.decisions}
    assert free["stages.0.blocks.0.token_mixer"] == [False, True]
    assert free["stages.0.blocks.0.channel_attention"] == [True, False]
    assert not any(free["stages.0.blocks.0.norm"])
    rows = [[1.0] + [0.0] * (len(d.options) - 1) for d in space.decisions]
    # One block: its mixer convolves, its channel attention is none.
    assert count_skips(space, Policy.of(space, "test", rows))["skips"] == 1


def test_wrong_settings_and_batches_are_one_line(toy_parts):
    with pytest.raises(SpaceError, match="lr is a number above 0"):
        made("gdas", lr=0)
    with pytest.raises(SpaceError, match="warm_up is a share"):
        made("fbnet", warm_up=2)
    with pytest.raises(SpaceError, match="budget is a share"):
        made("once-for-both", budget=0)
    supernet = line(toy_parts, "none", "skip_connect")
    method = made("gdas")
    method.prepare(supernet)
    images, labels = problem(8)[:2]
    with pytest.raises(SpaceError, match="needs held-out pictures"):
        method.step(supernet, Batch(images, labels), torch.optim.SGD(supernet.parameters(), lr=0.1), Random(0), 0.0)


def test_every_method_names_its_source():
    sources = {entry.name: entry.source for entry in METHODS}
    assert all(sources[name] for name in [*ALONE, "once-for-both"])


def sizes() -> Space:
    """Widths, expansions and a kernel, and a norm that makes no difference to masked channels."""
    block = Block(DepthwiseConv(one_of(3, 5)), MLP(one_of(1, 2, 4)), norm="batch")
    return Space(Network(Conv3x3Stem(stride=2), (Stage(one_of(16, 8), (block,), None), Stage(one_of(8, 16), (block,)))))


@pytest.mark.parametrize("cost", ["macs", "params"])
def test_once_for_both_meets_its_budget(cost):
    supernet = fresh(sizes)
    method = made("once-for-both", budget=0.4, cost=cost, lr=0.3)
    method.prepare(supernet)
    paths = [supernet.space.decisions[index].path for index in method.prunable.sizes]
    assert [path.rpartition(".")[2] for path in paths] == ["width", "expansion"] * 2
    trained(method, supernet, 20)
    space, policy = supernet.space, method.policy(supernet.space)
    report, best = policy.report, policy.most_probable(space)
    assert best in space and space.genes(best) == method.outcome(space)
    assert report["cost"] <= 0.4
    counted = {}
    for which, architecture in (("largest", supernet.largest()), ("outcome", best)):
        network = supernet.extract(architecture).eval()
        if cost == "params":
            counted[which] = sum(parameter.numel() for parameter in network.parameters())
        else:
            counted[which] = sum(uses_of_layers(network))
    assert counted["outcome"] / counted["largest"] == pytest.approx(report["cost"], rel=1e-6)
    assert float(method.prunable.expected_cost(method.logits).detach()) == pytest.approx(0.4, abs=0.15)
    assert sum(max(row.softmax(0)) > 0.8 for row in method.logits) >= 3


def test_once_for_both_cuts_what_is_of_no_use(toy_parts):
    sizes = one_of(1, 4, 8)
    supernet = Supernet(Space(toy_parts["two"](sizes, sizes)), INPUTS, 4, seed=0)
    method = made("once-for-both", budget=0.65, cost="params", lr=0.1)
    method.prepare(supernet)
    trained(method, supernet, 60, lr=0.3)
    best = method.policy(supernet.space).most_probable(supernet.space)
    assert best.useful == 8 and best.useless < 8


def uses_of_layers(network: nn.Module):
    found = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda m, x, y: found.append(y.numel() // y.shape[1] * m.weight.numel()))
    network(torch.zeros(1, *INPUTS))
    return found


def test_masks_of_an_option_give_the_network_of_that_option():
    """At the end of the training, with all probability on some sizes, the masked network is the one that is cut."""
    supernet = fresh(sizes).double()
    method = made("once-for-both")
    method.prepare(supernet)
    images = problem(8).inputs.double()
    for seed in range(4):
        rng = Random(seed)
        ranks = {index: rng.randrange(len(size.options)) for index, size in method.prunable.sizes.items()}
        with torch.no_grad():
            for logits, rank in zip(method.logits, ranks.values(), strict=True):
                logits.fill_(-100.0)
                logits[rank] = 100.0
        supernet.activate(supernet.space.architecture(method.prunable.genes))
        with torch.no_grad(), method.masked(supernet.network, 1.0):
            masked = supernet(images)
        chosen = method.prunable.options(ranks)
        genes = tuple(chosen.get(index, gene) for index, gene in enumerate(method.prunable.genes))
        supernet.activate(supernet.space.architecture(genes))
        with torch.no_grad():
            torch.testing.assert_close(masked, supernet(images))


def test_importance_leads_first_and_sparsity_ends():
    supernet = fresh(sizes)
    method = made("once-for-both")
    method.prepare(supernet)
    with torch.no_grad():
        method.logits[1].copy_(torch.tensor([0.0, 1.0, 2.0]))
        method.importance[1].copy_(torch.tensor([0.0, -1.0, 1.0]))
    p = method.logits[1].softmax(0)
    importance, sparsity = method.importance[1].sigmoid(), torch.stack([p.sum(), p[1] + p[2], p[2]])
    for progress in (0.0, 0.25, 1.0):
        mask = method.bi_masks(progress)[1]
        assert float(mask[0].detach()) == 1
        torch.testing.assert_close(mask[1:], ((1 - progress) * importance + progress * sparsity)[1:])


def test_budgets_that_can_not_be_met_are_one_line():
    supernet = fresh(sizes)
    method = made("once-for-both", budget=0.01)
    with pytest.raises(SpaceError, match="can't be met: the smallest sizes cost"):
        method.prepare(supernet)
    with pytest.raises(SpaceError, match="nothing to prune"):
        made("once-for-both").prepare(fresh(cells))


@pytest.mark.parametrize("name", [*ALONE, "once-for-both"])
def test_a_copy_learns_alone(name):
    supernet = fresh(sizes)
    method = made(name, **EAGER.get(name, {}))
    method.prepare(supernet)
    trained(method, supernet, 1)
    before = method.state()
    trained(copy.deepcopy(method), copy.deepcopy(supernet), 2)
    after = method.state()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
