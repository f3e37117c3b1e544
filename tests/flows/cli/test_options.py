"""Options that several verbs share: one name of the store, the home in every location."""

from pathlib import Path

import click
import pytest

from flows.cli.main import cli
from flows.cli.options import LocalPath, Location, stores_of


def commands(group=cli, names=("emi",)):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        else:
            yield " ".join([*names, name]), command


COMMANDS = dict(commands())
PLACES = ("DIR", "FILE", "FILE...", "REF", "AUTHORS.pth")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_location_may_begin_with_the_home(name):
    for parameter in COMMANDS[name].params:
        if parameter.metavar in PLACES or parameter.name in ("source", "file"):
            assert isinstance(parameter.type, (Location, LocalPath)), parameter.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_stand_in_lines_of_their_own(name):
    text = COMMANDS[name].get_help(click.Context(COMMANDS[name], info_name=name))
    assert "\\b" not in text, "in a raw text click does not see the mark that keeps lines"


def test_the_home_is_put_in_place(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, taken in (
        ("~/x", f"{tmp_path}/x"),
        ("s3://bucket/~/x", "s3://bucket/~/x"),
        ("./~/x", "./~/x"),
        ("owner/name", "owner/name"),
    ):
        assert Location().convert(given, None, None) == taken
    assert LocalPath().convert("~/x", None, None) == tmp_path / "x"
    assert LocalPath().convert("x", None, None) == Path("x")


@pytest.mark.parametrize("place", ["gcs://bucket/x", "s3a://bucket/x", "https://host/x"])
def test_a_storage_without_a_client_is_no_folder_of_that_name(place):
    with pytest.raises(click.UsageError, match=f"{place}: is no place .* s3://, gs://, az://"):
        COMMANDS["emi query"].make_context("query", ["SELECT 1", "--output", place])


def test_every_verb_that_takes_a_store_calls_it_results():
    stores = [
        (name, parameter)
        for name, command in COMMANDS.items()
        for parameter in command.params
        if parameter.name in ("results", "labels", "store")
    ]
    assert len(stores) > 10
    for name, parameter in stores:
        opts = parameter.opts
        assert "--results" in opts or any(
            "--results" in other.opts for other in COMMANDS[name].params
        ), name
        if "--results" in opts and name != "emi embed":  # whose files are no store
            assert parameter.envvar == "EMI_RESULTS", name


@pytest.mark.parametrize("alias", ["--results", "--labels", "--store"])
def test_former_names_of_the_store_stay(emi, tmp_path, alias):
    code, _, err = emi("labels", "list", alias, tmp_path / "none")
    assert (code, "no results store here" in err) == (2, True)


@pytest.mark.parametrize("alias", ["--results", "--labels"])
def test_training_knows_both_names(emi, tmp_path, alias):
    code, _, err = emi("train", alias, tmp_path / "none", "--corpus", tmp_path)
    assert (code, "no results store here" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "variable", "expected"),
    [
        (["--results", "r"], None, ("r", "r")),
        (["--labels", "l"], None, ("l", None)),
        (["--labels", "l", "--results", "r"], None, ("l", "r")),
        (["--labels", "l"], "e", ("l", None)),
        ([], "e", ("e", "e")),
    ],
)
def test_the_store_of_the_labels_and_that_of_the_figures(
    arguments, variable, expected, monkeypatch
):
    found = []

    @click.command()
    @click.option("--labels")
    @click.option("--results", envvar="EMI_RESULTS")
    def verb(labels, results):
        found.append(stores_of(labels, results))

    monkeypatch.delenv("EMI_RESULTS", raising=False)
    if variable:
        monkeypatch.setenv("EMI_RESULTS", variable)
    verb.main(arguments, standalone_mode=False)
    assert found == [expected]


def test_a_store_that_nobody_named(emi, monkeypatch, tmp_path):
    monkeypatch.delenv("EMI_RESULTS", raising=False)
    for verb in (["evaluate"], ["ablate"]):
        code, _, err = emi(*verb, "--corpus", tmp_path)
        assert (code, "Missing option '--results'" in err) == (2, True)
