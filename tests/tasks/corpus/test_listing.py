from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import CorpusError
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import check_source, clip_file, list_clips
from tasks.storage.folder import recordable_ns

Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Return a function that makes files of three bytes in a folder."""

    def make(*names: str | bytes) -> Path:
        root = tmp_path / "corpus"
        root.mkdir(exist_ok=True)
        for name in names:
            path = root / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"abc")
        return root

    return make


def ids(clips: list[ClipFile]) -> list[str]:
    return [clip.clip_id for clip in clips]


class TestFolder:
    def test_media_at_any_depth_sorted_with_size_and_time(self, fill: Fill) -> None:
        root = fill(
            "z.mp4", "a/b/c/d.wav", "a/e.mkv", "notes.txt", "mp4", "a/.hidden.mp3", "x.mp4.part"
        )
        os.utime(root / "z.mp4", ns=(1, 1_234_567_890_123_456_789))
        clips = list_clips(str(root))
        assert ids(clips) == ["a/.hidden.mp3", "a/b/c/d.wav", "a/e.mkv", "z.mp4"]
        assert clips[3] == ClipFile("z.mp4", bytes(root / "z.mp4"), 3, 1_234_567_890_123_456_789)
        assert clips[1].file().read_bytes() == b"abc"
        assert ids(list_clips(str(root), limit=2)) == ids(clips)[:2]
        assert ids(list_clips(str(root), limit=9)) == ids(clips)

    @pytest.mark.parametrize("year", [1601, 1677, 2262, 2300])
    def test_a_time_that_no_table_can_hold_is_null(self, year: int, fill: Fill) -> None:
        path = fill("a.mp4") / "a.mp4"
        seconds = round((year - 1970) * 365.2425 * 86_400)
        os.utime(path, (seconds, seconds))  # some file systems keep the nearest that they can hold
        (clip,) = list_clips(str(path.parent))
        assert clip.size == 3
        pa.array([clip.modified_ns], pa.int64())
        assert clip.modified_ns == recordable_ns(path.stat().st_mtime_ns)

    @pytest.mark.parametrize(
        "name",
        [
            "-dash.mp4",
            "c:o:lon.mp4",
            "new\nline.mp4",
            "LOUD.MP4",
            "  .mp4",
            "ünï.mp4",
            "a'b\"c.mp4",
        ],
    )
    def test_any_name(self, name: str, fill: Fill) -> None:
        (clip,) = list_clips(str(fill(name)))
        assert clip.clip_id == name
        assert clip.file().read_bytes() == b"abc"

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
    def test_bytes_that_are_no_utf_8(self, fill: Fill) -> None:
        (clip,) = list_clips(str(fill(b"caf\xe9/\xff.mp4")))
        assert clip.clip_id == r"caf\xe9/\xff.mp4"
        assert clip.file().read_bytes() == b"abc"

    def test_links(self, fill: Fill, tmp_path: Path) -> None:
        root = fill("a/one.mp4", "b/two.mp4")
        (root / "a" / "up").symlink_to(root)
        (root / "c").symlink_to(root / "b")
        (root / "a" / "self").symlink_to(root / "a" / "self")
        (root / "linked.mp4").symlink_to(root / "a" / "one.mp4")
        (root / "gone.mp4").symlink_to(root / "nowhere")
        clips = list_clips(str(root))
        assert ids(clips) == ["a/one.mp4", "b/two.mp4", "gone.mp4", "linked.mp4"]
        assert clips[2].size is None
        (tmp_path / "link").symlink_to(root)
        assert ids(list_clips(str(tmp_path / "link"))) == ids(clips)

    def test_a_folder_reached_in_two_ways_has_the_first_name(self, fill: Fill) -> None:
        root = fill("m/one.mp4")
        for name in ("z", "b"):
            (root / name).symlink_to(root / "m")
        assert ids(list_clips(str(root))) == ["b/one.mp4"]

    def test_relative(self, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
        root = fill("-x/a.mp4")
        monkeypatch.chdir(root)
        assert ids(list_clips(".")) == ["-x/a.mp4"]
        Path("list.csv").write_text("uri\n-x/a.mp4\n")
        for source in ("-x", "-x/a.mp4", "list.csv"):  # workers have another current folder
            (clip,) = list_clips(source)
            assert clip.path == os.fsencode(root / "-x" / "a.mp4")
        assert ids(list_clips("-x")) == ["a.mp4"]

    def test_accents_of_the_current_folder_stay_as_they_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        composed, taken_apart = (unicodedata.normalize(f, "ë") for f in ("NFC", "NFD"))
        folder = tmp_path / composed
        folder.mkdir()
        clip = folder / f"{taken_apart}.mp4"
        clip.touch()
        monkeypatch.chdir(folder)
        Path("list.csv").write_text(f"uri\n{composed}.mp4\n")
        (found,) = list_clips("list.csv")
        assert (found.path, found.size) == (os.fsencode(clip), 0)

    @pytest.mark.parametrize("names", [[], ["notes.txt", "a/mp4"]])
    def test_no_media(self, names: list[str], fill: Fill) -> None:
        for look in (list_clips, check_source):
            with pytest.raises(CorpusError, match="no media file in this folder or below it"):
                look(str(fill(*names)))

    def test_nothing_there(self, tmp_path: Path) -> None:
        for name in ("gone", "gone.mp4", "gone.csv"):
            for look in (list_clips, check_source):
                with pytest.raises(CorpusError, match="no such folder, file or manifest"):
                    look(str(tmp_path / name))


def test_one_file(fill: Fill) -> None:
    root = fill("a.mp4", "speech.raw")
    for name in ("a.mp4", "speech.raw"):
        assert list_clips(str(root / name)) == [clip_file(name, bytes(root / name))]
        check_source(str(root / name))
    check_source(str(root))


def write_csv(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


class TestManifest:
    def test_csv(self, fill: Fill, tmp_path: Path) -> None:
        root = fill("a.mp4", "sub/b c.mp4", "ü#?.mp4", "no suffix")
        uri = (root / "ü#?.mp4").as_uri()
        lines = ["\ufeffuri,clip_id,label", "sub/b c.mp4,,1", f"{uri},third,2", f"{root}/a.mp4,,3"]
        source = write_csv(root / "m.CSV", *lines, '"no suffix",first,4', "gone.mp4,,5")
        clips = list_clips(source)
        assert ids(clips) == [f"{root}/a.mp4", "first", "gone.mp4", "sub/b c.mp4", "third"]
        assert [clip.size for clip in clips] == [3, 3, None, 3, 3]
        assert clips[4].file() == root / "ü#?.mp4"
        check_source(source)

    def test_parquet(self, fill: Fill) -> None:
        root = fill("a.mp4", "b.mp4")
        table = pa.table({"label": [1, 2], "uri": ["b.mp4", "a.mp4"]})
        pq.write_table(table, root / "m.parquet")
        assert list_clips(str(root / "m.parquet")) == list_clips(str(root))

    def test_parquet_of_other_types(self, fill: Fill) -> None:
        root = fill("a.mp4", "b.mp4")
        uris = pa.array(["a.mp4", "b.mp4"]).dictionary_encode()
        pq.write_table(pa.table({"uri": uris, "clip_id": [10, 0]}), root / "m.parquet")
        assert ids(list_clips(str(root / "m.parquet"))) == ["0", "10"]

    def test_names_of_other_schemes_are_paths(self, fill: Fill) -> None:
        root = fill("odd:name.mp4")
        clips = list_clips(write_csv(root / "m.csv", "uri", "odd:name.mp4"))
        assert [clip.size for clip in clips] == [3]

    @pytest.mark.parametrize(
        ("name", "lines"),
        [
            ("m.csv", [" uri , clip_id", " sub/../a.mp4 , c0 ", "ü.mp4,c1"]),
            ("m.csv", ["uri;clip_id", "a.mp4;c0", "ü.mp4;c1"]),
            ("m.tsv", ["uri\tclip_id", "a.mp4\tc0", "ü.mp4\tc1"]),
            ("m.txt", ["clip_id\turi", "c0\ta.mp4", "c1\tü.mp4"]),
            (
                "m.jsonl",
                ['{"uri": "a.mp4", "clip_id": "c0"}', "", '{"clip_id":"c1","uri":"ü.mp4"}'],
            ),
        ],
    )
    def test_tables_of_other_programs(self, name: str, lines: list[str], fill: Fill) -> None:
        root = fill("a.mp4", "ü.mp4", "sub/b.mp4")
        clips = list_clips(write_csv(root / name, *lines))
        assert [(clip.clip_id, clip.size) for clip in clips] == [("c0", 3), ("c1", 3)]

    def test_json_lines_may_name_clips_by_numbers(self, fill: Fill) -> None:
        root = fill("a.mp4", "b.mp4")
        lines = ['{"uri": "a.mp4", "clip_id": 7}', '{"uri": "b.mp4", "clip_id": null}']
        assert ids(list_clips(write_csv(root / "m.jsonl", *lines))) == ["7", "b.mp4"]

    @pytest.mark.parametrize("name", ["a\u2028b.mp4", "a\x85b.mp4", "a\x0cb.mp4"])
    def test_a_name_may_hold_what_ends_a_line_elsewhere(self, name: str, fill: Fill) -> None:
        root = fill(name)
        row = json.dumps({"uri": name}, ensure_ascii=False)
        for source in (write_csv(root / "m.jsonl", row), write_csv(root / "m.txt", name)):
            assert [clip.file() for clip in list_clips(source)] == [root / name]

    @pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
    def test_a_file_as_a_store_names_it(self, fill: Fill) -> None:
        root = fill(b"\xff.mp4")
        (clip,) = list_clips(str(root))
        (found,) = list_clips(write_csv(root / "m.csv", "uri,clip_id", f"{clip.uri},a"))
        assert (found.path, found.size) == (clip.path, 3)

    def test_a_list_of_paths(self, fill: Fill) -> None:
        root = fill("a, b.mp4", "ü.mp4")
        clips = list_clips(write_csv(root / "list.txt", " a, b.mp4 ", "", f"{root}/ü.mp4"))
        assert [clip.size for clip in clips] == [3, 3]
        assert ids(clips) == [f"{root}/ü.mp4", "a, b.mp4"]

    def test_accents_may_be_composed_as_on_no_disk(self, fill: Fill) -> None:
        composed, taken_apart = (unicodedata.normalize(f, "ë.mp4") for f in ("NFC", "NFD"))
        root = fill(composed)
        (clip,) = list_clips(write_csv(root / "m.csv", "uri", taken_apart))
        assert (clip.clip_id, clip.file()) == (taken_apart, root / composed)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("m.jsonl", b'{"uri": "a.mp4"}\n[1]\n', "line 2 holds .1., expected an object"),
            ("m.jsonl", b'{"uri": "a.mp4", "clip_id": [1]}\n', "line 1: clip_id is .1., expected"),
            ("m.jsonl", b"uri\n", "line 1 is no JSON"),
            ("m.json", b'[{"uri": "a.mp4"}]', "has no column uri|no rows"),
            ("m.xlsx", b"PK\3\4", "an Excel workbook"),
            ("m.txt", b"", "the manifest has no rows"),
        ],
    )
    def test_what_is_no_manifest(
        self, name: str, content: bytes, said: str, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CorpusError, match=said):
            list_clips(str(tmp_path / name))

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (["path", "a.mp4"], "has no column uri among path: expected one, filled"),
            (["uri,clip_id", "a.mp4,x", ",y"], "row 2 has no uri"),
            (["uri", "a.mp4", "a.mp4"], r"row 2 repeats a\.mp4: expected every clip once"),
            (["uri,clip_id", "a.mp4,x", "b.mp4,x"], "row 2 repeats x"),
            (["uri", "http://host/a.mp4"], "row 1: http: is not supported, expected files"),
            (["uri", "a, b.mp4"], "line 2 has 2 cells, expected 1: put a name that holds"),
            (["uri"], "the manifest has no rows"),
            ([], "the manifest has no rows"),
        ],
    )
    def test_bad_csv(self, lines: list[str], said: str, fill: Fill) -> None:
        with pytest.raises(CorpusError, match=said):
            list_clips(write_csv(fill("a.mp4", "b.mp4") / "m.csv", *lines))

    @pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
    def test_not_what_its_name_says(self, name: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(CorpusError, match="cannot be read as a manifest"):
            list_clips(str(tmp_path / name))

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"path": ["a.mp4"]}, "has no column uri"),
            ({"uri": [{"a": 1}]}, "cannot be read as a manifest"),
        ],
    )
    def test_bad_parquet(self, columns: dict[str, list[object]], said: str, tmp_path: Path) -> None:
        pq.write_table(pa.table(columns), tmp_path / "m.parquet")
        with pytest.raises(CorpusError, match=said):
            list_clips(str(tmp_path / "m.parquet"))

    def test_a_name_that_no_file_can_have_is_a_clip_that_is_missing(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"uri": ["a\0.mp4", "n" * 300]}), tmp_path / "m.parquet")
        assert [clip.size for clip in list_clips(str(tmp_path / "m.parquet"))] == [None, None]


def test_two_names_with_one_clip_id_are_refused(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    for name in (b"\xff.mp4", rb"\xff.mp4"):
        Path(os.fsdecode(root + b"/" + name)).touch()
    with pytest.raises(CorpusError, match="share the clip id"):
        list_clips(str(tmp_path))
