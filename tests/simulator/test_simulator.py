"""Searches in virtual time: who comes back when, how far a search has come, and how several are compared."""

import math
import time
from random import Random

import numpy as np
import pytest

from archfront.contracts import Constraint, Context, Evaluation, Metric, Objective, Proposal, WrongUse
from archfront.simulator import Benchmark, Contender, Workers, run_contest, simulate
from archfront.simulator.contest import grid, milestones
from archfront.simulator.figure import contest_figure, write_figure
from archfront.study.front import hypervolume
from controllers import Controller
from evaluators.base import Evaluator
from search_spaces.table import TableSpace

SPACE = TableSpace("grid", ["a", "b"], [(a, b) for a in range(12) for b in range(12)])
SCORE, COST = Objective("score", "max"), Objective("cost", "min")


class Figures(Evaluator):
    """Two figures that oppose each other, a limit, and seconds that differ from row to row."""

    name = "figures"
    cheap = True

    def metrics(self) -> tuple[str, ...]:
        return ("score", "cost", "heat", "seconds")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        a, b = proposal.architecture.values
        values = {"score": a + 0.1 * b, "cost": a * a + abs(b - 5), "heat": b, "seconds": 1 + (7 * a + 3 * b) % 11}
        return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


class InOrder(Controller):
    """Proposes the space in its order, and notes what is asked and told."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self.log: list[tuple[str, int]] = []

    def propose(self, rng: Random) -> Proposal:
        self.log.append(("ask", self._asked))
        return self.proposal(list(self.space.enumerate())[self._asked % self.space.size()], "order")

    def observe(self, evaluation: Evaluation) -> None:
        self.log.append(("tell", evaluation.proposal.number))


def benchmark(objectives=(SCORE, COST), **named) -> Benchmark:
    return Benchmark(SPACE, Figures(), objectives, **named)


def test_workers_come_back_in_the_order_of_their_ends():
    pool: Workers[str] = Workers(3)
    for job, seconds in (("slow", 5.0), ("quick", 2.0), ("as quick", 2.0)):
        pool.begin(job, seconds)
    assert pool.free == 0 and pool.busy == 3
    assert [pool.end(), pool.now, pool.end(), pool.now] == ["quick", 2.0, "as quick", 2.0]
    pool.begin("late", 1.0)
    assert [pool.end(), pool.now, pool.end(), pool.now] == ["late", 3.0, "slow", 5.0]


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_results_come_when_they_end(workers):
    controller = InOrder(SPACE, [SCORE, COST])
    run = simulate(controller, benchmark(seconds="seconds"), 40, workers)
    # An independent account: each job goes to the worker that is free first.
    free, ends = [0.0] * workers, []
    for number, row in enumerate(list(SPACE.enumerate())[:40]):
        worker = free.index(min(free))
        free[worker] += Figures().evaluate(Proposal(row, ""), None).values["seconds"]
        ends.append((free[worker], number))
    assert run.ended.tolist() == [end for end, _ in sorted(ends)]
    assert [number for kind, number in controller.log if kind == "tell"] == [number for _, number in sorted(ends)]


def test_a_free_worker_is_busy_at_once_while_others_go_on():
    controller = InOrder(SPACE, [SCORE])
    simulate(controller, benchmark([SCORE], seconds=2.5), 4, workers=2)
    assert controller.log == [
        ("ask", 0),
        ("ask", 1),
        ("tell", 0),
        ("ask", 2),
        ("tell", 1),
        ("ask", 3),
        ("tell", 2),
        ("tell", 3),
    ]


def test_an_exhausted_space_ends_a_run():
    run = simulate(Contender.parse("random").controller(benchmark(), 0), benchmark(), 1000, workers=7)
    assert len(run.losses) == SPACE.size()
    assert benchmark().progress(run.losses, [SPACE.size(), 1000]) == pytest.approx([1.0, 1.0])
    assert benchmark([SCORE]).progress(run.losses[:, :1], [1000]) == [0.0]


def test_progress_is_the_share_of_the_hypervolume():
    known = benchmark()
    every = known.every.tolist()
    reference = [max(loss[i] for loss in every) for i in range(2)]
    assert known.reference == {"score": -reference[0], "cost": reference[1]} == {"score": 0.0, "cost": 127.0}
    found = simulate(Contender.parse("random").controller(known, 3), known, 60).losses
    counts = [1, 2, 3, 10, 33, 60]
    expected = [hypervolume(found[:n].tolist(), reference) / hypervolume(every, reference) for n in counts]
    assert known.progress(found, counts) == pytest.approx(expected)
    assert 0 < expected[-1] < 1 and expected[0] < expected[-1]


def test_regret_is_the_distance_from_the_best():
    known = benchmark([COST])
    found = np.array([[math.inf], [30.0], [40.0], [7.0]])
    assert known.progress(found, [1, 2, 3, 4]) == [math.inf, 30.0, 30.0, 7.0]


def test_constraints_bound_the_truth_and_what_counts():
    known = benchmark(constraints=[Constraint("heat", 3.0)])
    assert len(known.every) == 12 * 4
    assert known.reference == {"score": 0.0, "cost": 11 * 11 + 5}
    late = known.evaluate(Proposal(SPACE.architecture((2, 9)), ""))
    assert late.status == "infeasible" and known.losses(late) == (math.inf, math.inf)
    with pytest.raises(WrongUse, match="no candidate keeps the constraints"):
        benchmark(constraints=[Constraint("heat", -1.0)]).every  # noqa: B018


def test_a_reference_may_be_given():
    known = benchmark(reference={"cost": 20.0})
    assert known.reference == {"score": 0.0, "cost": 20.0}
    assert known.whole < benchmark().whole
    with pytest.raises(WrongUse, match="no objective is named so"):
        benchmark(reference={"heat": 1.0})
    with pytest.raises(WrongUse, match="say another --reference"):
        benchmark(reference={"cost": -1.0}).whole  # noqa: B018


def test_only_small_spaces_with_cheap_evaluators_are_simulated():
    costly = Figures()
    costly.cheap = False
    with pytest.raises(WrongUse, match="looks every candidate up"):
        Benchmark(SPACE, costly, [SCORE])


def test_contenders_are_read_with_their_settings():
    assert Contender.parse("random") == Contender("random", "random", {})
    text = "optuna:nsga2+population_size=20+crossover_prob=0.5"
    assert Contender.parse(text) == Contender(text, "optuna:nsga2", {"population_size": 20, "crossover_prob": 0.5})
    assert Contender.parse("a+b.py:Mine+note=some text").settings == {"note": "some text"}
    with pytest.raises(WrongUse, match=r"no setting 'populatoin'; did you mean 'population'"):
        Contender.parse("nsga2+populatoin=4").controller(benchmark(), 0)


def test_a_contest_is_repeatable():
    contenders = [Contender.parse(name) for name in ("random", "pareto-evolution")]
    heard = []
    first, second = (run_contest(benchmark(), contenders, 60, 5, 2, 0, lambda c, n: heard.append(n)) for _ in range(2))
    assert heard == [1, 2, 3, 4, 5] * 4
    plain = [contest.to_json() for contest in (first, second)]
    for value in plain:
        for standing in value["controllers"]:
            assert standing.pop("thinking_ms") > 0
    assert plain[0] == plain[1]
    assert plain[0]["evaluations"] == list(range(1, 61)) and plain[0]["measure"] == "hypervolume ratio"
    random, evolved = plain[0]["controllers"]
    assert all(
        low <= middle <= high
        for low, middle, high in zip(*(evolved[k] for k in ("lower_quartile", "median", "upper_quartile")), strict=True)
    )
    assert random["virtual_seconds"][-1] == 30.0
    assert evolved["runs"][0] != evolved["runs"][1] and random["runs"][0][0] != evolved["runs"][0][0]
    ends = [next((n for n, share in enumerate(run, 1) if share >= 0.98), None) for run in evolved["runs"]]
    reached = sorted(end for end in ends if end)
    assert evolved["reached"]["0.98"] == (reached[2] if len(reached) > 2 else None)


def test_the_counts_of_tables_and_figures():
    assert milestones(200) == [10, 20, 50, 100, 200] and milestones(7) == [7]
    assert milestones(10_000) == [200, 500, 1000, 2000, 5000, 10_000]
    assert grid(30, 2) == tuple(range(1, 31))
    assert len(grid(1000, 4)) < 70 and grid(1000, 4)[-1] == 1000


def test_the_figure_has_a_line_and_a_band_for_each(tmp_path):
    constraints = [Constraint("heat", 1.0)]  # at first nothing feasible is found, and regret is unknown
    contest = run_contest(benchmark([COST], constraints=constraints), [Contender.parse("random")], 30, 4)
    assert contest.to_json()["controllers"][0]["upper_quartile"][0] is None
    figure = contest_figure(contest)
    assert [trace.name for trace in figure.data if trace.name] == ["random"] and len(figure.data) == 3
    assert all(np.isfinite(trace.y).all() for trace in figure.data[:2])
    write_figure(contest, tmp_path / "contest.html")
    assert "plotly.js" in (tmp_path / "contest.html").read_text()[:200_000]


def test_a_simulation_takes_as_long_as_it_has_evaluations():
    space = TableSpace("large", ["a", "b"], [(a, b) for a in range(100) for b in range(50)])
    known = Benchmark(space, Figures(), [SCORE, COST])

    def seconds(evaluations: int) -> float:
        controller = Contender.parse("random").controller(known, 0)
        start = time.process_time()
        assert len(simulate(controller, known, evaluations, workers=8).losses) == evaluations
        return time.process_time() - start

    short, long = (min(seconds(count) for _ in range(3)) for count in (250, 2000))
    print(f"{2000 / long:.0f} evaluations a second")
    assert long < 4 * 8 * short, (short, long)  # eight times as many; were each as long as all before it, 64


class Graded(Figures):
    """The score after a tenth of the training misleads by the row's parity; after a half it is nearly right."""

    def metrics(self) -> tuple[str, ...]:
        return ("score", "score_tenth", "score_half", "cost")

    def evaluate(self, proposal: Proposal, context: Context) -> Evaluation:
        a, b = proposal.architecture.values
        values = {"score": a + 0.1 * b, "score_tenth": a + 3 * (b % 2) - 9, "score_half": a - 1, "cost": b}
        return Evaluation(proposal, metrics=tuple(Metric(name, float(value)) for name, value in values.items()))


def graded(objectives=(SCORE,), **named) -> Benchmark:
    return Benchmark(SPACE, Graded(), objectives, fidelities={0.1: "score_tenth", 0.5: "score_half"}, **named)


def test_a_fidelity_costs_its_share_and_a_promotion_the_difference():
    known = graded(seconds=100)
    proposal = Proposal(next(iter(SPACE.enumerate())), "a")
    low, half = (Proposal(proposal.architecture, "a", fidelity) for fidelity in (1000, 5000))
    assert [known.evaluate(low).seconds, known.evaluate(low).values["score"]] == pytest.approx([10, -9])
    assert [known.evaluate(half, 1000).seconds, known.evaluate(half, 1000).values["score"]] == pytest.approx([40, -1])
    assert known.evaluate(proposal, 5000).seconds == pytest.approx(50)
    assert known.losses(known.evaluate(half)) == (math.inf,)
    with pytest.raises(WrongUse, match=r"no column stands for the fidelity 0\.2, only for 0\.1, 0\.5"):
        known.evaluate(Proposal(proposal.architecture, "a", 2000))


@pytest.mark.parametrize("workers", [1, 8])
def test_multi_fidelity_runs_pay_for_each_epoch_once(workers):
    known, asked = graded(seconds=100), []
    contender = Contender.parse("asha+of=random+fidelities=[0.1,0.5]")
    controller = contender.controller(known, 0)
    ask = controller.ask
    controller.ask = lambda n: asked.extend(batch := ask(n)) or batch
    run = simulate(controller, known, None, workers, until=3000)
    reached: dict[str, int] = {}
    for proposal in asked:
        assert (proposal.fidelity or 10_000) > reached.get(proposal.digest, 0)
        reached[proposal.digest] = proposal.fidelity or 10_000
    paid = sum(reached.values()) / 10_000 * 100
    assert len(run.losses) == len(asked) > 50
    if workers == 1:
        assert run.ended[-1] == pytest.approx(paid)
    else:
        assert paid / workers <= run.ended[-1] <= 3100
    full = [proposal for proposal in asked if proposal.fidelity is None]
    assert np.isfinite(run.losses[:, 0]).sum() == len(full) > 3


def test_an_exhausted_space_is_promoted_to_the_end():
    run = simulate(Contender.parse("hyperband+fidelities=[0.1,0.5]").controller(graded(), 0), graded(), None, 7)
    assert np.isfinite(run.losses[:, 0]).sum() == SPACE.size()


def test_contests_in_virtual_time_compare_at_the_same_seconds():
    contenders = [Contender.parse(text) for text in ("random", "asha+of=random+fidelities=[0.5]")]
    contest = run_contest(graded(seconds=2.5), contenders, 5, 3, marks=[10, 25, 50])
    assert contest.timed and contest.axis[-1] == 50 and {10, 25, 50} <= set(contest.axis)
    plain, halved = contest.standings
    assert plain.evaluations[:, contest.at([10, 25, 50])].tolist() == [[4, 10, 20]] * 3
    assert (halved.evaluations[:, -1] > 20).all()
    # In 1.25 s a low fidelity has ended, which no regret comes from.
    first = next(i for i, moment in enumerate(contest.axis) if moment >= 1.25)
    assert (halved.evaluations[:, first] == 1).all() and np.isinf(halved.measure[:, first]).all()
    assert contest.caught_up(plain) is not None
    written = contest.to_json()
    assert written["virtual_seconds"] == list(contest.axis) and "evaluations" in written["controllers"][0]
    assert contest_figure(contest).layout.xaxis.title.text == "virtual seconds"


def test_tables_of_one_fidelity_refuse_multi_fidelity_controllers():
    with pytest.raises(WrongUse, match="say --fidelity SHARE=COLUMN"):
        run_contest(benchmark(), [Contender.parse("asha")], 5, 1)
