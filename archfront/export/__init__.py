"""Export: a searched network as files that run without Archfront, each verified against it."""

from archfront.export.candidates import export_candidate
from archfront.export.errors import ExportRefused
from archfront.export.export import ExportResult, export_model
from archfront.export.formats import FORMATS, Format
from archfront.export.subject import Subject
from archfront.export.verify import Check

__all__ = [
    "FORMATS",
    "Check",
    "ExportRefused",
    "ExportResult",
    "Format",
    "Subject",
    "export_candidate",
    "export_model",
]
