"""`emi demo`, whole: what `make demo` shows to someone who has just cloned the project."""

import re


def test_the_demo_learns_and_carries_on(emi, served, tmp_path):
    code, out, err = emi("demo", "--dir", tmp_path / "demo")
    assert code == 0, err
    assert "Pearson on 40 clips of speakers held out" in out
    (mean,) = re.findall(r"mean\s*│\s*([0-9.]+)", out)
    assert float(mean) >= 0.7
    for reason in ("unreadable", "refused", "no_audio_track", "too_short"):
        assert reason in out
    for question in ("Which clips sound most joyful", "How do the folders", "In which second"):
        assert question in out

    code, again, err = emi("demo", "--dir", tmp_path / "demo", **served)
    assert code == 0, err
    assert again == out
