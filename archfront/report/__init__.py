"""Reports: what a study found as one self-contained HTML file, and as a picture."""

from archfront.report.report import write_figure, write_report

__all__ = ["write_figure", "write_report"]
