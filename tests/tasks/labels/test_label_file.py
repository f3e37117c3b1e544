from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import LabelError
from emi_model.targets import EMI_TARGETS
from tasks.labels.label_file import LabelFile, read_label_file, read_labels

CHALLENGE = "Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a label file of the given lines."""

    def written(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return written


def problems_of(file: LabelFile) -> list[str]:
    return [line.strip() for line in str(file.error(file.problems)).splitlines()[1:]]


class TestRows:
    def test_the_challenges_file_is_read_and_its_ids_keep_their_zeros(self, write: Write) -> None:
        file = read_labels(write(CHALLENGE, "00012,0,0.1,0.2,0.3,0.4,1", "12,0,0,0,0,0,0"))
        first, second = file.rows
        assert file.targets == EMI_TARGETS
        assert (first.filename, second.filename) == ("00012", "12")
        assert (first.line, second.line) == (2, 3)
        assert first.emi.dtype == np.float32
        assert first.emi == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 1.0])
        assert first.vad is None
        assert (first.speaker, first.split) == ("", "")

    def test_a_speaker_that_is_missing_in_words_is_none(self, write: Write) -> None:
        rows = ("a,0.1,NA,nan", "b,0.2,None,", "c,0.3,Nan Goldin,train")
        file = read_labels(write("filename,joy,speaker,split", *rows))
        found = [(row.speaker, row.split) for row in file.rows]
        assert found == [("", ""), ("", ""), ("Nan Goldin", "train")]

    def test_the_challenges_targets_have_its_names_and_order(self, write: Write) -> None:
        header = "joy,empathic_pain,AMUSEMENT,filename, Excitement ,admiration,determination"
        file = read_labels(write(header, "0.6,0.4,0.2,a,0.5,0.1,0.3"))
        assert file.targets == EMI_TARGETS
        assert file.rows[0].emi == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])

    def test_columns_may_stand_in_any_order_and_say_more(self, write: Write) -> None:
        path = write(
            "split,valence,Sheer Joy,speaker,dominance,arousal,filename,remark",
            "Train,0.3,0.9,anna,0.2,0.1,a/b.mp4,nothing",
            encoding="utf-8-sig",
        )
        file = read_labels(path, targets=("Sheer Joy",))
        (label,) = file.rows
        assert file.targets == ("Sheer Joy",)
        assert label.filename == "a/b.mp4"
        assert label.emi == pytest.approx([0.9])
        assert label.vad == pytest.approx([0.1, 0.2, 0.3])
        assert (label.speaker, label.split) == ("anna", "train")

    def test_raters_are_counted_where_the_file_says_how_many(self, write: Write) -> None:
        file = read_labels(write("Filename,Num_Raters,Joy", "a,12,0.25", "b,,0.5"))
        assert file.targets == ("Joy",)
        assert [row.num_raters for row in file.rows] == [12.0, None]
        odd = read_label_file(write("Filename,num_raters,Joy", "a,0,0.25", "b,few,0.5"))
        assert [problem.text for problem in odd.problems] == [
            f"num_raters is {text!r}, expected a number from 1 to 1000000" for text in ("0", "few")
        ]

    def test_every_other_column_is_a_target(self, write: Write) -> None:
        file = read_labels(write("filename,Anger,speaker,fear of flying", "a,0.25,x,0.5"))
        assert file.targets == ("Anger", "fear of flying")
        assert file.rows[0].emi.tolist() == [0.25, 0.5]


class TestParquet:
    def written(self, tmp_path: Path, **columns: Any) -> Path:
        path = tmp_path / "labels.of_any_suffix"
        pq.write_table(pa.table(columns), path)
        return path

    def test_it_is_read_like_a_csv(self, tmp_path: Path) -> None:
        speakers = pa.array(["x", None]).dictionary_encode()
        joy = pa.array([0.25, 1], pa.float32())
        file = read_labels(self.written(tmp_path, Filename=["1", "01"], joy=joy, speaker=speakers))
        assert [(row.line, row.filename, row.speaker) for row in file.rows] == [
            (1, "1", "x"),
            (2, "01", ""),
        ]
        assert [row.emi.tolist() for row in file.rows] == [[0.25], [1.0]]

    def test_problems_are_told_by_row(self, tmp_path: Path) -> None:
        file = read_label_file(self.written(tmp_path, filename=["a", None], joy=[0.5, 2.0]))
        assert problems_of(file)[:2] == [
            "row 2: joy is '2', expected a number from 0 to 1",
            "row 2: no filename",
        ]

    @pytest.mark.parametrize("ids", [[12, 13], [12.0, 13.0]])
    def test_ids_that_lost_their_zeros_are_refused(self, ids: list[float], tmp_path: Path) -> None:
        with pytest.raises(LabelError, match="expected text"):
            read_labels(self.written(tmp_path, filename=ids, joy=[0, 1]))

    def test_a_torn_one_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
        with pytest.raises(LabelError, match="cannot read the label file"):
            read_labels(tmp_path / "torn.parquet")


class TestProblems:
    def test_all_are_told_at_once(self, write: Write) -> None:
        path = write(
            "filename,joy,split",
            "a.mp4,1.5,train",
            "b.mp4,much,",
            "",
            "c.mp4,nan,dev",
            ",0.5,",
            "d.mp4,0.5,0.5,0.5",
            "e.mp4,,test",
            "f.mp4,-0.1,test",
        )
        with pytest.raises(LabelError) as caught:
            read_labels(path)
        assert [problem.strip() for problem in str(caught.value).splitlines()[1:]] == [
            "line 2: joy is '1.5', expected a number from 0 to 1",
            "line 3: joy is 'much', expected a number from 0 to 1",
            "line 5: split is 'dev', expected train, valid, test or nothing",
            "line 6: no filename",
            "line 7: 4 cells, expected 3",
            "line 9: joy is '-0.1', expected a number from 0 to 1",
        ]

    def test_ten_are_listed_and_the_others_counted(self, write: Write) -> None:
        lines = [f"{number},{-number}" for number in range(300)]
        listed = problems_of(read_label_file(write("filename,joy", *lines)))
        assert listed[0] == "line 3: joy is '-1', expected a number from 0 to 1"
        assert listed[10:] == ["and 289 more problems"]

    def test_a_bad_header_does_not_hide_bad_rows(self, write: Write) -> None:
        file = read_label_file(write("filename,joy,arousal", "a,2,0"))
        assert [problem.line for problem in file.problems] == [1, 1, 2]

    @pytest.mark.parametrize(
        ("header", "problem"),
        [
            ("filename", "no column of a target"),
            ("file,joy", "0 columns 'filename'"),
            ("filename,joy,Joy", "2 columns 'joy'"),
            ("filename,joy,split,split", "2 columns 'split'"),
            ("filename,joy,arousal,valence", "0 columns 'dominance'"),
            (CHALLENGE.replace("Empathic Pain,", ""), "0 columns 'empathic_pain'"),
            ("filename,joy,snapshot", "no target can be called 'snapshot'"),
            ("filename,joy,joy_low", "no target can be called 'joy_low'"),
            ("filename,joy,mean", "no target can be called 'mean'"),
            (",filename,joy", "no target can be called ''"),
        ],
    )
    def test_of_the_header(self, write: Write, header: str, problem: str) -> None:
        with pytest.raises(LabelError, match=f"line 1: {problem}"):
            read_labels(write(header, "a,0,0,0"))

    @pytest.mark.parametrize(
        ("targets", "problem"),
        [(["Awe"], "0 columns 'awe'"), (["Joy", "joy"], "the target 'joy' is named twice")],
    )
    def test_of_the_targets_that_were_named(
        self, write: Write, targets: list[str], problem: str
    ) -> None:
        with pytest.raises(LabelError, match=f"line 1: {problem}"):
            read_labels(write("filename,joy", "a,0"), targets)

    def test_fewer_of_the_challenges_targets_can_be_named(self, write: Write) -> None:
        header = CHALLENGE.replace("Empathic Pain,", "")
        wanted = ("Joy", "Excitement")
        file = read_labels(write(header, "a,0.1,0.2,0.3,0.4,0.5"), wanted)
        assert file.targets == wanted
        assert file.rows[0].emi == pytest.approx([0.5, 0.4])

    @pytest.mark.parametrize("lines", [[], ["filename,joy"]])
    def test_a_file_without_rows(self, write: Write, lines: list[str]) -> None:
        with pytest.raises(LabelError, match="no rows"):
            read_labels(write(*lines))

    def test_a_file_that_is_no_text_or_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        path.write_bytes(b"\xff\xfe\x00")
        for broken in (path, tmp_path / "none.csv", tmp_path):
            with pytest.raises(LabelError, match="cannot read the label file"):
                read_labels(broken)


class TestMissing:
    def test_an_empty_cell_is_a_label_that_is_missing(self, write: Write) -> None:
        header = "filename,joy,fear,arousal,dominance,valence"
        file = read_labels(write(header, "a,0.5,,0.1,NA,0.3", "b,n/a,1,,,", "c,,,,,"))
        first, second = file.rows
        assert first.emi == pytest.approx([0.5, np.nan], nan_ok=True)
        assert first.vad == pytest.approx([0.1, np.nan, 0.3], nan_ok=True)
        assert second.emi == pytest.approx([np.nan, 1], nan_ok=True)
        assert second.vad is None
        assert file.notes == ("left out 1 rows without a label",)

    def test_a_file_without_any_label(self, write: Write) -> None:
        with pytest.raises(LabelError, match="no row has a label"):
            read_labels(write("filename,joy", "a,", "b,"))


class TestOfOtherPrograms:
    @pytest.mark.parametrize(
        ("separator", "encoding", "note"),
        [
            (";", "utf-8", "separated by semicolons"),
            ("\t", "utf-16", "separated by tabs, in UTF-16"),
            (",", "cp1252", "in CP1252"),
        ],
    )
    def test_they_are_read_and_it_is_said_how(
        self, separator: str, encoding: str, note: str, write: Write
    ) -> None:
        rows = [["filename", "speaker", "joy"], ["Zoë.wav", "1.0", "1.0000000000000002"]]
        file = read_labels(write(*map(separator.join, rows), encoding=encoding))
        (row,) = file.rows
        assert (row.filename, row.speaker, row.emi.tolist()) == ("Zoë.wav", "1", [1.0])
        assert file.notes == (note,)

    def test_a_table_of_pandas_with_its_index(self, tmp_path: Path) -> None:
        columns = {"filename": ["a", "b"], "speaker": [1.0, None], "joy": [0.5, 1.0]}
        pq.write_table(pa.table(columns | {"__index_level_0__": [6, 11]}), tmp_path / "x.parquet")
        file = read_labels(tmp_path / "x.parquet")
        assert file.targets == ("joy",)
        assert [row.speaker for row in file.rows] == ["1", ""]
        assert file.notes == ("left out column '__index_level_0__': it numbers the rows",)

    def test_decimal_commas(self, write: Write) -> None:
        file = read_labels(write("filename;joy;fear", "a;0,5;1", "b;0,25;0"))
        assert [row.emi.tolist() for row in file.rows] == [[0.5, 1], [0.25, 0]]

    def test_another_scale(self, write: Write) -> None:
        path = write("filename,joy", *(f"{number},{number}" for number in range(101)))
        file = read_label_file(path)
        assert len(file.problems) == 99
        assert problems_of(file)[-1] == (
            "the values go up to 100: if 100 stands for 1, add --scale 100"
        )
        assert read_label_file(path, scale=100).rows[85].emi == pytest.approx([0.85])

    def test_notes_of_raters(self, write: Write) -> None:
        path = write("filename,joy,Notes", "a,0.5,loud", "b,0.5,far away", "c,0.5,")
        assert problems_of(read_label_file(path)) == [
            "line 1: no cell of 'notes' is a number",
            "leave out what is no label: --ignore notes",
        ]
        file = read_label_file(path, ignore=["notes"])
        assert (file.targets, file.problems, len(file.rows)) == (("joy",), (), 3)

    def test_a_workbook_is_refused_in_words(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")
        with pytest.raises(LabelError, match=r"labels.xlsx: is an Excel workbook .* as CSV"):
            read_labels(tmp_path / "labels.xlsx")
