"""The web application: a REST API and pages that read the study database and nothing else."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app(url: str) -> "FastAPI":
    """The application over the database at `url`; raises `WrongUse` where there is none."""
    from dashboard.server import create_app

    return create_app(url)


def serve(url: str, host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serve the dashboard until interrupted; raises `WrongUse` for a missing database or a port in use."""
    from dashboard.server import serve

    serve(url, host, port)


__all__ = ["create_app", "serve"]
