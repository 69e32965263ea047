"""The field's simple baseline for every task, on the very splits that searches use, by the tasks' own measures.

    ARCHFRONT_DATA=… python -m benchmarks.task_baselines [--only TASK] [--to FOLDER]

Each is fitted to the training split, as it comes from its library; penalties are chosen on the validation split.
Figures are those of the test split, with their 95 % intervals.
"""

import argparse
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from archfront.contracts import Metric, Objective, Provenance
from benchmarks.task_data import sources
from evaluators.datasets import DataSet, Split, load
from evaluators.datasets.arrays import Array
from evaluators.tasks import IGNORED

PENALTIES = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
FLOOR = 1e-12
PIXELS = 100_000
"""So many labelled pixels teach the regression on single pixels."""
Outputs = Callable[[Split], Array]
"""What a baseline gives for a split, as a network would: (n, outputs, ...)."""


def inputs_of(data: DataSet, split: Split) -> Array:
    """Prepared inputs, one row of numbers an example."""
    return data.prepared(split.inputs[:]).flatten(1).numpy()


def labels_of(split: Split) -> Array:
    return split.targets[:].numpy()


def logits(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, FLOOR))


def figures(data: DataSet, split: Split, outputs: Outputs, prefix: str = "") -> list[Metric]:
    """The task's measures of a baseline on a split."""
    tally = data.task.tally()
    tally.add(torch.tensor(outputs(split), dtype=torch.float32), data.task.targets(split.targets[:]))
    return tally.metrics(Provenance(), prefix)


def best(data: DataSet, made: Iterator[tuple[str, Outputs]]) -> tuple[str, Outputs]:
    """The one that the task's first measure likes best on the validation split."""

    def loss(one: tuple[str, Outputs]) -> float:
        first = figures(data, data.validation, one[1])[0]
        return Objective.parse(first.name).loss(first.value)

    return min(made, key=loss)


def logistic(data: DataSet, features: Callable[[Split], Any]) -> tuple[str, Outputs]:
    """Multinomial logistic regression on an example's features, the penalty chosen on validation data."""
    train, labels = features(data.train), labels_of(data.train)

    def made() -> Iterator[tuple[str, Outputs]]:
        for penalty in PENALTIES:
            model = LogisticRegression(C=penalty, max_iter=500).fit(train, labels)
            yield f"C={penalty:g}", lambda split, model=model: model.predict_log_proba(features(split))

    return best(data, made())


def one_per_label(data: DataSet, features: Callable[[Split], Any]) -> tuple[str, Outputs]:
    """A logistic regression for each label; a label that is always there, or never, gets its share."""
    train, labels = features(data.train), labels_of(data.train)

    def made() -> Iterator[tuple[str, Outputs]]:
        for penalty in PENALTIES:
            models = [
                LogisticRegression(C=penalty, max_iter=500).fit(train, column) if np.ptp(column) else float(column[0])
                for column in labels.T
            ]

            def outputs(split: Split, models: Any = models) -> Array:
                rows = features(split)
                found = [
                    np.full(len(rows), 8.0 if model else -8.0)
                    if isinstance(model, float)
                    else model.decision_function(rows)
                    for model in models
                ]
                return np.stack(found, 1)

            yield f"C={penalty:g}", outputs

    return best(data, made())


def coarse_colours(split: Split) -> Array:
    """The mean colour of each of 9 × 12 fields of a picture, from -1 to 1."""
    pooled = torch.nn.functional.adaptive_avg_pool2d(split.inputs[:].float() / 127.5 - 1, (9, 12))
    return pooled.flatten(1).numpy()


def tf_idf(data: DataSet) -> Callable[[Split], Any]:
    """Weighted counts of 1 to 4 characters in a row."""

    def texts(split: Split) -> list[str]:
        return [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in split.inputs[:].numpy()]

    counter = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True)
    counter.fit(texts(data.train))
    return lambda split: counter.transform(texts(split))


def n_gram(data: DataSet, order: int) -> Outputs:
    """Witten and Bell's interpolation of n-grams, which sees no further back than a window reaches."""
    size = data.outputs
    counts: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(order)]
    for row, following in zip(data.train.inputs[:].tolist(), data.train.targets[:].tolist(), strict=True):
        for place, token in enumerate(following):
            for length in range(min(order, place + 2)):
                counts[length][tuple(row[place + 1 - length : place + 1])][token] += 1
    known: dict[tuple[int, ...], Array] = {}

    def probabilities(context: tuple[int, ...]) -> Array:
        if context in known:
            return known[context]
        below = probabilities(context[1:]) if context else np.full(size, 1 / size)
        seen = counts[len(context)].get(context)
        if seen is None:
            return below
        kinds, total = len(seen), sum(seen.values())
        found = below * kinds
        found[list(seen)] += list(seen.values())
        known[context] = found / (total + kinds)
        return known[context]

    def outputs(split: Split) -> Array:
        rows = split.inputs[:].tolist()
        found = np.empty((len(rows), size, len(rows[0])), dtype=np.float32)
        for number, row in enumerate(rows):
            for place in range(len(row)):
                found[number, :, place] = probabilities(tuple(row[max(0, place + 2 - order) : place + 1]))
        return logits(found)

    return outputs


def place_prior(data: DataSet, smoothing: float = 1.0) -> Outputs:
    """How often each class is at each place of the training masks."""
    held = labels_of(data.train)
    counts = np.stack([(held == number).sum(0) for number in range(data.outputs)]) + smoothing
    prior = logits(counts / counts.sum(0))
    return lambda split: np.broadcast_to(prior, (split.size, *prior.shape))


def majority(data: DataSet) -> Outputs:
    """The share of each class, everywhere."""
    shares = np.array(data.task.frequencies) / sum(data.task.frequencies)
    sides = data.task.gives(data.inputs)[1:]
    return lambda split: np.broadcast_to(
        logits(shares).reshape(1, -1, *[1] * len(sides)), (split.size, len(shares), *sides)
    )


def single_pixels(data: DataSet) -> Outputs:
    """Logistic regression on a pixel's colour, that of its surroundings, its place, and all their products."""

    def features(pictures: torch.Tensor) -> Array:
        colours = pictures.float() / 127.5 - 1
        around = torch.nn.functional.avg_pool2d(colours, 9, 1, 4, count_include_pad=False)
        n, _, height, width = colours.shape
        rows = torch.linspace(-1, 1, height).view(1, 1, -1, 1).expand(n, 1, height, width)
        columns = torch.linspace(-1, 1, width).view(1, 1, 1, -1).expand(n, 1, height, width)
        return torch.cat([colours, around, rows, columns], 1).movedim(1, 3).flatten(0, 2).numpy()

    labels = labels_of(data.train).reshape(-1)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(labels != IGNORED))[:PIXELS]
    model = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), LogisticRegression(max_iter=100))
    model.fit(features(data.train.inputs[:])[chosen], labels[chosen])

    def outputs(split: Split) -> Array:
        # A picture at a time: the products of all pixels would fill the memory.
        shape = (*data.inputs[1:], data.outputs)
        pictures = (split.inputs[number : number + 1] for number in range(split.size))
        found = [model.predict_log_proba(features(picture)).astype(np.float32).reshape(shape) for picture in pictures]
        return np.moveaxis(np.stack(found), 3, 1)

    return outputs


def standardized(data: DataSet, model: Any) -> Outputs:
    """A regression on the prepared columns; it learns the target as networks do."""
    targets = data.task.targets(data.train.targets[:]).numpy()[:, 0]
    model.fit(inputs_of(data, data.train), targets)
    return lambda split: model.predict(inputs_of(data, split))[:, None]


def baselines(task: str, data: DataSet) -> Iterator[tuple[str, Outputs]]:
    """Name and outputs of each baseline of a task."""
    if task in ("classification", "audio", "tabular classification"):
        what = {"classification": "pixels", "audio": "log-mel bands"}.get(task, "columns")
        chosen, outputs = logistic(data, lambda split: inputs_of(data, split))
        yield f"logistic regression on {what}, {chosen}", outputs
    if task == "tabular classification":
        trees = HistGradientBoostingClassifier(random_state=0).fit(inputs_of(data, data.train), labels_of(data.train))
        yield "gradient boosting", lambda split: logits(trees.predict_proba(inputs_of(data, split)))
    if task == "sequence classification":
        chosen, outputs = logistic(data, tf_idf(data))
        yield f"logistic regression on 1- to 4-grams of characters, {chosen}", outputs
    if task == "next-token prediction":
        yield "unigram model", n_gram(data, 1)
        yield "bigram model", n_gram(data, 2)
        yield "5-gram model", n_gram(data, 5)
    if task == "multi-label classification":
        yield (
            "share of each class",
            lambda split: np.broadcast_to(
                logits(np.array(data.task.frequencies) / data.train.size) + 0.7, (split.size, data.outputs)
            ),
        )
        chosen, outputs = one_per_label(data, coarse_colours)
        yield f"a logistic regression per class on 9×12 colours, {chosen}", outputs
    if task == "dense prediction":
        yield "majority class", majority(data)
        yield "share of each class at a place", place_prior(data)
        yield "logistic regression on pixel, surroundings and place", single_pixels(data)
    if task == "regression":
        yield "mean", lambda split: np.zeros((split.size, 1))
        yield "ridge regression", standardized(data, RidgeCV(np.logspace(-2, 3, 20)))
        yield "gradient boosting", standardized(data, HistGradientBoostingRegressor(random_state=0))


def said(metric: Metric) -> str:
    spread = "" if metric.low is None else f" ({metric.low:.4g}–{metric.high:.4g})"
    return f"{metric.name.removeprefix('test_')} {metric.value:.4g}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="tasks whose names hold this text")
    parser.add_argument("--to", type=Path, default=Path("task_data"), help="folder for the texts and tables")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=Warning, module="sklearn")
    print("| task | data | baseline | test split |\n|---|---|---|---|")
    for source in sources(options.to):
        if options.only not in source.task:
            continue
        data = load(source.spec, **source.settings)
        kind, _, place = source.spec.partition(":")
        what = f"{kind}:{Path(place).name}" if place else kind
        what += "".join(f" {key}={value}" for key, value in source.settings.items())
        for name, outputs in baselines(source.task, data):
            found = ", ".join(map(said, figures(data, data.test, outputs, "test_")))
            print(f"| {source.task} | {what} | {name} | {found} |", flush=True)


if __name__ == "__main__":
    main()
