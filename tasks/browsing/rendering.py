"""Pages as HTML: templates in which all text is escaped, and the files that belong to them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from tasks.reports.page import NOTHING, shown, titled

_TYPES = {
    ".svg": "image/svg+xml",
    ".css": "text/css",
    ".js": "text/javascript",
    ".txt": "text/plain",
}
MAX_VALUE_CHARS = 300
"""Characters of a value in a table."""
MAX_FACET_CHARS = 60
"""Characters of a facet's value."""


def page_html(name: str, **values: Any) -> str:
    """Return the page of a template, ``pages/NAME.html``, with these values."""
    return _environment().get_template(f"{name}.html").render(values)


def prepare_pages() -> None:
    """Translate all templates into code, so that the first page does not wait for it."""
    for page in (resources.files("tasks.browsing") / "pages").iterdir():
        if page.name.endswith(".html"):
            _environment().get_template(page.name)


def static_file(path: str) -> tuple[bytes, str] | None:
    """Return a file that belongs to the pages, and its type; None if there is no such file.

    Args:
        path: below ``static/``, or ``report.css``: the style that pages and reports share.
    """
    return _static_files().get(path)


@cache
def _static_files() -> Mapping[str, tuple[bytes, str]]:
    """Return all files by path: no path that a request names is ever opened."""
    found = {"report.css": (resources.files("tasks.reports") / "style.css").read_bytes()}
    static = resources.files("tasks.browsing") / "static"
    for folder, prefix in ((static, ""), (static / "vendored", "vendored/")):
        found |= {
            f"{prefix}{one.name}": one.read_bytes() for one in folder.iterdir() if one.is_file()
        }
    return {
        path: (content, _TYPES[PurePosixPath(path).suffix])
        for path, content in found.items()
        if PurePosixPath(path).suffix in _TYPES
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_source),
    )
    environment.filters |= {
        "shown": _shown,
        "short": _short,
        "decimals": _decimals,
        "titled": titled,
        "as_json": _as_json,
    }
    return environment


def _source(name: str) -> str:
    return (resources.files("tasks.browsing") / "pages" / name).read_text(encoding="utf-8")


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        text = json.dumps(value, ensure_ascii=False, default=str) if value else NOTHING
    else:
        text = shown(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."


def _short(text: str) -> str:
    return text if len(text) <= MAX_FACET_CHARS else f"{text[:MAX_FACET_CHARS]}..."


def _decimals(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _as_json(value: Any) -> Markup:
    """Return a value as JSON for a script element: nothing in it ends the element."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value
