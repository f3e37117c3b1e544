"""A folder keeps the same promises on a disk and in a bucket."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tasks.progress import take_remarks
from tasks.storage.folder import CHUNK_BYTES, Folder, StoredFile, recordable_ns
from tasks.storage.local import LocalFolder
from tasks.storage.open import child, is_remote, local_path, open_file, open_folder

ODD_NAMES = [
    *("ä b.mp4", "a#b", "a%20b", "a?b", "~x", "a*b[1]", "-x", "a:b", "x/y/z", "plus+amp&"),
    *("q'uo\"te", "back\\slash", ".hidden", "%2e%2e", "..."),
]


@pytest.fixture(params=["disk", "bucket", "top of a bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """Return an empty folder, below others."""
    if request.param == "disk":
        return open_folder(str(tmp_path / "a" / "b c"))
    bucket = request.getfixturevalue("bucket")
    return open_folder(bucket if request.param == "top of a bucket" else f"{bucket}/a/b c%20")


def names(folder: Folder, below: str = "") -> set[str]:
    return {file.name for file in folder.files(below)}


class TestFiles:
    def test_what_is_written_is_there(self, folder: Folder) -> None:
        assert names(folder) == set()
        assert not folder.exists("x/y")
        assert folder.status("x/y") is None
        folder.write("x/y", b"one")
        folder.write("z", b"")
        assert names(folder) == {"x/y", "z"}
        assert names(folder, "x") == {"x/y"}
        assert names(folder, "none") == set()
        assert folder.exists("x/y")
        assert not folder.exists("x")
        assert folder.status("x") is None
        assert folder.read("x/y") == b"".join(folder.chunks("x/y")) == b"one"
        (listed,) = folder.files("x")
        found = folder.status("x/y")
        assert isinstance(found, StoredFile)
        assert (found.name, found.size) == (listed.name, listed.size) == ("x/y", 3)
        assert found.modified_ns // 10**9 == listed.modified_ns // 10**9

    def test_what_is_written_again_is_replaced(self, folder: Folder) -> None:
        folder.write("x", b"one")
        folder.write("x", b"two")
        assert folder.read("x") == b"two"
        assert names(folder) == {"x"}

    def test_what_is_removed_is_gone(self, folder: Folder) -> None:
        folder.write("x", b"one")
        folder.remove("x")
        folder.remove("x")
        assert names(folder) == set()

    def test_what_is_not_there_says_so(self, folder: Folder) -> None:
        for read in (folder.read, lambda name: list(folder.chunks(name))):
            with pytest.raises(FileNotFoundError) as caught:
                read("none")
            assert "none" in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_any_name(self, folder: Folder) -> None:
        for name in ODD_NAMES:
            folder.write(name, name.encode())
        assert names(folder) == set(ODD_NAMES)
        assert [folder.read(name).decode() for name in ODD_NAMES] == ODD_NAMES

    def test_a_large_file_comes_in_pieces(self, folder: Folder) -> None:
        content = os.urandom(2 * CHUNK_BYTES + 3)
        folder.write("x", content)
        pieces = list(folder.chunks("x"))
        assert len(pieces) > 1
        assert b"".join(pieces) == content

    def test_folders_below_one_another(self, folder: Folder) -> None:
        folder.write("x/y", b"1")
        below = open_folder(child(folder.uri, "x"))
        assert names(below) == {"y"}
        neighbour = open_folder(child(folder.uri, "xx"))
        neighbour.write("y", b"2")
        assert names(below) == {"y"}
        holder, name = open_file(child(folder.uri, "x/y"))
        assert (holder.read(name), name) == (b"1", "y")


class TestCreate:
    def test_a_name_is_given_once(self, folder: Folder) -> None:
        folder.create("x/y", b"one")
        with pytest.raises(FileExistsError, match="is there already"):
            folder.create("x/y", b"two")
        assert folder.read("x/y") == b"one"
        assert names(folder) == {"x/y"}

    def test_of_many_at_once_one_has_it(self, folder: Folder) -> None:
        def first(number: int) -> bool:
            try:
                folder.create("x", str(number).encode())
            except FileExistsError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(first, range(8)))
        assert won.count(True) == 1
        assert folder.read("x") == str(won.index(True)).encode()
        assert names(folder) == {"x"}


class TestDisk:
    def test_what_is_written_is_for_others_too(self, tmp_path: Path) -> None:
        folder = LocalFolder(tmp_path)
        folder.write("x", b"")
        folder.create("y", b"")
        (tmp_path / "plain").touch()
        modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x", "y", "plain")}
        assert len(modes) == 1

    def test_links_are_followed_and_those_to_nothing_left_out(self, tmp_path: Path) -> None:
        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "x").touch()
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "there").symlink_to(tmp_path / "away")
        (tmp_path / "here" / "none").symlink_to(tmp_path / "nowhere")
        assert names(LocalFolder(tmp_path / "here")) == {"there/x"}

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        folder = LocalFolder(tmp_path)
        for write in (folder.write, folder.create):
            with pytest.raises(NotADirectoryError, match="is no folder"):
                write("x/y", b"")
        assert not folder.exists("x/y")
        assert folder.status("x/y") is None

    def test_a_file_system_without_hard_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path, target: Path) -> None:
            raise PermissionError("Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        folder = LocalFolder(tmp_path)
        folder.create("x", b"one")
        with pytest.raises(FileExistsError, match="is there already"):
            folder.create("x", b"two")
        assert names(folder) == {"x"}
        assert folder.read("x") == b"one"


def test_a_link_whose_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS repeats the request then, and the answer is that the name is taken: by this file."""

    def link(path: Path, target: Path) -> None:
        os.link(target, path)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(Path, "hardlink_to", link)
    folder = LocalFolder(tmp_path)
    folder.create("x", b"one")
    assert (names(folder), folder.read("x")) == ({"x"}, b"one")


def test_times_of_any_year() -> None:
    assert recordable_ns(-(10**9) * 86_400 * 365 * (1970 - 1601)) is None
    assert recordable_ns(10**9 * 86_400 * 365 * (2300 - 1970)) is None
    for modified_ns in (-(2**63), -1, 0, 2**63 - 1):
        assert recordable_ns(modified_ns) == modified_ns


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_that_does_not_sync_folders(
    refusal: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(refusal, os.strerror(refusal))
        sync(descriptor)

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr("tasks.storage.local._REMARKED", set())
    take_remarks()  # those of earlier tests
    folder = LocalFolder(tmp_path)
    if refusal == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            folder.write("x", b"1")
        return
    folder.write("x", b"1")
    folder.create("y", b"2")
    assert (folder.read("x"), folder.read("y")) == (b"1", b"2")
    (said,) = take_remarks()
    assert said.startswith(f"{tmp_path}: its file system does not sync folders")


class TestReferences:
    @pytest.mark.parametrize("reference", ["s3://b/x", "gs://b", "az://b/x", "S3://b/x"])
    def test_remote(self, reference: str) -> None:
        assert is_remote(reference)
        assert child(reference, "y") == child(f"{reference}/", "y") == f"{reference}/y"

    @pytest.mark.parametrize("reference", ["x", "/x/s3:/y", "file:///x", "s3", "http://x/y"])
    def test_local(self, reference: str) -> None:
        assert not is_remote(reference)

    def test_paths(self) -> None:
        assert local_path("file:///a/b%20c") == Path("/a/b c")
        assert local_path("a%20b") == Path("a%20b")
        assert child("/a", "b/c") == "/a/b/c"


class TestRefused:
    """What object storage refuses is one line that says where."""

    def line(self, use: Callable[[], object]) -> str:
        with pytest.raises(OSError, match="://") as caught:
            use()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_no_such_bucket(self, bucket: str) -> None:
        folder = open_folder("s3://no-such-bucket/x")
        assert "bucket does not exist" in self.line(lambda: list(folder.files()))
        assert "there is no such bucket" in self.line(lambda: folder.write("y", b""))
        assert "there is no such bucket" in self.line(lambda: folder.create("y", b""))
        assert not folder.exists("y")

    def test_nobody_answers(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tasks.storage.buckets.MAX_RETRIES", 0)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        folder = open_folder("s3://unreachable/x")
        for use in (lambda: list(folder.files()), lambda: folder.read("y")):
            assert "s3://unreachable/x: http://127.0.0.1:1: " in self.line(use)

    def test_no_account(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
        assert "Account must be specified" in self.line(lambda: open_folder("az://container/x"))

    @pytest.mark.parametrize(
        ("scheme", "name", "address"),
        [
            *(
                ("s3", "AWS_ENDPOINT_URL", text)
                for text in ("localhost:9000", "http://", "http://x:y")
            ),
            *(("s3", "AWS_ENDPOINT_URL_S3", text) for text in (" http://x", "http://ö")),
            ("gs", "GOOGLE_BASE_URL", "127.0.0.1:4443"),
        ],
    )
    def test_an_address_that_is_none(
        self, scheme: str, name: str, address: str, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
        monkeypatch.setenv(name, address)
        with pytest.raises(OSError, match=f"{name} is '{address}', expected an address as http://"):
            open_folder(f"{scheme}://{address.encode().hex()}/x").exists("y")

    @pytest.mark.parametrize("scheme", ["gcs", "s3a", "https", "abfss"])
    def test_another_kind_of_storage_is_no_folder_of_this_name(self, scheme: str) -> None:
        for open_it in (open_folder, open_file):
            line = self.line(partial(open_it, f"{scheme}://bucket/results"))
            assert line.endswith("expected a path, or s3://, gs://, az://")

    def test_no_bucket_named(self) -> None:
        assert self.line(lambda: open_folder("s3:///x"))
