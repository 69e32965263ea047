"""`archfront dashboard`: the web application."""

from typing import Annotated

import typer

from archfront.commands.printing import DatabaseUrl


def dashboard(
    db: DatabaseUrl = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8050,
) -> None:
    """Serve the dashboard, which only reads."""
    from contextlib import suppress

    from archfront.study import DEFAULT_URL
    from dashboard import serve

    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        serve(db or DEFAULT_URL, host, port)
