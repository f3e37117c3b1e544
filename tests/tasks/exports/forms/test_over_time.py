"""Forms over time, each read back: by its tool's library, or as its documentation says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import webvtt
from praatio import textgrid
from pympi.Elan import Eaf

from tasks.exports.clip_names import file_stem
from tasks.exports.export import Exported
from tests.tasks.exports.made_store import CLASH, FOLDED, FORMULA, LICENCE, QUIET, SAID, TALK

Export = Callable[[str], tuple[Path, Exported]]
TIMED = ("eaf", "textgrid", "nova", "webvtt")
NAMES = {
    **{clip_id: file_stem(clip_id, clashing=True) for clip_id in (TALK, CLASH, FOLDED)},
    **{clip_id: file_stem(clip_id, clashing=False) for clip_id in (FORMULA, QUIET)},
}
SPEECH = [(1.5, 2.25, SAID), (2.25, 3.0, "naïve words")]
"""The segments in the recording, whose sound begins at 1 s; the first is cut by the second."""
VALENCE = [(1.0, 2.0, 0.5), (2.0, 3.0, 0.5), (3.0, 3.5, 0.5)]


@pytest.mark.parametrize("form", TIMED)
def test_clips_have_a_file_each_and_what_has_no_time_is_counted(
    exported: Export, form: str
) -> None:
    folder, done = exported(form)
    assert (done.num_clips, done.left_out) == (5, {"rejected, so nothing to show over time": 1})
    ending = {"textgrid": ".TextGrid", "webvtt": ".timeline.vtt", "nova": "", "eaf": ".eaf"}[form]
    assert all((folder / f"{name}{ending}").exists() for name in NAMES.values())
    assert len({name.lower() for name in NAMES.values()}) == 5
    assert "broken" not in {path.stem for path in folder.rglob("*")}


def test_elan(exported: Export) -> None:
    folder, _ = exported("eaf")
    found = Eaf(folder / f"{NAMES[TALK]}.eaf")
    assert found.adocument["FORMAT"] == "3.0"
    assert found.licenses[0][0] == f"scores: weights under {LICENCE}"
    assert ("clip_id", TALK) in found.properties
    assert found.media_descriptors[0]["MEDIA_URL"] == f"file:///clips/{TALK}"
    assert list(found.get_tier_names()) == ["speech", "arousal", "dominance", "valence"]
    speech = [
        (start / 1000, end / 1000, " ".join(text.split()))
        for start, end, text in sorted(found.get_annotation_data_for_tier("speech"))
    ]
    assert speech == SPEECH
    valence = sorted(found.get_annotation_data_for_tier("valence"))
    assert [(a / 1000, b / 1000, float(text)) for a, b, text in valence] == VALENCE
    quiet = Eaf(folder / f"{NAMES[QUIET]}.eaf")
    assert list(quiet.get_tier_names()) == ["arousal", "dominance", "valence"]
    assert ("clip_id", QUIET) in quiet.properties


def test_praat(exported: Export) -> None:
    folder, _ = exported("textgrid")
    path = str(folder / f"{NAMES[TALK]}.TextGrid")
    found = textgrid.openTextgrid(path, includeEmptyIntervals=True)
    assert (found.minTimestamp, found.maxTimestamp) == (0, 3.5)
    assert found.tierNames == ("speech", "arousal", "dominance", "valence")
    speech = found.getTier("speech").entries
    assert [tuple(one) for one in speech] == [(0, 1.5, ""), *SPEECH, (3.0, 3.5, "")]
    valence = found.getTier("valence").entries
    assert [(one.start, one.end, float(one.label or 0)) for one in valence] == [
        (0, 1, 0),
        *VALENCE,
    ]


def test_nova(exported: Export) -> None:
    folder, _ = exported("nova")
    session = folder / NAMES[TALK]
    names = {path.name.removesuffix("~") for path in session.iterdir()}
    schemes = ("arousal", "dominance", "valence", "speech")
    assert names == {f"speaker.{name}.emi.annotation" for name in schemes}
    root = ElementTree.parse(session / "speaker.valence.emi.annotation").getroot()
    assert root.attrib == {"ssi-v": "3"}
    scheme = root.find("scheme")
    assert scheme is not None
    assert scheme.attrib == {
        "name": "valence",
        "type": "CONTINUOUS",
        "sr": "1",
        "min": "0",
        "max": "1",
    }
    lines = (session / "speaker.valence.emi.annotation~").read_text().splitlines()
    assert lines == ["NaN;0", "0.5000;1", "0.5000;1", "0.5000;1"]
    info = root.find("info")
    assert info is not None
    assert info.attrib == {"ftype": "ASCII", "size": "4"}
    lines = (session / "speaker.speech.emi.annotation~").read_text().splitlines()
    said = [line.split(";") for line in lines]
    assert [(float(a), float(b), float(sure)) for a, b, _, sure in said] == [
        (start, end, 1) for start, end, _ in SPEECH
    ]
    assert said[0][2] == SAID.replace('"', "'").replace(";", ",")


def test_captions_and_the_track_of_numbers(exported: Export) -> None:
    folder, _ = exported("webvtt")
    captions = webvtt.read(str(folder / f"{NAMES[TALK]}.vtt"))
    assert [(cue.start, cue.end) for cue in captions] == [
        ("00:00:01.500", "00:00:02.250"),
        ("00:00:02.250", "00:00:03.000"),
    ]
    assert captions[0].raw_text == 'he said "yes" &amp; &lt;no&gt; --&gt; ; ok'
    assert captions[1].text == "naïve words"
    track = webvtt.read(str(folder / f"{NAMES[TALK]}.timeline.vtt"))
    assert [json.loads(cue.text)["valence"] for cue in track] == [0.5, 0.5, 0.5]
    assert LICENCE in (folder / f"{NAMES[TALK]}.timeline.vtt").read_text()
    assert not (folder / f"{NAMES[QUIET]}.vtt").exists()
