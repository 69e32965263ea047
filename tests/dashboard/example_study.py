"""Writes a study as a search would, through the real writer; run as a program, it is the search of a running study."""

import hashlib
import json
import math
import random
import sys
import time
from typing import Any

from archfront.contracts import (
    Artifact,
    Constraint,
    Evaluation,
    Metric,
    Objective,
    Proposal,
    Provenance,
    Status,
    Summary,
)
from archfront.study import Database, Study, StudyWriter, create_study

SETTINGS = {
    "space": "hybrid",
    "data": "digits",
    "evaluator": {"name": "training", "epochs": 12},
    "budget": {"evaluations": 60},
}
HOW = Provenance("host", "onnxruntime", "1.23.2", "float32", 1, 1, (3, 32, 32), "two-core", "1")


def write_study(url: str, count: int, name: str = "digits", pause_s: float = 0.0, settings: Any = None) -> Study:
    """A study with `count` more evaluations: most ok, the rest diverged, out of memory, infeasible."""
    study = create_study(
        Database(url, create=True),
        name,
        space="hybrid",
        fingerprint="f" * 32,
        settings=settings or SETTINGS,
        objectives=[Objective.parse("accuracy"), Objective.parse("latency_ms@host")],
        constraints=[Constraint.parse("params<=2M")],
        seed=0,
    )
    generator = random.Random(0)
    known: list[str] = []
    with StudyWriter(study) as writer:
        writer.event("started", "a search with 1 worker")
        first = study.progress()[0] + 1
        for number in range(first, first + count):
            architecture = _architecture(generator)
            digest = hashlib.sha256(f"{name}{number}".encode()).hexdigest()[:32]
            parents = (known[-1],) if known else ()
            proposal = Proposal(None, digest, None, parents, "mutation" if parents else "random", number)
            [row] = writer.ask([(proposal, json.dumps(architecture))])
            outcome = _outcome(proposal, generator)
            writer.tell(row, outcome, "training", outcome)
            known.append(digest)
            time.sleep(pause_s)
    return study


def _architecture(generator: random.Random) -> Any:
    mixers = [{"part": "token_mixer/depthwise_conv", "kernel": k} for k in (3, 5, 7)] + [
        {"part": "token_mixer/pooling"}
    ]
    blocks = [
        {"part": "block/block", "token_mixer": generator.choice(mixers), "norm": {"part": "norm/batch"}}
        for _ in range(generator.randint(1, 3))
    ]
    stages = [{"part": "stage/stage", "width": generator.choice([24, 32]), "blocks": blocks}]
    return {"part": "network/staged", "stem": {"part": "stem/conv3x3", "stride": 2}, "stages": stages}


def _outcome(proposal: Proposal, generator: random.Random) -> Evaluation:
    latency = generator.lognormvariate(0.6, 0.5)
    params = int(latency * 4e5)
    accuracy = 1 - 0.3 * math.exp(-latency) * generator.uniform(0.4, 1.2)
    kind = proposal.number % 20
    if kind == 7:
        return Evaluation(proposal, Status.DIVERGED, f"loss is nan at step {proposal.number}", (), 1.0)
    if kind == 13:
        return Evaluation(proposal, Status.OUT_OF_MEMORY, "needs 9 GB <b>of memory</b>", (), 1.0)
    if params > 2e6:
        return Evaluation(proposal, Status.INFEASIBLE, "params > 2M", (Metric("params", params),), 0.01)
    if proposal.number % 40 == 17:
        latency *= 100  # an outlier
    spread = Summary(300, latency * 0.99, latency, latency * 1.1, latency * 1.3)
    guessed = "predicted" if kind == 3 else "measured"
    metrics = (
        Metric("params", params),
        Metric("accuracy", accuracy, "fraction", "measured", accuracy - 0.01, accuracy + 0.01),
        Metric("test_accuracy", accuracy - 0.005, "fraction"),
        Metric("latency_ms@host", latency, "ms", guessed, latency * 0.98, latency * 1.02, spread, HOW),
    )
    weights = Artifact("weights", f"weights/{proposal.digest}.safetensors", "c" * 64, 1234)
    return Evaluation(proposal, Status.OK, "", metrics, 2.0, (weights,))


if __name__ == "__main__":
    _, url, count, name, pause = sys.argv
    print(json.dumps({"written": len(write_study(url, int(count), name, float(pause)).rows())}))
