"""Serves the folder of a page to this machine."""

import os
import socket
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

HOST = "127.0.0.1"
# Cross-origin isolation, without which browsers give a page no threads; and no stale files after
# another export.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class PageHandler(SimpleHTTPRequestHandler):
    """Serves files with the headers that let the page use threads."""

    # Chromium sends no If-None-Match for what it got by HTTP/1.0.
    protocol_version = "HTTP/1.1"
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".gz": "application/gzip",
    }

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answers that a file is as the browser has it, or sends its headers."""
        tag = self._tag()
        if tag is None or self.headers.get("If-None-Match") != tag:
            # Its time has whole seconds only: the file may have changed since.
            del self.headers["If-Modified-Since"]
            return super().send_head()
        self.send_response(HTTPStatus.NOT_MODIFIED)
        self.end_headers()
        return None

    def end_headers(self) -> None:
        """Adds the headers."""
        if (tag := self._tag()) is not None:
            self.send_header("ETag", tag)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _tag(self) -> str | None:
        """Returns what changes with a file."""
        path = self.translate_path(self.path)
        try:
            status = os.stat(os.path.join(path, "index.html") if os.path.isdir(path) else path)
        except OSError:
            return None
        return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'

    def log_message(self, format: str, *args: object) -> None:
        """Stays silent."""


class PageServer(ThreadingHTTPServer):
    """Serves one folder; silent where a browser leaves before a file has arrived."""

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Prints the error of a request, unless the browser closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, port: int) -> PageServer:
    """Returns a server of a folder; `serve_forever` runs it.

    Args:
        folder: Of the page.
        port: On 127.0.0.1; 0 takes a free one.

    Raises:
        ValueError: The port is taken.
    """
    try:
        return PageServer((HOST, port), partial(PageHandler, directory=str(folder)))
    except OSError as error:
        raise ValueError(
            f"port: expected a free one, got {port} ({error.strerror}); port=0 takes a free one"
        ) from error


def address(server: ThreadingHTTPServer) -> str:
    """Returns the address to open."""
    return f"http://{HOST}:{server.server_address[1]}/"


def can_open_browser() -> bool:
    """Tells whether a window could open here: not over ssh, not without a display."""
    if "SSH_CONNECTION" in os.environ:
        return False
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return has_display or sys.platform in ("darwin", "win32")
