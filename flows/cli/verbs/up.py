"""`emi up`, `emi deploy`: runs that start by themselves, on this machine or on a Prefect server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from emi_model.errors import ConfigError, ServerError
from flows.cli.options import (
    LOCATION,
    corpus_option,
    coverage_option,
    gpus_option,
    model_option,
    ray_option,
    results_option,
)
from flows.cli.run import log_verb_to
from flows.cli.verbs.site_checks import check_alone, check_places, only_site
from flows.display.terminal import message, terminal
from flows.display.text import say

if TYPE_CHECKING:
    from flows.server.deployments import Setup
    from flows.server.serving import Service
    from tasks.processes.prefect_server import PrefectServer

MESSAGE_SECONDS = 5.0
SERVICE_POLL_SECONDS = 1.0
RUN_LINES_WAITS = 5
"""After so many waits the server is asked which runs have ended."""


def _setup_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `emi up` and `emi deploy` share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = [
    corpus_option,
    results_option,
    click.option(
        "--labels", type=LOCATION, metavar="DIR", help="Store of the labels (default: --results)."
    ),
    model_option,
    click.option(
        "--name",
        default="emi",
        show_default=True,
        metavar="NAME",
        help="Registered model that retraining improves; its champion scores unless --model is "
        "given.",
    ),
    click.option(
        "--recipe", metavar="NAME", help="Recipe of retraining (default: the champion's)."
    ),
    click.option(
        "--cron",
        default="15 2 * * *",
        show_default=True,
        metavar="CRON",
        help="When the corpus is scanned; `never`: not by the clock.",
    ),
    click.option(
        "--timezone", metavar="ZONE", help="Time zone of --cron (default: this machine's)."
    ),
    click.option(
        "--watch", "watch_corpus", is_flag=True, help="Look for new clips and score them."
    ),
    click.option(
        "--label-inbox",
        type=LOCATION,
        metavar="DIR",
        help="Folder or bucket whose new label files are added.",
    ),
    click.option(
        "--watch-cron",
        default="*/10 * * * *",
        show_default=True,
        metavar="CRON",
        help="When --watch and --label-inbox look.",
    ),
    click.option(
        "--debounce",
        "debounce_seconds",
        type=click.IntRange(min=0),
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="Label snapshots within such a time lead to one retraining.",
    ),
    coverage_option,
    ray_option,
    gpus_option,
    click.option(
        "--suffix",
        default="",
        metavar="TEXT",
        help="End of the deployments' names, for a second site on one server.",
    ),
]


@click.command()
@_setup_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4200, show_default=True, help="0: any free."
)
def up(host: str, port: int, **options: Any) -> None:
    """Run everything on this machine: nightly scans, retraining on new labels, Prefect's UI.

    Starts a Prefect server and runs what it schedules, until Ctrl-C, which ends both in order and
    with exit code 0. Other commands on this machine find the server: what `emi labels add` adds
    leads to a retraining, a promotion to a scan by the new champion.
    """
    from flows.exclusive import ONE_AT_A_TIME
    from tasks.home import home
    from tasks.processes import ending
    from tasks.processes.prefect_server import PrefectServer, free_port, remove_note
    from tasks.processes.surroundings import NEUTRAL_FOLDER

    check_alone(host)
    port = free_port(host, port)
    _set_environment(host, port)  # before Prefect is imported, which reads it
    setup = _setup(options)
    if setup.ray_address is None:
        os.environ.setdefault(ONE_AT_A_TIME, "1")
    check_places(setup)
    logs = home() / "logs"
    log_verb_to(logs, "up")
    os.chdir(NEUTRAL_FOLDER)  # in which runs start: Prefect reads settings from files there
    ending.release()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # how systemd stops a service
    with only_site():
        try:
            with PrefectServer(host, port, logs / "prefect-server.log") as server:
                _serve(server, setup)
        except KeyboardInterrupt:
            message("stopped")
        finally:
            remove_note()


@click.command()
@_setup_options
@click.option(
    "--api-url",
    envvar="PREFECT_API_URL",
    metavar="URL",
    help="Address of the Prefect server (default: PREFECT_API_URL).",
)
@click.option(
    "--pool",
    default="emi",
    show_default=True,
    metavar="NAME",
    help="Work pool; one for processes is made if there is none.",
)
def deploy(api_url: str | None, pool: str, **options: Any) -> None:
    """Register everything on an existing Prefect server, for workers of a work pool.

    Locations are those that the workers see: absolute paths, or s3://, gs://, az://.
    """
    from flows.server.events import use_servers_password

    if not api_url:
        raise ConfigError("no server named: --api-url http://HOST:4200/api, or PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = api_url
    use_servers_password()
    setup = _setup(options)

    from flows.server.registration import register_deployments

    names = register_deployments(setup, pool)
    say("\n".join(f"registered {name}" for name in names))
    say(f"start a worker where this package is installed: prefect worker start --pool {pool}")


def _setup(options: dict[str, Any]) -> Setup:
    from flows.server.deployments import Setup, check_schedule, local_timezone
    from flows.server.events import located
    from tasks.registry.version import MODEL_SCHEME
    from tasks.training.recipe_names import chosen_recipe

    given = {name: value for name, value in options.items() if value is not None}
    for name in ("corpus", "results", "labels", "label_inbox"):
        if name in given:
            given[name] = located(given[name])
    model = given.get("model")
    if model and not model.startswith(MODEL_SCHEME) and Path(model).exists():
        given["model"] = located(model)
    if "recipe" in given:
        given["recipe"] = chosen_recipe(given["recipe"]).name
    given.setdefault("labels", given["results"])
    given.setdefault("timezone", local_timezone())
    check_schedule(given["watch_cron"], given["timezone"])
    if given["cron"] == "never":
        given["cron"] = None
    else:
        check_schedule(given["cron"], given["timezone"])
    return Setup(**given)


def _set_environment(host: str, port: int) -> None:
    """Set what the server, this process and its runs read."""
    from flows.server.deployment import JOB_VARIABLES
    from flows.server.events import use_servers_password
    from tasks.home import home
    from tasks.processes.prefect_server import server_url

    os.environ["PREFECT_API_URL"] = f"{server_url(host, port)}/api"
    os.environ.setdefault("PREFECT_HOME", str(home() / "prefect"))
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    for name, value in JOB_VARIABLES["env"].items():
        os.environ.setdefault(name, value)
    use_servers_password()


def _serve(server: PrefectServer, setup: Setup) -> None:
    """Wait for the server, run what it schedules, and end in order at Ctrl-C."""
    message("starting Prefect's server")
    from flows.server.serving import Service  # the libraries are imported while the server starts
    from tasks.processes.prefect_server import Note, write_note

    service = Service(setup)
    server.wait(_waiting_message())
    write_note(Note.of_this_process(server.url))  # from now on, other commands may use it
    try:
        service.start()
        _show(server, setup)
        _wait(server, service)
    except KeyboardInterrupt:
        _ignore_signals()
        message("stopping: runs are cancelled, what they have committed stays")
        service.stop()
        raise
    except BaseException:  # such as the server's end: its runs would go on without it
        _ignore_signals()
        with suppress(ServerError):  # which this error has led to
            service.stop()
        raise


def _wait(server: PrefectServer, service: Service) -> None:
    """Write a line for each run that ends, while server and service go on."""
    from flows.server.run_lines import RunLines

    runs, waits = RunLines(), 0
    while service.wait(SERVICE_POLL_SECONDS):
        server.check()
        waits += 1
        for line in runs.new() if waits % RUN_LINES_WAITS == 0 else ():
            say(line, terminal().out)


def _ignore_signals() -> None:
    """Let no second Ctrl-C cut the end short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _waiting_message() -> Callable[[float], None]:
    """Return a function that writes now and then how long the server has been awaited."""
    last = 0.0

    def report(waited: float) -> None:
        nonlocal last
        if waited - last > MESSAGE_SECONDS:
            last = waited
            message(f"waiting for Prefect's server: {waited:.0f} s")

    return report


def _show(server: PrefectServer, setup: Setup) -> None:
    from flows.server.deployments import deployments
    from flows.server.startup_notes import scorer_line, start_notes

    source = click.get_current_context().get_parameter_source("model")
    named_by = "EMI_MODEL" if source is ParameterSource.ENVIRONMENT else "--model"
    lines = [f"{one.full_name:<29} {one.when}" for one in deployments(setup)]
    lines += [scorer_line(setup, named_by), *start_notes(setup)]
    lines.append(f"Prefect's UI: {server.url} (Ctrl-C ends it and all that runs)")
    say("\n".join(lines), terminal().out)
