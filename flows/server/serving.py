"""A thread that serves a site's deployments until `Service.stop` is called."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable

from prefect.client.orchestration import get_client
from prefect.runner import Runner

from flows.server.deployments import Setup, deployments
from flows.server.registration import begin_again, server_errors, tidy_up, under_way

RUNS_POLL_SECONDS = 2.0
START_PAUSE_SECONDS = 0.05


class Service:
    """Runs what the server schedules: a thread starts a process for each run.

    It is a thread because signals go to the main thread, which decides when what ends. Events are
    waited for, not the thread: a join that a signal interrupts takes the thread for ended.
    """

    def __init__(self, setup: Setup) -> None:
        """Build the deployments of a site; this imports the flows."""
        wanted = deployments(setup)
        self._built = [deployment.build() for deployment in wanted]
        self._names = {built.full_name for built in self._built}
        pairs = zip(wanted, self._built, strict=True)
        self._triggered = {built.full_name for one, built in pairs if one.trigger}
        self._stopping: Callable[[], object] | None = None
        self._failure: BaseException | None = None
        self._ready, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="emi-up", daemon=True)

    def start(self) -> None:
        """Register the deployments, and accept runs from then on.

        Raises:
            ServerError: the server refuses them.
        """
        self._thread.start()
        self._ready.wait()
        with server_errors():
            self._check()

    def wait(self, seconds: float) -> bool:
        """Wait for some seconds; return whether runs are still accepted.

        Raises:
            ServerError: the server is gone.
        """
        self._ended.wait(seconds)
        with server_errors():
            self._check()
        return not self._ended.is_set()

    def stop(self) -> None:
        """Cancel the runs and accept no more; those that an event started begin again next time.

        Raises:
            ServerError: the server is gone.
        """
        if self._thread.is_alive():
            self._ready.wait()  # runs may begin as soon as it is
        if self._stopping is not None and not self._ended.is_set():
            self._stopping()
            self._ended.wait()
        with server_errors():
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        # Runs inherit this: Ctrl-C in a terminal reaches them too, but the runner ends them.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - raised again in the main thread
            self._failure = failure
        finally:
            self._ready.set()
            self._ended.set()

    async def _serve(self) -> None:
        runner = Runner(name="emi-up", query_seconds=RUNS_POLL_SECONDS, limit=None)
        async with get_client() as client:
            left = await tidy_up(client, self._names)
            for built in self._built:
                await runner.aadd_deployment(built)
            await begin_again(client, left, self._triggered)
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.create_task(runner.start())
        while not runner.started and not serving.done():
            await asyncio.sleep(START_PAUSE_SECONDS)
        self._stopping = lambda: loop.call_soon_threadsafe(stopped.set)
        self._ready.set()
        asked = asyncio.create_task(stopped.wait())
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not serving.done():
            await self._end(runner, serving)
        await serving

    async def _end(self, runner: Runner, serving: asyncio.Task[None]) -> None:
        async with get_client() as client:
            cut_short = await under_way(client)
            await runner.astop()
            await serving
            await tidy_up(client, self._names)
            await begin_again(client, cut_short, self._triggered)
