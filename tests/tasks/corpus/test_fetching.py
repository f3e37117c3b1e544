from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from emi_model.errors import CorpusError
from tasks.corpus import fetching
from tasks.corpus.fetching import Local, fetched, hash_object
from tasks.schema.outcomes import Rejection
from tasks.storage.folder import StoredFile
from tasks.storage.open import open_folder
from tests.faulty_bucket import MODIFIED_NS, FaultyBucket

CONTENT = b"sound" * 1000


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the scratch folder."""
    monkeypatch.setenv("EMI_SCRATCH", str(tmp_path / "room"))
    monkeypatch.setenv("EMI_SCRATCH_BYTES", "1000000")
    return tmp_path / "room"


def rejected(uri: str, listed: StoredFile | None = None) -> tuple[str, str]:
    with fetched(uri, listed) as found:
        assert isinstance(found, Rejection), found
        assert found.detail.isprintable()
        return found.reason.value, found.detail


@pytest.mark.parametrize("name", ["ü b#1 %20?+'\".mp4", "no suffix", "odd.s*ffix"])
def test_an_object_is_a_file_while_it_is_used(name: str, bucket: str, room: Path) -> None:
    folder = open_folder(f"{bucket}/a b#%41")
    folder.write(name, CONTENT)
    (listed,) = folder.files()
    for known in (listed, None):
        with fetched(f"{folder.uri}/{name}", known) as found:
            assert isinstance(found, Local)
            assert found.path.read_bytes() == CONTENT
            assert found.content_sha256 == hashlib.sha256(CONTENT).hexdigest()
            assert (found.size, found.modified_ns) == (len(CONTENT), listed.modified_ns)
            assert found.path.parent == room
            assert found.path.suffix == (".mp4" if name.endswith(".mp4") else ".clip")
        assert list(room.glob("emi-*")) == []
    assert hash_object(f"{folder.uri}/{name}") == hashlib.sha256(CONTENT).hexdigest()


def test_an_empty_object(bucket: str) -> None:
    open_folder(bucket).write("empty.mp4", b"")
    with fetched(f"{bucket}/empty.mp4", None) as found:
        assert isinstance(found, Local)
        assert found.path.read_bytes() == b""


def test_an_object_that_is_gone(bucket: str) -> None:
    uri = f"{bucket}/gone.mp4"
    for listed in (None, StoredFile("gone.mp4", 3, 1)):
        assert rejected(uri, listed) == ("missing", "no such object")
    assert hash_object(uri) is None


def test_an_object_that_is_larger_than_all_of_scratch(
    faulty: FaultyBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.objects["a.mp4"] = CONTENT
    monkeypatch.setenv("EMI_SCRATCH_BYTES", "4999")
    uri = f"{faulty.uri}/a.mp4"
    reason = "too_large", "5000 bytes, expected at most 4999 of scratch"
    assert rejected(uri, StoredFile("a.mp4", 5000, 1)) == reason
    assert faulty.asked == []
    assert rejected(uri) == reason
    assert faulty.asked == ["HEAD a.mp4"]


@pytest.mark.parametrize("size", [4999, 5001])
def test_an_object_that_was_replaced_since_it_was_listed(size: int, faulty: FaultyBucket) -> None:
    faulty.objects["a.mp4"] = CONTENT
    with fetched(f"{faulty.uri}/a.mp4", StoredFile("a.mp4", size, 1)) as found:
        assert isinstance(found, Local)
        assert found.content_sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert (found.size, found.modified_ns) == (5000, MODIFIED_NS)
        assert found.path.read_bytes() == CONTENT


def test_an_object_that_changes_while_it_is_read(faulty: FaultyBucket, room: Path) -> None:
    faulty.objects["a.mp4"] = CONTENT
    faulty.listed_sizes["a.mp4"] = 4000
    reason, detail = rejected(f"{faulty.uri}/a.mp4")
    assert reason == "not_fetched"
    assert detail == "it was listed with 4000 bytes, and changes while it is read"
    assert list(room.glob("emi-*")) == []


class TestFaults:
    def test_one_object_is_forbidden(self, faulty: FaultyBucket) -> None:
        faulty.objects["a.mp4"] = CONTENT
        faulty.faults["a.mp4"] = (403, "AccessDenied")
        reason, detail = rejected(f"{faulty.uri}/a.mp4", StoredFile("a.mp4", 5000, 1))
        assert reason == "unreadable"
        assert detail.endswith("403 Forbidden: AccessDenied some words")
        assert hash_object(f"{faulty.uri}/a.mp4") is None

    def test_one_object_always_fails(self, faulty: FaultyBucket) -> None:
        faulty.objects["a.mp4"] = CONTENT
        faulty.faults["a.mp4"] = (500, "InternalError")
        reason, detail = rejected(f"{faulty.uri}/a.mp4", StoredFile("a.mp4", 5000, 1))
        assert reason == "not_fetched"
        assert detail.endswith("500 Internal Server Error: InternalError some words")
        assert faulty.asked == ["GET a.mp4", "GET a.mp4", "LIST"]

    def test_an_object_fails_for_a_while(
        self, faulty: FaultyBucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty.objects["a.mp4"] = CONTENT
        faulty.faults["a.mp4"] = (503, "SlowDown")
        pauses: list[float] = []
        me = threading.current_thread()

        def wait(seconds: float) -> None:
            if threading.current_thread() is not me:  # one that another test left running
                threading.Event().wait(seconds)
                return
            pauses.append(seconds)
            if len(pauses) == 3:
                faulty.faults.clear()

        monkeypatch.setattr(fetching, "PAUSES_SECONDS", (1.0, 5.0, 20.0))
        monkeypatch.setattr("time.sleep", wait)
        with fetched(f"{faulty.uri}/a.mp4", None) as found:
            assert isinstance(found, Local)
        assert pauses == [0.0, 1.0, 5.0]

    @pytest.mark.parametrize(
        "fault", [(503, "SlowDown"), (403, "InvalidAccessKeyId"), (400, "ExpiredToken")]
    )
    def test_where_nothing_is_given_no_object_is_to_blame(
        self, fault: tuple[int, str], faulty: FaultyBucket
    ) -> None:
        faulty.faults = {"a.mp4": fault, "": fault}
        uri = f"{faulty.uri}/a.mp4"
        said = rf"^the storage of {uri} does not answer \(.*{fault[1]} some words\): run again"
        with pytest.raises(CorpusError, match=said), fetched(uri, StoredFile("a.mp4", 5000, 1)):
            pass
        with pytest.raises(CorpusError, match=said) as caught:
            hash_object(uri)
        assert "\n" not in str(caught.value)

    def test_who_may_not_list_may_read(self, faulty: FaultyBucket) -> None:
        faulty.objects["a.mp4"] = CONTENT
        faulty.faults = {"a.mp4": (500, "InternalError"), "": (403, "AccessDenied")}
        assert rejected(f"{faulty.uri}/a.mp4")[0] == "not_fetched"

    def test_a_name_that_cannot_be_asked_for(self, faulty: FaultyBucket) -> None:
        for name in ("a//b.mp4", "tab\t.mp4", "a/../b.mp4"):
            with fetched(f"{faulty.uri}/{name}", None) as found:
                assert isinstance(found, Rejection)
                assert found.reason == "unreadable"
        assert faulty.asked == []

    def test_a_disk_that_is_full(
        self, faulty: FaultyBucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty.objects["a.mp4"] = CONTENT
        monkeypatch.setenv("EMI_SCRATCH", "/dev/full")
        with (
            pytest.raises(CorpusError, match="/dev/full: no clip can be fetched to this folder"),
            fetched(f"{faulty.uri}/a.mp4", None),
        ):
            pass
