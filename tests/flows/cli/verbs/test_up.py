"""`emi up` and `emi deploy`: what they refuse, each in one line and before anything is started."""

import socket

import pytest

from tasks.processes.prefect_server import Note, free_port, write_note


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_HOME", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def refused(emi, tmp_path, home):
    """Run a command that is refused; returns its one line."""

    def run(verb, *options):
        site = ("--corpus", tmp_path, "--results", tmp_path / "results")
        code, out, err = emi(verb, *site, *options)
        assert (code, out) == (2, ""), err
        (line,) = err.splitlines()
        assert not (tmp_path / "results").exists()
        return line

    return run


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Undo what the command sets for itself and its children."""
    for name in (
        "PREFECT_API_URL",
        "PREFECT_LOGGING_EXTRA_LOGGERS",
        "EMI_ONE_AT_A_TIME",
        "PREFECT_HOME",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_one_is_enough(refused, home):
    write_note(Note.of_this_process("http://127.0.0.1:4200"))
    assert "runs already: http://127.0.0.1:4200" in refused("up")


def test_a_port_that_is_taken(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1" in refused("up", "--port", port)


def test_another_server_is_meant(refused, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://lab:4200/api")
    assert "`emi deploy` registers there" in refused("up")


def test_a_server_for_everyone_wants_a_password(refused):
    said = refused("up", "--host", "0.0.0.0")
    assert "PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cron", "at night"), "'at night' in 'UTC', expected five fields"),
        (("--timezone", "Mars"), "in 'Mars', expected five fields"),
        (("--watch-cron", "* * *"), "'* * *'"),
        (("--recipe", "cake"), "cake"),
    ],
)
@pytest.mark.parametrize("verb", ["up", "deploy"])
def test_what_cannot_be_run_is_said_first(refused, verb, options, said):
    zone = () if "--timezone" in options else ("--timezone", "UTC")
    where = ("--port", 0) if verb == "up" else ("--api-url", "http://127.0.0.1:9/api")
    assert said in refused(verb, *where, *zone, *options)


def test_a_server_has_to_be_named(refused):
    assert "--api-url" in refused("deploy")


def test_a_server_that_is_not_there(refused):
    url = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}/api"
    assert f"{url}: Prefect's server is not reached" in refused("deploy", "--api-url", url)


def test_a_named_server_that_is_not_there_is_one_line(emi, monkeypatch):
    """Prefect says it with a RuntimeError."""
    from flows.cli import main

    @main.cli.command("talk")
    def talk():
        raise RuntimeError("Failed to reach API at http://127.0.0.1:9/api/")

    code, _, err = emi("talk")
    main.cli.commands.pop("talk")
    assert code == 2
    assert err.endswith("start Prefect's server, or unset PREFECT_API_URL\n")
