"""The server of the page: on loopback, until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from tasks.browsing.application import Opened, browsing_application
from tasks.browsing.guard import TOKEN, Guard, new_token
from tasks.processes.prefect_server import free_port, server_url

OWN_HOST = "127.0.0.1"

END_SECONDS = 2
"""How long a request that runs may take when the server ends."""


class _Quiet(uvicorn.Server):
    """Calls a function once it listens."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()


def check_port(port: int) -> None:
    """Check that a port can be listened on, before the work.

    Raises:
        ServerError: it is taken.
    """
    free_port(OWN_HOST, port)


def serve_page(opened: Opened, port: int, on_start: Callable[[str], None]) -> None:
    """Serve an opened store on loopback until the process gets SIGINT or SIGTERM.

    Args:
        opened: the store.
        port: to listen on; 0: any that is free.
        on_start: called with the address, once the server answers.

    Raises:
        KeyboardInterrupt: it was ended by Ctrl-C.
        ServerError: the port is taken.
    """
    port = free_port(OWN_HOST, port)
    token = new_token()
    config = uvicorn.Config(
        Guard(browsing_application(opened), token, port),
        host=OWN_HOST,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=END_SECONDS,
    )
    address = f"{server_url(OWN_HOST, port)}/?{TOKEN}={token}"
    _Quiet(config, lambda: on_start(address)).run()
