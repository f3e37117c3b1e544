"""Files that are played: those that the store names and that were scored, in ranges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tasks.browsing.media import MAX_FETCHED, PlayableFiles, media_type_of
from tasks.corpus.clips import hash_content
from tasks.store.store import ResultsStore
from tests.tasks.browsing.reading import Read

Browse = Callable[..., TestClient]
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def corpus(tmp_path: Path, commit: Callable[..., None]) -> Path:
    """Return a folder of three clips, of which the store knows two, and one that it does not."""
    folder = tmp_path / "corpus"
    (folder / "one").mkdir(parents=True)
    for name in ("one/a.mp4", "b.wav", "other.mp4", "secret.txt"):
        (folder / name).write_bytes(CONTENT)
    digest = hash_content(folder / "b.wav")
    for number, name in enumerate(("one/a.mp4", "b.wav", "gone.mp4", "secret.txt")):
        uri = (folder / name).as_uri()
        commit(f"part{number}", name, content_sha256=digest, uri=uri)
    commit("part9", "../secret.txt", content_sha256=digest)
    commit("part8", "passwd", content_sha256="00", uri="file:///etc/passwd")
    commit("part7", "bad.mp4", reason="unreadable", content_sha256=None)
    return folder


def media(client: TestClient, clip_id: str, **headers: str) -> Any:
    return client.get("/media", params={"clip": clip_id}, headers=headers)


def test_ranges(browse: Browse, store: ResultsStore, corpus: Path) -> None:
    client = browse(store.location)
    whole = media(client, "one/a.mp4")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"
    part = media(client, "b.wav", range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert media(client, "b.wav", range="bytes=-10").content == CONTENT[-10:]
    assert media(client, "b.wav", range="bytes=10000-").content == CONTENT[10000:]
    assert media(client, "b.wav", range=f"bytes={len(CONTENT)}-").status_code == 416
    head = client.head("/media", params={"clip": "b.wav"})
    assert (head.headers["content-length"], head.content) == (str(len(CONTENT)), b"")
    page = Read(client.get("/clip", params={"clip": "one/a.mp4"}).text)
    (video,) = page.every("video")
    assert client.get(str(video["src"])).content == CONTENT
    assert Read(client.get("/clip", params={"clip": "b.wav"}).text).every("audio") != []


def test_why_a_clip_does_not_play(browse: Browse, store: ResultsStore, corpus: Path) -> None:
    client = browse(store.location, corpus)
    (corpus / "b.wav").write_bytes(CONTENT + b"more")
    for clip_id, words in {
        "gone.mp4": "The file is not in the corpus that --corpus names",
        "b.wav": "The file was changed since the scores were made",
        "../secret.txt": "The file is not in the corpus",
        "bad.mp4": "The file could not be read when the row was made.",
        "passwd": "The file is not in the corpus",
    }.items():
        assert media(client, clip_id).status_code == 404
        page = Read(client.get("/clip", params={"clip": clip_id}).text)
        assert page.text("no-media").startswith(words)
    assert media(client, "other.mp4").status_code == 404, "the store does not name it"
    assert media(client, "secret.txt").headers["content-type"] == "application/octet-stream"


def test_a_foreign_store_opens_no_file(browse: Browse, store: ResultsStore, corpus: Path) -> None:
    client = browse(store.location)
    assert media(client, "passwd").status_code == 404
    page = Read(client.get("/clip", params={"clip": "passwd"}).text)
    assert page.text("no-media").startswith("The file was changed since")


def test_clips_of_a_bucket_are_fetched(
    bucket: str, put_objects: Callable[..., None], corpus: Path
) -> None:
    names = [f"{number}.wav" for number in range(MAX_FETCHED + 1)]
    put_objects(f"{bucket}/clips", dict.fromkeys(names, CONTENT))
    digest = hash_content(corpus / "one/a.mp4")
    files = PlayableFiles(f"{bucket}/clips")
    paths = [files.find(name, "", digest).path for name in names]
    assert [path is not None and path.exists() for path in paths] == [False, *[True] * MAX_FETCHED]
    assert files.find(names[-1], "", digest).path == paths[-1]
    assert files.find("none.wav", "", digest).path is None
    assert files.find(names[1], "", "00").path is None
    by_address = PlayableFiles(None).find("x.wav", f"{bucket}/clips/1.wav", digest)
    assert by_address.size == len(CONTENT)
    files.close()
    assert not any(path.exists() for path in paths if path is not None)


def test_a_store_in_a_bucket(
    bucket: str,
    place_store: Callable[..., ResultsStore],
    browse: Browse,
    make_rows: Callable[..., Any],
    make_stamp: Callable[..., Any],
) -> None:
    from tasks.scoring.commit import tables_of

    store = place_store(f"{bucket}/below/store")
    store.commit("part1", tables_of(make_rows("a.mp4"), make_stamp()))
    client = browse(store.location)
    assert [row[0] for row in Read(client.get("/").text).rows()] == ["a.mp4"]
    assert client.get("/clip", params={"clip": "a.mp4"}).status_code == 200


def test_types() -> None:
    assert media_type_of("a/b.OPUS") == "audio/ogg"
    assert media_type_of("a.mov") == "video/mp4"
    assert media_type_of("a.html") == media_type_of("a") == "application/octet-stream"
