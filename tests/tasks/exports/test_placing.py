"""Places of exports: what is there is whole, on a disk and in a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.errors import ExportError
from tasks.exports.placing import placed
from tasks.storage.buckets import BucketFolder
from tasks.storage.open import open_folder


def test_in_a_bucket_the_last_comes_last_and_nothing_is_left(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = BucketFolder.send

    def recorded(folder: BucketFolder, name: str, file: Path) -> None:
        sent.append(name)
        if sent.count("last") == 2:
            raise OSError("the bucket is full")
        send(folder, name, file)

    monkeypatch.setattr(BucketFolder, "send", recorded)
    for out in ("one", "two"):
        with placed(f"{bucket}/{out}", is_folder=True) as place:
            folder = place.fresh()
            for name in ("a", "last", "x/b"):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(name)
            if out == "one":
                place.keep(folder, "last")
            else:
                with pytest.raises(ExportError, match="two: cannot be written: the bucket is full"):
                    place.keep(folder, "last")
    assert [sent[2], sent[5]] == ["last", "last"]
    assert {file.name for file in open_folder(f"{bucket}/one").files()} == {"a", "last", "x/b"}
    assert list(open_folder(f"{bucket}/two").files()) == []


def test_each_attempt_has_a_folder_of_its_own(tmp_path: Path) -> None:
    with placed(str(tmp_path / "new/out"), is_folder=True) as place:
        (place.fresh() / "of a failed attempt").touch()
        folder = place.fresh()
        (folder / "whole").touch()
        place.keep(folder, "whole")
    assert [path.name for path in (tmp_path / "new").rglob("*")] == ["out", "whole"]


def test_a_folder_that_is_there_keeps_its_mode_and_may_be_a_link(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    private.chmod(0o700)
    (private / ".emi-export-of a killed process").mkdir()
    (tmp_path / "link").symlink_to("private")
    tmp_path.chmod(0o500)  # as above a mount
    with placed(str(tmp_path / "link"), is_folder=True) as place:
        folder = place.fresh()
        (folder / "a").mkdir()
        (folder / "a/b").touch()
        (folder / "last").touch()
        place.keep(folder, "last")
    tmp_path.chmod(0o700)
    assert (tmp_path / "link").is_symlink()
    assert private.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in private.iterdir()} >= {"a", "last"}
    with pytest.raises(ExportError, match="is there already"), placed(str(private), is_folder=True):
        pass


def test_nothing_is_left_in_a_folder_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "last":
            raise OSError("the disk is full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with placed(str(tmp_path), is_folder=True) as place:
        folder = place.fresh()
        (folder / "a").touch()
        (folder / "last").touch()
        with pytest.raises(ExportError, match="the disk is full"):
            place.keep(folder, "last")
    assert list(tmp_path.iterdir()) == []
