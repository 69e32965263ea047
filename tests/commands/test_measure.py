"""`archfront measure`: the figure, its interval and the percentiles agree, and each says what it is."""

import re
from dataclasses import replace
from typing import Any

import pytest

from archfront.contracts import Provenance, Summary
from hardware_profiles import estimating, measuring
from hardware_profiles.measuring import Measurement

HOW = Provenance("host", "onnxruntime", "1.23", "float32", 1, 1, (3, 32, 32), "abc", estimating.PROTOCOL)
MEASURED = Measurement(
    0.8612, 0.8431, 0.8799, Summary(2100, 0.8612, 0.9012, 1.22, 1.9), 12.0, HOW, "converged", False, 0.83, 300, 2.0,
    None, 3, 0.9,
)  # fmt: skip
PREDICTED = replace(
    MEASURED,
    low=0.7001,
    high=1.021,
    summary=Summary(900, 1.311, 1.422, 1.633, 2.1),
    provenance=replace(HOW, protocol=estimating.CORRECTED),
    stopped="never quiet",
    corrected=True,
    quiet_share=0.02,
    slices=10,
    exclusive_s=2.93,
)


@pytest.mark.parametrize("found", [MEASURED, PREDICTED])
def test_the_printed_interval_holds_the_printed_figure(
    archfront: Any, monkeypatch: pytest.MonkeyPatch, found: Measurement
) -> None:
    monkeypatch.setattr(measuring, "measure_file", lambda *_: found)
    monkeypatch.setenv("COLUMNS", "200")
    done = archfront("measure", "model.onnx")
    assert done.code == 0, done.error
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    value, _, low, high = map(float, re.findall(r"\d+(?:\.\d+)?(?= |$)", rows["latency"].replace("10th", "")))
    assert (value, low, high) == (found.latency_ms, found.low, found.high)
    assert low <= value <= high
    assert ("predicted" in rows["latency"], "measured" in rows["latency"]) == (found.corrected, not found.corrected)
    tenth, half, most = (str(getattr(found.summary, name)) for name in ("p10", "p50", "p90"))
    assert rows["runs"].index(tenth) < rows["runs"].index(half) < rows["runs"].index(most)
    if found.corrected:
        assert "isn't quiet" in rows["runs"], "these percentiles aren't of what the figure stands for"
    else:
        assert str(found.latency_ms) == tenth and "10th percentile" in rows["latency"]
    assert found.provenance.protocol in rows["protocol"]
    assert f"{found.slices} slices, {found.exclusive_s:.1f} s in all" in rows["effort"]
