"""Files that belong to the page, and what is not there."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from starlette.testclient import TestClient

from tasks.browsing.rendering import page_html, static_file
from tests.tasks.browsing.reading import Read


def test_pages_load_our_own_files_alone(browsed: TestClient) -> None:
    for path in ("/", "/clip?clip=speaker00000/clip0000001.mp4", "/none"):
        page = Read(browsed.get(path).text)
        named = [one["src"] for one in page.every("script") if "src" in one]
        named += [one["href"] for one in page.every("link")]
        assert named
        for address in named:
            found = browsed.get(str(address))
            assert (found.status_code, str(address).startswith("/static/")) == (200, True)
            assert found.headers["content-type"].partition(";")[0] in {
                "text/css",
                "text/javascript",
                "image/svg+xml",
            }
        assert [one for _, one, _ in page.elements if any(n.startswith("on") for n in one)] == []
        assert [one for _, one, _ in page.elements if "style" in one] == []


def test_our_scripts_and_styles_name_no_other_place() -> None:
    static = resources.files("tasks.browsing") / "static"
    own = [one for one in static.iterdir() if one.name.endswith((".js", ".css"))]
    assert len(own) >= 4
    for file in own:
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"https?:|//[a-z]|\beval\b|innerHTML", text) == [], file.name


@pytest.mark.parametrize(
    "path",
    [
        "none.js",
        "../application.py",
        "..%2fapplication.py",
        "%2e%2e/application.py",
        "vendored/../../application.py",
        "/etc/passwd",
        "",
        "vendored",
    ],
)
def test_no_other_file_is_served(browsed: TestClient, path: str) -> None:
    assert browsed.get(f"/static/{path}").status_code == 404
    assert static_file(path) is None


def test_vendored_scripts_have_their_licences(browsed: TestClient) -> None:
    for name, words in {"uPlot": "The MIT License", "wavesurfer": "BSD 3-Clause License"}.items():
        found = browsed.get(f"/static/vendored/{name}.LICENSE.txt")
        assert found.status_code == 200
        assert words in found.text


def test_an_error_is_a_line(browsed: TestClient) -> None:
    missing = browsed.get("/nothing")
    assert (missing.status_code, Read(missing.text).texts("h1")) == (
        404,
        ["There is no such page."],
    )
    assert "&lt;b&gt;" in page_html("error", words="<b>")
