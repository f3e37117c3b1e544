"""What people read: links and files that are there, commands that parse, code that compiles."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest
from markdown.extensions.toc import slugify

from flows.cli.main import cli
from tasks.schema.outcomes import Flag, Reason

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "infra" / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / ".github").glob("*.md")),
    ROOT / "infra" / "SECURITY.md",
    *sorted(DOCS.glob("*.md")),
]
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

README_WORDS = 900
WRITTEN = "infra/.env"
"""A file that the reader writes."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s/\"$])(?<!namespace )emi (?=[a-z\"-])(.*)")
FILE = re.compile(r"(?:flows|tasks|emi_model|tests|infra|\.github)(?:/[\w.-]+)*/?")
COMMENT = re.compile(r"\s+#\s.*|\s*(?:>>|\|).*|`.*")


def text_of(page):
    return page.read_text(encoding="utf-8")


def prose(page):
    """The text without its code blocks."""
    return FENCE.sub("", text_of(page))


def blocks(page, *languages):
    return [code for language, code in FENCE.findall(text_of(page)) if language in languages]


def commands(page):
    """Every `emi ...` of the code blocks, as a shell would split it."""
    for code in blocks(page, "", "bash"):
        for line in code.replace("\\\n", " ").splitlines():
            found = COMMAND.search(line)
            if found:
                yield shlex.split(COMMENT.sub("", found[1]))


def command_of(words):
    """The click command that words name, and the words that are left for it."""
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"no verb {name}"
        command = found
    return command, words


def anchors(page):
    return {slugify(title, "-") for title in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").split()) <= README_WORDS


@EACH
def test_links_lead_somewhere(page):
    targets = LINK.findall(prose(page))
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@EACH
def test_files_that_are_named_exist(page):
    named = [word for word in CODE.findall(prose(page)) if FILE.fullmatch(word)]
    assert [name for name in named if not (ROOT / name).exists() and name != WRITTEN] == []


@EACH
def test_commands_parse(page, monkeypatch):
    monkeypatch.setenv("EMI_WHEEL", "")  # an option of the page may set it
    for words in commands(page):
        command, rest = command_of(words)
        if not isinstance(command, click.Group):
            command.make_context(command.name, list(rest))


@EACH
def test_commands_in_sentences_name_verbs_and_options_that_exist(page):
    for span in CODE.findall(prose(page)):
        if not span.startswith("emi "):
            continue
        words = span.removeprefix("emi ").split()
        if words[0] in {"VERB", "--version", "--help"}:
            continue
        command, rest = command_of(words)
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= options, span


def test_commands_are_found_and_wrong_ones_refused():
    found = [words[0] for words in commands(ROOT / "README.md")]
    assert {"process", "query", "schema", "demo"} <= set(found)
    command, rest = command_of(["process", "DIR", "--no-such-option"])
    with pytest.raises(click.NoSuchOption):
        command.make_context("process", rest)
    with pytest.raises(AssertionError, match="no verb proces"):
        command_of(["proces", "DIR"])


@EACH
def test_python_compiles_and_what_it_imports_is_there(page):
    for code in blocks(page, "python"):
        tree = ast.parse(code)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), page.name, "exec"), {})
        assert compile(code, page.name, "exec")


def test_every_verb_is_explained():
    listed = text_of(DOCS / "commands.md")
    assert [name for name in cli.commands if f"`emi {name}" not in listed] == []
    readme = text_of(ROOT / "README.md")
    assert [name for name in cli.commands if f"`emi {name}" not in readme] == []


def test_every_reason_and_flag_is_explained():
    page = text_of(DOCS / "results.md")
    assert [name.value for name in (*Reason, *Flag) if f"`{name.value}`" not in page] == []


def test_every_setting_is_explained():
    page = text_of(DOCS / "commands.md")
    source = "".join(
        text_of(path)
        for room in ("emi_model", "tasks", "flows")
        for path in (ROOT / room).rglob("*.py")
    )
    settings = set(re.findall(r"\"(EMI_[A-Z_]+)\"", source))
    assert {"EMI_MODEL", "EMI_HOME"} <= settings
    internal = {name for name in settings if f"`{name}`" not in page}
    assert internal <= INTERNAL


INTERNAL = {"EMI_GUARD"}
"""Variables that the project's own processes give each other."""


def test_systemd_leaves_the_end_in_order_to_the_command():
    for page in PAGES:
        if "ExecStart=" in text_of(page):
            assert "KillMode=mixed" in text_of(page), page.name


def test_pictures_are_small_and_whole():
    for picture in DOCS.glob("*.svg"):
        assert ET.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert picture.stat().st_size < 10_000


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    """As `make docs` does, in a folder of its own."""
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "infra" / "zensical.toml", tmp_path)
    zensical = Path(sys.executable).parent / "zensical"
    command = [zensical, "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {page.stem for page in DOCS.glob("*.md")}
    assert pages <= {page.stem for page in (tmp_path / "html").glob("*.html")}
    for page in pages:
        html = text_of(tmp_path / "html" / f"{page}.html")
        assert re.findall(r"<(?:script|img|iframe)[^>]+src=\"(?:https?:)?//", html) == []
        assert re.findall(r"<link[^>]+rel=\"stylesheet\"[^>]+href=\"(?:https?:)?//", html) == []


def test_every_page_is_in_the_navigation():
    site = tomllib.loads(text_of(ROOT / "infra" / "zensical.toml"))["project"]
    listed = [page for entry in site["nav"] for value in entry.values() for page in _pages(value)]
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def _pages(value):
    return [value] if isinstance(value, str) else value
