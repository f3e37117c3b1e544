from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import CorpusError
from tasks.corpus.clips import ClipFile, hash_clip
from tasks.corpus.done import DoneClip, ScoringPlan, plan_clips
from tasks.corpus.listing import check_source, clip_file, list_clips
from tasks.corpus.objects import MAX_LISTED_EACH, MIN_LISTED
from tasks.storage.open import open_folder
from tests.faulty_bucket import MODIFIED_NS, FaultyBucket

ODD_NAMES = [
    "  .mp4",
    "a'b\"c.mp4",
    "a b/c d.mp4",
    "back\\slash.mp4",
    "c:o:lon.mp4",
    "hash#1.mp4",
    "p%20q.mp4",
    "plus+.mp4",
    "q?x=1&y.mp4",
    "u\u0308.mp4",
    "ü.mp4",
    "{[<*|~^`>]}.mp4",
]


def fill(source: str, *names: str) -> str:
    for name in names:
        open_folder(source).write(name, b"abc")
    return source


def ids(clips: Sequence[ClipFile]) -> list[str]:
    return [clip.clip_id for clip in clips]


class TestPrefix:
    def test_media_at_any_depth_sorted_with_size_and_time(self, bucket: str) -> None:
        root = fill(f"{bucket}/pre", "z.MP4", "a/b/c/d.wav", "notes.txt", "mp4", "x.mp4.part")
        fill(bucket, "pre2/other.mp4", "prefix.mp4")
        clips = list_clips(root)
        assert ids(clips) == ["a/b/c/d.wav", "z.MP4"]
        (file,) = open_folder(f"{root}/a/b/c").files()
        assert clips[0] == ClipFile(
            "a/b/c/d.wav", f"{root}/a/b/c/d.wav".encode(), 3, file.modified_ns
        )
        assert clips[0].uri == f"{root}/a/b/c/d.wav"
        assert clips[0].is_remote
        assert list_clips(f"{root}/") == clips
        assert list_clips(root, limit=1) == clips[:1]
        assert len(list_clips(bucket)) == 4
        check_source(root)

    def test_any_name(self, bucket: str) -> None:
        for root in (f"{bucket}/a#b %2F?ü", bucket):
            fill(root, *ODD_NAMES)
            clips = list_clips(root)
            if root != bucket:
                assert ids(clips) == sorted(ODD_NAMES)
            assert {hash_clip(clip) for clip in clips} == {hash_clip(clips[0])} != {None}

    def test_an_object_that_makes_a_folder_is_no_clip(self, bucket: str) -> None:
        open_folder(bucket).write("talks.mp4/", b"")
        fill(f"{bucket}/talks.mp4", "one.mp4")
        assert ids(list_clips(f"{bucket}/talks.mp4")) == ["one.mp4"]

    def test_a_thousand_objects_a_request(self, faulty: FaultyBucket) -> None:
        faulty.objects = {f"pre/{number:05d}.wav": b"abc" for number in range(2500)}
        faulty.objects["pre/0.txt"] = b""
        clips = list_clips(f"{faulty.uri}/pre")
        assert len(clips) == 2500
        assert clips[0].modified_ns == MODIFIED_NS
        assert faulty.asked == ["LIST"] * 3
        faulty.asked.clear()
        check_source(f"{faulty.uri}/pre")
        assert faulty.asked == ["LIST"]

    def test_nothing_to_hear(self, bucket: str) -> None:
        fill(f"{bucket}/pre", "notes.txt")
        for source in (f"{bucket}/pre", f"{bucket}/gone", f"{bucket}/gone.csv", f"{bucket}/p.mp4/"):
            for look in (list_clips, check_source):
                with pytest.raises(CorpusError, match="no media file below it, and no object of"):
                    look(source)


class TestErrors:
    def test_no_such_bucket(self, bucket: str) -> None:
        for source in (f"{bucket}-not/pre", f"{bucket}-not", f"{bucket}-not/a.mp4"):
            with pytest.raises(CorpusError, match=r"NoSuchBucket .* are its name, the endpoint"):
                list_clips(source)

    def test_no_name(self, bucket: str) -> None:
        for source in ("s3://", "s3:///pre", f"{bucket}/a//b"):
            with pytest.raises(CorpusError, match="names no bucket, or has an empty part"):
                list_clips(source)

    def test_nobody_answers(self, monkeypatch: pytest.MonkeyPatch, faulty: FaultyBucket) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(CorpusError, match=r"^s3://[^\n]*127\.0\.0\.1:9: HTTP error[^\n]*$"):
            list_clips("s3://nobody/pre")

    @pytest.mark.parametrize("fault", [(403, "AccessDenied"), (403, "InvalidAccessKeyId")])
    def test_not_ours(self, fault: tuple[int, str], faulty: FaultyBucket) -> None:
        faulty.objects["a.mp4"] = b"abc"
        faulty.faults[""] = fault
        with pytest.raises(CorpusError, match=f"403 Forbidden: {fault[1]} some words: expected a"):
            list_clips(faulty.uri)

    @pytest.mark.parametrize("key", ["a//b.mp4", "a/./b.mp4", "tab\t.mp4"])
    def test_a_key_that_the_client_refuses(self, key: str, faulty: FaultyBucket) -> None:
        faulty.objects = {"a/c.mp4": b"abc", key: b"abc"}
        with pytest.raises(CorpusError, match="rename that object, or name the clips in a mani"):
            list_clips(faulty.uri)


def test_one_object(bucket: str) -> None:
    fill(f"{bucket}/pre", "a b.mp4", "speech.raw")
    for name in ("a b.mp4", "speech.raw"):
        uri = f"{bucket}/pre/{name}"
        (clip,) = list_clips(uri)
        assert clip == clip_file(name, uri.encode())
        assert (clip.clip_id, clip.uri, clip.size) == (name, uri, 3)
        check_source(uri)


class TestManifest:
    def test_in_a_bucket(self, bucket: str, tmp_path: Path) -> None:
        (tmp_path / "ü#.mp4").write_bytes(b"abcd")
        fill(f"{bucket}/pre", "m/sub/b c.mp4", "up.mp4", "p%20q.mp4")
        lines = [
            "uri,clip_id",
            "sub/b c.mp4,",
            "./../up.mp4,second",
            f"{bucket}/pre/p%20q.mp4,third",
            f"{(tmp_path / 'ü#.mp4').as_uri()},fourth",
            f"{tmp_path}/ü#.mp4,fifth",
            "gone.mp4,sixth",
            f"{bucket}/a//b.mp4,seventh",
            f"{bucket}-not/a.mp4,eighth",
        ]
        open_folder(f"{bucket}/pre/m").write("m.CSV", "\n".join(lines).encode())
        source = f"{bucket}/pre/m/m.CSV"
        clips = {clip.clip_id: clip for clip in list_clips(source)}
        sizes = {name: clip.size for name, clip in clips.items()}
        assert sizes == {
            "sub/b c.mp4": 3,
            "second": 3,
            "third": 3,
            "fourth": 4,
            "fifth": 4,
            "sixth": None,
            "seventh": None,
            "eighth": None,
        }
        assert clips["second"].uri == f"{bucket}/pre/up.mp4"
        assert clips["sixth"].uri == f"{bucket}/pre/m/gone.mp4"
        assert clips["fifth"].uri == (tmp_path / "ü#.mp4").as_uri()
        check_source(source)

    def test_parquet(self, bucket: str) -> None:
        fill(bucket, "a.mp4", "b.mp4")
        file = io.BytesIO()
        pq.write_table(pa.table({"uri": ["b.mp4", "a.mp4"], "label": [1, 2]}), file)
        open_folder(bucket).write("m.parquet", file.getvalue())
        manifest = list_clips(f"{bucket}/m.parquet")
        assert manifest == list_clips(bucket)

    def test_on_a_disk(self, bucket: str, tmp_path: Path) -> None:
        fill(bucket, "a.mp4")
        (tmp_path / "here.mp4").write_bytes(b"abcd")
        (tmp_path / "m.csv").write_text(f"uri\n{bucket}/a.mp4\nhere.mp4\n", encoding="utf-8")
        clips = list_clips(str(tmp_path / "m.csv"))
        assert [clip.size for clip in clips] == [4, 3]
        assert [clip.is_remote for clip in clips] == [False, True]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"uri\n../a.mp4\n", r"row 1: \.\./a\.mp4 leads out of the bucket"),
            (b"uri\nhttp://host/a.mp4\n", "row 1: http: is not supported, expected files, s3://"),
            (b"\xff\xfe\x00", "cannot be read as a manifest"),
        ],
    )
    def test_bad(self, content: bytes, said: str, bucket: str) -> None:
        open_folder(bucket).write("m.csv", content)
        with pytest.raises(CorpusError, match=said):
            list_clips(f"{bucket}/m.csv")

    def write(self, folder: Path, bucket: str, names: Sequence[str]) -> str:
        lines = ["uri", *(f"{bucket}/{name}" for name in names)]
        (folder / "m.csv").write_text("\n".join(lines), encoding="utf-8")
        return str(folder / "m.csv")

    def test_many_objects_are_listed_where_they_lie(
        self, faulty: FaultyBucket, tmp_path: Path
    ) -> None:
        names = [f"pre/{n % 7}/{n:04d}.wav" for n in range(1500)]
        faulty.objects = dict.fromkeys([*names, "other/x.wav"], b"abc")
        del faulty.objects["pre/0/0007.wav"]
        clips = list_clips(self.write(tmp_path, faulty.uri, names))
        assert [clip.uri for clip in clips if clip.size is None] == [f"{faulty.uri}/pre/0/0007.wav"]
        assert {clip.modified_ns for clip in clips} == {None, MODIFIED_NS}
        assert faulty.asked == ["LIST"] * 2
        faulty.asked.clear()
        check_source(self.write(tmp_path, faulty.uri, names))
        assert faulty.asked == ["HEAD pre/0/0000.wav"]

    def test_few_among_very_many_are_asked_for_one_by_one(
        self, faulty: FaultyBucket, tmp_path: Path
    ) -> None:
        num_others = MAX_LISTED_EACH * MIN_LISTED
        names = [f"{n:05d}.wav" for n in range(num_others, num_others + MIN_LISTED)]
        others = [f"{n:05d}.wav" for n in range(num_others)]
        faulty.objects = dict.fromkeys([*others, *names], b"abc")
        clips = list_clips(self.write(tmp_path, faulty.uri, names))
        assert {clip.size for clip in clips} == {3}
        assert sorted(faulty.asked) == [f"HEAD {name}" for name in names] + ["LIST"] * 3

    @pytest.mark.parametrize("num_clips", [1, MIN_LISTED])
    def test_who_may_not_list_asks_one_by_one(
        self, num_clips: int, faulty: FaultyBucket, tmp_path: Path
    ) -> None:
        names = [f"{n:05d}.wav" for n in range(num_clips)]
        faulty.objects = dict.fromkeys(names, b"abc")
        faulty.faults = {"": (403, "AccessDenied"), names[-1]: (403, "AccessDenied")}
        clips = list_clips(self.write(tmp_path, faulty.uri, names))
        assert [clip.size for clip in clips] == [3] * (num_clips - 1) + [None]

    def test_a_storage_that_does_not_answer(self, faulty: FaultyBucket, tmp_path: Path) -> None:
        faulty.faults = {"b.wav": (503, "SlowDown")}
        source = self.write(tmp_path, faulty.uri, ["a.wav", "b.wav"])
        with pytest.raises(CorpusError, match="503 Service Unavailable: expected a bucket"):
            list_clips(source)


class TestPlan:
    def done(self, *clips: ClipFile, modified_ns: int = MODIFIED_NS) -> dict[str, DoneClip]:
        return {c.clip_id: DoneClip(hash_clip(c), c.size, modified_ns) for c in clips}

    def test_what_is_unchanged_or_of_a_new_size_is_not_fetched(self, faulty: FaultyBucket) -> None:
        faulty.objects = {"a.wav": b"abc", "b.wav": b"abcdef", "c.wav": b"abcd"}
        a, b, c = list_clips(faulty.uri)
        done = self.done(a) | {"b.wav": DoneClip("an old hash", 4711, 1)}
        faulty.asked.clear()
        assert plan_clips([a, b, c], done) == ScoringPlan(
            todo=[b, c], num_skipped=1, num_superseded=1
        )
        assert plan_clips([a, b, c], done, rescore=True).todo == [a, b, c]
        assert faulty.asked == []

    def test_what_may_be_known_under_another_name_is_fetched_to_see(
        self, faulty: FaultyBucket
    ) -> None:
        faulty.objects = {"a.wav": b"abc", "b.wav": b"abc", "c.wav": b"cba"}
        a, b, c = list_clips(faulty.uri)
        plan = plan_clips([a, b, c], self.done(a))
        assert plan == ScoringPlan(todo=[c], reusable=[(b, "a.wav")], num_skipped=1)

    def test_the_same_object_put_again_is_fetched_once(self, faulty: FaultyBucket) -> None:
        faulty.objects = {"a.wav": b"abc"}
        (a,) = list_clips(faulty.uri)
        plan = plan_clips([a], self.done(a, modified_ns=1))
        assert plan == ScoringPlan(reusable=[(a, "a.wav")], num_superseded=1)

    def test_what_is_gone_or_forbidden_is_to_do(self, faulty: FaultyBucket) -> None:
        faulty.objects = {"a.wav": b"abc", "b.wav": b"abc", "c.wav": b"abc"}
        a, b, c = list_clips(faulty.uri)
        done = self.done(a)
        del faulty.objects["b.wav"]
        faulty.faults["c.wav"] = (403, "AccessDenied")
        assert plan_clips([a, b, c], done).todo == [b, c]
