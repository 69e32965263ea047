"""`archfront init`: a commented study file to start from."""

from pathlib import Path
from typing import Annotated

import typer

from archfront.contracts import WrongUse


def init(
    file: Annotated[Path, typer.Argument(help="The study file to write.")] = Path("study.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented study file to start from."""
    from archfront.settings import STUDY_FILE
    from archfront.study.database import DEFAULT_URL

    if file.exists() and not force:
        raise WrongUse(f"{file} exists; name another file, or say --force to write over it")
    if not file.parent.is_dir():
        raise WrongUse(f"no folder {file.parent}; make it first")
    name = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in file.stem).strip("._-") or "study"
    file.write_text(STUDY_FILE.format(file=file, name=name, db=DEFAULT_URL), encoding="utf-8")
    typer.echo(f"wrote {file}; start it with: archfront search {file}")
