"""Evidence drawn by hypothesis: any that a clip could give."""

from __future__ import annotations

from hypothesis import strategies as st

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.explaining.evidence import Evidence, EvidenceSecond, Pause, Spoken

UNIT = st.floats(0, 1)
LOUD = st.floats(-100, 0)
HERTZ = st.floats(60, 500)
SAID = """I can't believe it's 3 o'clock "really" joy, no! Pause. second Zo\u00eb 12.5 !"""
TEXTS = st.lists(st.sampled_from(SAID.split()), max_size=20).map(" ".join)

EXAMPLE = Evidence(
    seconds=5.5,
    timeline=tuple(
        EvidenceSecond(second, loudness, pitch, arousal, 0.5, 0.6)
        for second, (loudness, pitch, arousal) in enumerate(
            [(-30.2, None, 0.31), (-21.4, 180.2, 0.42), (-12.1, 210.4, 0.74), (-18.0, 199.0, 0.55)]
        )
    ),
    loudness_dbfs=-20.26,
    pitch_hz=191.0,
    pauses=(Pause(0.5, 0.9), Pause(3.1, 3.92)),
    spoken=(Spoken(1.0, 2.9, "I can't believe it."), Spoken(4.0, 5.2, "You came, all of you!")),
    face_share=0.9,
    scores={"joy": 0.62, "admiration": 0.31, "empathic_pain": 0.05},
    vad={"arousal": 0.52, "dominance": 0.5, "valence": 0.71},
)


def intervals(seconds: float):
    ends = st.lists(st.floats(0, seconds), max_size=8, unique=True).map(sorted)
    return ends.map(lambda found: list(zip(found[::2], found[1::2], strict=False)))


@st.composite
def evidences(draw) -> Evidence:
    seconds = draw(st.floats(0.1, 20))
    hears, has_vad = draw(st.booleans()), draw(st.booleans())
    timeline = tuple(
        EvidenceSecond(
            second,
            draw(LOUD) if hears else None,
            draw(st.none() | HERTZ) if hears else None,
            *((draw(UNIT), draw(UNIT), draw(UNIT)) if has_vad else ()),
        )
        for second in range(int(seconds) + (seconds > int(seconds)))
    )
    targets = draw(st.sampled_from([(), EMI_TARGETS, EMI_TARGETS[3:4]]))
    return Evidence(
        seconds=seconds,
        timeline=timeline if hears or has_vad else (),
        loudness_dbfs=draw(LOUD) if hears else None,
        pitch_hz=draw(st.none() | HERTZ) if hears else None,
        pauses=tuple(Pause(*one) for one in draw(intervals(seconds))) if hears else None,
        spoken=draw(
            st.none()
            | intervals(seconds).flatmap(
                lambda found: st.tuples(
                    *(st.builds(Spoken, *map(st.just, one), TEXTS) for one in found)
                )
            )
        ),
        face_share=draw(st.none() | UNIT),
        scores={column_name(name): draw(UNIT) for name in targets},
        vad={name: draw(UNIT) for name in VAD_DIMENSIONS} if has_vad else {},
    )
