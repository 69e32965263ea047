"""Controllers against each other and against Optuna's samplers, on published tables: medians over 20 seeds.

    ARCHFRONT_DATA=… python -m benchmarks.controller_contest [--only NAME] [--seeds 20] [--to FOLDER]

Goes on where it was stopped: what a file holds already isn't run again. Prints the tables at the end.
"""

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative

from archfront.plan import Plan
from archfront.report.report import write_picture
from archfront.simulator import Benchmark, Contender, run_contest

TO = Path("docs/benchmarks/controllers")
FLOOR = "benchmarks/peers/hamming_process.py:HammingProcess"
CONTENDERS = {
    "auto": "auto",
    "Pareto evolution": "pareto-evolution",
    "regularized evolution": "regularized-evolution",
    "Optuna random": "optuna:random",
    "Optuna TPE": "optuna:tpe",
    "Optuna NSGA-II (20)": "optuna:nsga2+population_size=20",
    "Optuna NSGA-II (50)": "optuna:nsga2+population_size=50",
    "Hamming process": FLOOR,
    "Optuna GP": "optuna:gp",
    "BoTorch": "benchmarks/peers/botorch_search.py:BoTorchSearch",
}
SEEDS = 20
COLOURS = qualitative.D3
COUNTS = (50, 80, 100, 120, 200, 300)


@dataclass(frozen=True)
class Task:
    """A table, its decisions and what is sought; `reference` is what `--reference` takes.

    Without decisions, `space` is a registered one, which knows more of its networks than a table does.
    """

    table: str
    decisions: tuple[str, ...]
    objectives: tuple[str, ...]
    where: str | None = None
    reference: dict[str, float] = field(default_factory=dict)
    space: str = ""
    evaluations: int = 200


CELLS = ("nasbench201_dev", ())
GRAPH = ("nasbench_graph_dev", ("link", "op_*"))
ACCEL = ("accel_nasbench_dev", ("block*",))
BEST = "cifar10_test_acc_ep200"
WORST = {BEST: 94.373333 - 20}
TASKS: dict[str, Task] = {
    **{
        f"cells-{device}": Task(*CELLS, (f"{BEST}:max", f"lat_{device}_ms:min"), "connected", WORST, "cell201")
        for device in ("pixel3", "1080ti_1", "gold_6240", "samsung_s7", "titanx_256", "essential_ph_1")
    },
    **{
        f"accel-{name}": Task(*ACCEL, ("imagenet_val_top1:max", goal), evaluations=300)
        for name, goal in (
            ("zcu102", "latency_zcu102_mean_ms:min"),
            ("a100", "throughput_a100_mean_ips:max"),
            ("3090", "throughput_3090_mean_ips:max"),
        )
    },
    **{
        f"graph-{data}": Task(*GRAPH, ("valid_perf:max", "latency_raw:min"), f"dataset={data}", evaluations=300)
        for data in ("cora", "pubmed")
    },
    "cells-accuracy": Task(*CELLS, ("cifar10_halftrain_test_acc_ep200:max",), "connected", space="cell201"),
    "cells-cifar100": Task(*CELLS, ("cifar100_test_acc_ep12:max",), "connected", space="cell201"),
    "cells-as-a-table": Task("nasbench201_dev", ("op_*",), (f"{BEST}:max", "lat_pixel3_ms:min"), "connected", WORST),
    "accel-accuracy": Task(*ACCEL, ("imagenet_val_top1:max",)),
    "graph-cora-accuracy": Task(*GRAPH, ("valid_perf:max",), "dataset=cora"),
    "graph-pubmed-accuracy": Task(*GRAPH, ("valid_perf:max",), "dataset=pubmed"),
    "ofa-v100-latency": Task("ofa_mbv3_latency_dev", ("ks_*", "e_*", "d_*", "resolution"), ("lat_v100_1_ms:min",)),
    "fbnet-latency": Task("fbnet_latency_dev", tuple(f"op_{i}" for i in range(22)), ("lat_1080ti_1_ms:min",)),
}


def main() -> None:
    """Run what isn't there yet, contender by contender, and print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TASKS), help="names of TASKS")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--evaluations", type=int, default=300, help="at most so many, for contenders that are slow")
    parser.add_argument("--to", type=Path, default=TO)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        file = arguments.to / f"{name}.json"
        known = json.loads(file.read_text()) if file.exists() else {"controllers": {}}
        missing = [label for label in arguments.contenders if label not in known["controllers"]]
        benchmark = benchmark_of(TASKS[name]) if missing else None
        for label in missing:
            assert benchmark is not None
            if label == "Pareto evolution" and len(benchmark.objectives) == 1:
                continue
            known |= {"task": name, "objectives": [str(o) for o in benchmark.objectives], "measure": benchmark.measure}
            evaluations = min(arguments.evaluations, TASKS[name].evaluations)
            known["controllers"][label] = standing(benchmark, CONTENDERS[label], evaluations, arguments.seeds)
            file.write_text(json.dumps(known))
        print(table(known), flush=True)
    write_results(arguments.to)


def write_results(folder: Path) -> None:
    """Every task that was run as a table and a picture: `results.md`."""
    lines = ["# Results", "", "Written by `python -m benchmarks.controller_contest`; see [README](README.md).", ""]
    for name in TASKS:
        file = folder / f"{name}.json"
        if file.exists():
            known = json.loads(file.read_text())
            write_picture(figure(known), folder / f"{name}.png", 900, 520)
            lines += [table(known), "", f"![{name}]({name}.png)", ""]
    (folder / "results.md").write_text("\n".join(lines))


def benchmark_of(task: Task) -> Benchmark:
    """The task as the simulator takes it; repeats of a row are averaged."""
    path = f"table:{Path(os.environ['ARCHFRONT_DATA']) / 'tables' / task.table}.parquet"
    plan = Plan(
        space=task.space or path,
        decisions=task.decisions,
        where=task.where,
        evaluator=path,
        evaluator_settings={"repeats": "mean"},
        objectives=task.objectives,
    )
    return Benchmark.of(plan, 1.0, task.reference)


def standing(benchmark: Benchmark, contender: str, evaluations: int, seeds: int) -> dict[str, Any]:
    """One contender's figures after every tenth evaluation, as JSON values."""
    counts = list(range(10, evaluations + 1, 10))
    contest = run_contest(benchmark, [Contender.parse(contender)], evaluations, seeds, measured_at=counts)
    found = contest.to_json()["controllers"][0]
    places = [contest.to_json()["evaluations"].index(count) for count in counts]
    kept = {key: [found[key][place] for place in places] for key in ("lower_quartile", "median", "upper_quartile")}
    return {"counts": counts, "seeds": seeds, **kept, "reached": found.get("reached"), "ms": found["thinking_ms"]}


def table(known: dict[str, Any]) -> str:
    """The figures of one task as Markdown."""
    rows = known["controllers"]
    counts = [count for count in COUNTS if any(count in row["counts"] for row in rows.values())]
    heads = ["controller", *[f"at {count}" for count in counts], "98 % after", "99 % after", "ms each"]
    lines = [f"\n### {known.get('task')}: {known.get('measure')}; {', '.join(known.get('objectives', ()))}\n"]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for label, row in rows.items():
        cells = [_figures(row, count) for count in counts]
        reached = [f"{(row['reached'] or {}).get(key) or '-'}" for key in ("0.98", "0.99")]
        named = label if row["seeds"] == SEEDS else f"{label}, {row['seeds']} seeds"
        lines.append("| " + " | ".join([named, *cells, *reached, f"{row['ms']:.1f}"]) + " |")
    return "\n".join(lines)


def _figures(row: dict[str, Any], count: int) -> str:
    """A contender's median and quartiles after so many evaluations."""
    if count not in row["counts"]:
        return "-"
    place = row["counts"].index(count)
    low, middle, high = (row[key][place] for key in ("lower_quartile", "median", "upper_quartile"))
    return f"{middle:.4f} ({low:.4f}–{high:.4f})"


def figure(known: dict[str, Any]) -> go.Figure:
    """Medians and quartiles by evaluations; of hypervolume what is missing, on a logarithmic axis."""
    drawn = go.Figure()
    whole = known["measure"] != "regret"
    for label, colour in zip(known["controllers"], COLOURS, strict=False):
        row = known["controllers"][label]
        low, middle, high = (
            [1 - value if whole else value for value in row[key]]
            for key in ("lower_quartile", "median", "upper_quartile")
        )
        band = {"fill": "toself", "opacity": 0.15, "line": {"width": 0}, "fillcolor": colour}
        x = row["counts"]
        drawn.add_scatter(x=[*x, *x[::-1]], y=[*low, *high[::-1]], showlegend=False, hoverinfo="skip", **band)
        drawn.add_scatter(x=x, y=middle, name=label, line={"color": colour})
    drawn.update_yaxes(title="share of hypervolume missing" if whole else "regret", type="log" if whole else "linear")
    drawn.update_xaxes(title="evaluations")
    drawn.update_layout(title=f"{known['task']}: {', '.join(known['objectives'])}", template="plotly_white")
    return drawn


if __name__ == "__main__":
    main()
