"""Figures as people read them: values with their digits, how a metric was got, settings as lines."""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from archfront.contracts import Metric


def number(value: float | None) -> str:
    """A value with four significant digits, or all digits of a large integer."""
    if value is None or math.isnan(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def spread(metric: Metric) -> str:
    """The value with its unit and 95 % bounds."""
    text = f"{number(metric.value)} {metric.unit}".strip() if metric.unit != "fraction" else number(metric.value)
    if metric.low is None or metric.high is None:
        return text
    return f"{text} [{number(metric.low)}, {number(metric.high)}]"


def percentiles(metric: Metric) -> str:
    """What is kept of the raw samples: n, p10, p50, p90, p99."""
    s = metric.summary
    if s is None:
        return ""
    return f"n={s.n} · p10 {number(s.p10)} · p50 {number(s.p50)} · p90 {number(s.p90)} · p99 {number(s.p99)}"


def provenance(metric: Metric) -> str:
    """How the value was got, in one line."""
    p = metric.provenance
    pieces = [
        p.device,
        f"{p.runtime} {p.runtime_version}".strip(),
        p.precision,
        f"{p.threads} thread{'s' if p.threads != 1 else ''}" if p.threads is not None else "",
        f"batch {p.batch}" if p.batch is not None else "",
        "input " + "×".join(map(str, p.input_shape)) if p.input_shape else "",
        f"host {p.host}" if p.host else "",
        f"protocol {p.protocol}" if p.protocol else "",
    ]
    return " · ".join(piece for piece in pieces if piece)


def moment(at: float) -> str:
    """A time in the reader's zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def ago(at: float) -> str:
    """How long ago something was, in the largest unit that fits."""
    seconds = max(0.0, time.time() - at)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def lines(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted key, value) lines."""
    for key, value in settings.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from lines(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)
