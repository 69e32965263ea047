"""The tables and figures of `docs/benchmarks/supernets`, from the lines that the other supernet benchmarks wrote.

python -m benchmarks.supernet_report [--to docs/benchmarks/supernets]
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

from archfront.report.ranking import RankingReport, rank, write_ranking
from benchmarks.reduced_spaces import SPACES
from benchmarks.supernet_truth import TO, rows
from benchmarks.zero_cost_ranking import predictors, truth


def main() -> None:
    """Print the tables of both spaces, and write reports and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=TO)
    to = parser.parse_args().to
    for space in SPACES:
        trained = truth(rows(to / f"truth_{space}.jsonl"))
        ranked = rows(to / f"ranking_{space}.jsonl")
        report = rank(trained, {**supernets(ranked), **proxies(rows(to / f"zero_cost_{space}.jsonl"))})
        for ending in ("json", "png"):
            write_ranking(report, to / f"ranking_report_{space}.{ending}")
        print(table(space, report, ranked))
        by_loss = rank(trained, supernets(ranked, "loss", -1.0)).rows
        print("\nby validation loss: " + "; ".join(f"{row.predictor} {row.whole.tau:.2f}" for row in by_loss))


def supernets(ranked: list[dict[str, Any]], by: str = "accuracy", sign: float = 1.0) -> dict[str, dict[str, float]]:
    """What each supernet says, by its label."""
    return {label(row): {digest: sign * found[by] for digest, found in row["scores"].items()} for row in ranked}


def label(row: dict[str, Any]) -> str:
    """A method with its CPU seconds."""
    return f"{row['method']}, {row['budget_cpu_s']:g} s"


def proxies(scored: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What costs nothing to know."""
    return {name: values for name, values in predictors(scored).items() if values}


def table(space: str, report: RankingReport, ranked: list[dict[str, Any]]) -> str:
    """The report in Markdown."""
    costs = {label(row): row for row in ranked}
    lines = [
        f"\n### `{space}`: {report.networks} networks, {report.trainings} trainings\n",
        "| ranked by | CPU s | steps | mean accuracy | Kendall τ (95 %) | n | τ of the top tenth | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (*report.rows, *([report.ceiling] if report.ceiling else [])):
        cost = costs.get(row.predictor)
        cells = ["-", "-", "-"]
        if cost:
            accuracy = mean(found["accuracy"] for found in cost["scores"].values())
            cells = [f"{cost['cpu_s']:.0f}", str(cost["steps"]), f"{accuracy:.3f}"]
        whole, top = (
            one.note if one.tau is None else f"{one.tau:.2f} [{one.tau_low:.2f}, {one.tau_high:.2f}]"
            for one in (row.whole, row.top)
        )
        lines.append(f"| {row.predictor} | {' | '.join(cells)} | {whole} | {row.whole.n} | {top} | {row.top.n} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
