"""Networks of timm are exported as all others are."""

from pathlib import Path

import pytest

from archfront.export import FORMATS, export_model
from search_spaces.topologies import Timm
from tests.export.networks import subject_of


@pytest.mark.slow
def test_all_formats_of_a_network_of_timm_are_verified(tmp_path: Path) -> None:
    """Resized, with another stem and half the channels, and with branches that are merged."""
    architecture = Timm("lcnet_035", width=0.5, resolution=1.5, stem_stride=1)
    formats = [entry.name for entry in FORMATS if not entry.value.raw]
    result = export_model(subject_of(architecture, (1, 10, 12), 4), formats, tmp_path / "out")
    assert [check.format for check in result.checks] == ["onnx", "pt2", "python"]
    assert all(check.max_difference <= 1e-4 * check.output_range for check in result.checks)
    text = (tmp_path / "out" / "model.py").read_text(encoding="utf-8")
    assert "import timm" in text and "search_spaces" not in text
