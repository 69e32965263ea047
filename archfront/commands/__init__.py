"""The command line: one module per command or small group of them, and the one place where errors end.

Modules here import only what `archfront --help` needs; everything heavy is imported inside the functions.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from archfront.commands import (
    bench,
    blocks,
    dashboard,
    export,
    finish,
    initialise,
    listings,
    measure,
    predict,
    report,
    results,
    search,
    supernet,
)
from archfront.contracts import WrongUse
from search_spaces.errors import SpaceError

# Plain help: it reads as well, goes through a pipe, and saves the import of rich.
app = typer.Typer(
    name="archfront",
    help="Search for neural networks that are accurate and fast on the device they will run on.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    search.search,
    initialise.init,
    results.front,
    results.show,
    results.studies,
    export.export,
    predict.predict,
    finish.finish,
    report.report,
    blocks.blocks,
    listings.spaces,
    listings.controllers,
    listings.evaluators,
    listings.devices,
    measure.measure,
    dashboard.dashboard,
):
    app.command()(command)
app.add_typer(supernet.app, name="supernet")
app.add_typer(bench.app, name="bench")

FAILURES = frozenset(
    {
        *("Diverged", "ExportRefused", "LeaseLost", "NoneSucceeded", "StudyUnwritable", "TimingFailed"),
        *("TimingTimedOut", "Unsupported"),
    }
)
"""Errors that say in one line why the work failed."""
ClickError: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
"""Typer's errors of use; by name, because typer brings its own copy of click in some versions and not in others."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for wrong use, 1 when the work failed. Bugs raise."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return app(args=words, prog_name="archfront", standalone_mode=False) or 0
    except (WrongUse, SpaceError) as error:
        return _say(str(error), 2)
    except (RuntimeError, TimeoutError, ArithmeticError) as error:
        # By name, since their modules load torch or a database.
        if type(error).__name__ not in FAILURES:
            raise
        return _say(str(error), 1)
    except ClickError as error:
        return _wrong_option(error)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", 130)
    except BrokenPipeError:
        # The reader of a pipe has left; what python would still flush must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def main() -> NoReturn:
    """The program `archfront`."""
    sys.exit(run())


def _wrong_option(error: BaseException) -> int:
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "archfront"
    return _say(f"{text.rstrip('.')}; '{path} --help' lists what there is", 2)


def _say(text: str, code: int) -> int:
    typer.echo(f"error: {' '.join(text.split())}", err=True)
    return code
