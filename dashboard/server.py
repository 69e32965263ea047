"""The server: FastAPI with the REST API, and Dash mounted in it for the pages."""

import errno
import logging
import socket
from typing import Any

import uvicorn
from dash import Dash
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from starlette.datastructures import MutableHeaders

from archfront import __version__
from archfront.contracts import WrongUse
from dashboard import api, callbacks, pages
from dashboard.exports import Exports
from dashboard.library import Library

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)
"""Nothing comes from elsewhere. Dash and Plotly need inline scripts and eval."""


class PagePaths:
    """Gives every deep link (`/study/…`) to Dash's one page, which finds its content in the browser's address."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and scope["path"].startswith("/study/"):
            scope = {**scope, "path": "/"}

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = CONTENT_POLICY
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, guarded)


def create_app(url: str) -> FastAPI:
    """The application over the database at `url`."""
    library = Library(url)
    server = FastAPI(title="Archfront", version=__version__, docs_url=None, redoc_url=None)
    server.include_router(api.router(library, Exports()))
    app = Dash(
        "dashboard",
        server=server,
        title="Archfront",
        update_title=None,
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
        on_error=_log,
    )
    app.layout = pages.frame()
    callbacks.register(app, library)
    server.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=4)
    server.add_middleware(PagePaths)
    return server


def _log(error: Exception) -> None:
    """Say what a callback died of; the page keeps what it shows."""
    line = f"{type(error).__name__}: {error}"
    logging.getLogger("uvicorn.error").error(line, exc_info=None if isinstance(error, WrongUse) else error)


def serve(url: str, host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serve the dashboard until interrupted."""
    app = create_app(url)
    with listening(host, port) as listener:
        address = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        print(f"Archfront's dashboard: http://{shown}:{address} (Ctrl-C ends it)", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; taken before anything starts, so that a port in use is said at once."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise WrongUse(f"port {port} on {host} is in use; choose another with --port") from None
        reason = error.strerror or str(error)
        raise WrongUse(f"can't listen on {host}:{port}: {reason}; choose others with --host and --port") from None
