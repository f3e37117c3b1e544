"""The forms of exports, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from emi_model.errors import ConfigError
from tasks.exports.forms.audformat import write_audformat
from tasks.exports.forms.ducklake import write_ducklake
from tasks.exports.forms.eaf import write_eaf
from tasks.exports.forms.huggingface import write_huggingface
from tasks.exports.forms.label_studio import write_label_studio
from tasks.exports.forms.nova import write_nova
from tasks.exports.forms.tables import write_csv_table, write_excel, write_parquet_table
from tasks.exports.forms.textgrid import write_textgrids
from tasks.exports.forms.webvtt import write_webvtt
from tasks.exports.selection import Selection
from tasks.exports.target import ExportTarget

LABEL_STUDIO = "label-studio"


@dataclass(frozen=True)
class Form:
    """A format of another tool.

    Attributes:
        name: what the command calls it.
        sentence: what it is for.
        suffix: of the file that it is; empty where it is a folder.
        write: writes chosen clips to a target, and returns how many.
    """

    name: str
    sentence: str
    suffix: str
    write: Callable[[Selection, ExportTarget], int]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return not self.suffix


_ALL = (
    Form(
        "parquet",
        "One table, a row a clip, with its data dictionary: for pandas, polars, R, DuckDB.",
        ".parquet",
        write_parquet_table,
    ),
    Form(
        "csv",
        "The same as CSV, exact and in UTF-8: for programs.",
        ".csv",
        write_csv_table,
    ),
    Form(
        "excel",
        "The same as CSV that Excel and SPSS open by a double click; no cell is a formula.",
        ".csv",
        write_excel,
    ),
    Form(
        "audformat",
        "A database of audformat: a table a file, and a table of file, start, end.",
        "",
        write_audformat,
    ),
    Form(
        "eaf",
        "ELAN: an EAF 3.0 a clip, with tiers for speech, arousal, dominance, valence.",
        "",
        write_eaf,
    ),
    Form("textgrid", "Praat: a TextGrid a clip, with the same tiers.", "", write_textgrids),
    Form("nova", "NOVA: an annotation a clip and dimension, and what was said.", "", write_nova),
    Form(
        "webvtt",
        "Captions of what was said, and the timeline as a track: for players and web pages.",
        "",
        write_webvtt,
    ),
    Form(
        "huggingface",
        "An audio folder with the clips' files, their scores and a data card: for `datasets`.",
        "",
        write_huggingface,
    ),
    Form(
        LABEL_STUDIO,
        "Tasks to rate, most uncertain first; the ratings come back by `emi labels add`.",
        ".json",
        write_label_studio,
    ),
    Form(
        "ducklake",
        "A DuckLake of the tables, where DuckDB's extension is installed.",
        "",
        write_ducklake,
    ),
)
FORMS = {form.name: form for form in _ALL}


def find_form(name: str) -> Form:
    """Return a form by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name in FORMS:
        return FORMS[name]
    alike = get_close_matches(name.lower(), FORMS, n=1)
    meant = f"did you mean {alike[0]}? " if alike else ""
    raise ConfigError(f"no form {name!r}: {meant}expected one of {', '.join(FORMS)}")
