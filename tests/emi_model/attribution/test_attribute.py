"""Attributions against the predictor: what it gives of clips that truly lack something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emi_model.architecture.model import EmiModel
from emi_model.attribution.attribute import Attributor
from emi_model.attribution.contributions import Attribution, Kind, Window, over_windows
from emi_model.attribution.inputs import FULL_STOP
from emi_model.attribution.limits import check_attributable
from emi_model.errors import ConfigError
from emi_model.predict import Predictor, Scores
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES, VISION_BRANCHES

Array = NDArray[Any]
Clip = dict[str, Array]

TOLERANCE = 1e-5
SECOND = 16_000
FUSIONS: dict[str, dict[str, Any] | None] = {
    "paper": None,
    "concat": {"name": "concat"},
    "text_anchored": {"name": "text_anchored", "size": 8, "num_heads": 2},
    "late": {"name": "late"},
    "gated": {"name": "gated", "gate_size": 4},
}


@pytest.fixture(scope="module")
def attributor(tiny_model: Callable[..., EmiModel]) -> Callable[..., Attributor]:
    """Return a function that returns a tiny model's attributor; ``required`` modalities are."""
    made: dict[Any, Attributor] = {}

    def make(
        fusion: str = "concat", required: tuple[str, ...] = (), seconds: bool = True, **fields: Any
    ) -> Attributor:
        key = (fusion, required, seconds, *fields)
        if key not in made:
            encoders: dict[str, dict[str, Any]] = {
                "audio": {},
                "text": TEXT_BRANCHES["hashed_words"],
                "vision": VISION_BRANCHES["small_conv"],
            }
            branches = {
                name: {**arguments, "optional": name not in required}
                for name, arguments in encoders.items()
            }
            options = {"branches": branches, "fusion": FUSIONS[fusion], **fields}
            model = tiny_model(targets=("Joy", "Awe"), **options)
            predictor = Predictor(model, device="cpu", precision="fp32")
            made[key] = Attributor(predictor, seconds=seconds)
        return made[key]

    return make


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Sound of 2.5 s and 12 pictures; those of the second second show no face."""
    rng = np.random.default_rng(0)
    faces = rng.integers(1, 255, (12, 24, 24, 3), dtype=np.uint8)
    faces[5:10] = 0
    loudness = np.repeat([200.0, 4_000.0, 900.0], SECOND)[:40_000]
    return {
        "audio": (rng.standard_normal(40_000) * loudness).astype(np.int16),
        "text": np.frombuffer(b"so glad to see you", np.uint8),
        "vision": faces,
    }


def score(predictor: Predictor, clip: Mapping[str, Array]) -> Array:
    (found,) = predictor([dict(clip)])
    assert isinstance(found, Scores)
    assert found.emi is not None
    return found.emi.astype(np.float64)


def values_of(found: Attribution, kind: Kind) -> Array:
    return np.stack([one.value for one in found.of(kind)])


def silent(clip: Clip, start: int, end: int) -> Clip:
    """The clip without a stretch, in seconds, of its sound and pictures."""
    sound, faces = clip["audio"].copy(), clip["vision"].copy()
    sound[start * SECOND : end * SECOND] = 0
    faces[start * 5 : end * 5] = 0
    left = {"audio": sound, "text": clip["text"]}
    return left | ({"vision": faces} if faces.any() else {})


@pytest.mark.parametrize("required", [(), ("audio",)])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_modalities_have_the_value_that_the_definition_gives(
    fusion: str, required: tuple[str, ...], clip: Clip, attributor: Callable[..., Attributor]
) -> None:
    attribute = attributor(fusion, required)
    silence = {"audio": np.zeros_like(clip["audio"])} if required else {}
    results = {}
    for count in range(4):
        for names in combinations(clip, count):
            given = silence | {name: clip[name] for name in names}
            nothing = np.zeros(2)  # what a fusion of predictions makes of no input
            results[frozenset(names)] = score(attribute.predictor, given) if given else nothing
    found = attribute(clip)
    if not required and fusion not in ("late", "gated"):
        results[frozenset()] = found.base
        with torch.inference_mode():
            of_tokens = attribute.predictor.model.fused({}, 1).emi
        assert of_tokens is not None
        np.testing.assert_allclose(found.base, of_tokens[0].numpy(), rtol=0, atol=TOLERANCE)
    expected = dict.fromkeys(clip, np.zeros(2))
    for order in permutations(clip):
        for place, name in enumerate(order):
            gain = results[frozenset(order[: place + 1])] - results[frozenset(order[:place])]
            expected[name] = expected[name] + gain / 6
    np.testing.assert_allclose(found.base, results[frozenset()], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.score, results[frozenset(clip)], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        values_of(found, Kind.MODALITY), [*expected.values()], rtol=0, atol=TOLERANCE
    )
    assert np.abs([*expected.values()]).max() > 0.01
    assert found.gap < 1e-9
    assert [(one.name, one.reference) for one in found.of(Kind.MODALITY)] == [
        ("audio", "silence" if required else "learnt token"),
        ("text", "learnt token"),
        ("vision", "learnt token"),
    ]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_second_has_what_the_score_loses_without_it(
    fusion: str, clip: Clip, attributor: Callable[..., Attributor]
) -> None:
    attribute = attributor(fusion)
    found = attribute(clip)
    whole = score(attribute.predictor, clip)
    expected = [whole - score(attribute.predictor, silent(clip, at, at + 1)) for at in range(3)]
    np.testing.assert_allclose(values_of(found, Kind.SECOND), expected, rtol=0, atol=TOLERANCE)
    assert np.abs(expected).min(axis=1).max() > 1e-3
    base = score(attribute.predictor, silent(clip, 0, 3))
    np.testing.assert_allclose(found.silent_base, base, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(
        values_of(found, Kind.REMAINDER)[0], whole - base - sum(expected), rtol=0, atol=4e-5
    )
    assert [(one.start, one.end) for one in found.of(Kind.SECOND)] == [
        (0, 16_000),
        (16_000, 32_000),
        (32_000, 40_000),
    ]
    assert found.gap < 1e-9


def test_audio_alone_has_seconds_too(tiny_model: Callable[..., EmiModel], clip: Clip) -> None:
    predictor = Predictor(tiny_model(), device="cpu", precision="fp32")
    sound = clip["audio"].copy()
    sound[SECOND : 2 * SECOND] = 0
    found = Attributor(predictor)(sound)
    whole, nothing = (score(predictor, {"audio": one}) for one in (sound, np.zeros_like(sound)))
    (audio,) = found.of(Kind.MODALITY)
    np.testing.assert_allclose(audio.value, whole - nothing, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.silent_base, found.base, rtol=0, atol=0)
    first, second, third = values_of(found, Kind.SECOND)
    assert np.abs(second).max() == 0  # it was silent before
    assert min(np.abs(first).max(), np.abs(third).max()) > 1e-3
    assert found.gap < 1e-9


@pytest.mark.parametrize("fusion", ["late", "concat"])
def test_any_subset_of_a_clip(
    fusion: str, clip: Clip, attributor: Callable[..., Attributor]
) -> None:
    attribute = attributor(fusion)
    for count in (1, 2):
        for names in combinations(clip, count):
            some = {name: clip[name] for name in names}
            found = attribute(some)
            assert tuple(one.name for one in found.of(Kind.MODALITY)) == names
            assert found.gap < 1e-9
            whole = score(attribute.predictor, some)
            np.testing.assert_allclose(found.score, whole, rtol=0, atol=TOLERANCE)
            timed = [one.end for one in found.of(Kind.SECOND)]
            ends = {"audio": [16_000, 32_000, 40_000], "vision": [16_000, 32_000, 38_400]}
            assert timed == next((ends[name] for name in ("audio", "vision") if name in names), [])
            assert len(found.of(Kind.REMAINDER)) == bool(timed)


def test_needed_text_and_pictures_are_replaced_by_such_that_say_nothing(
    clip: Clip, attributor: Callable[..., Attributor]
) -> None:
    attribute = attributor("concat", ("audio", "text", "vision"), seconds=False)
    grey = np.zeros_like(clip["vision"])
    grey[clip["vision"].any(axis=(1, 2, 3))] = 128
    nothing = {"audio": np.zeros_like(clip["audio"]), "text": FULL_STOP, "vision": grey}
    found = attribute(clip)
    base = score(attribute.predictor, nothing)
    np.testing.assert_allclose(found.base, base, rtol=0, atol=TOLERANCE)
    references = [one.reference for one in found.contributions]
    assert references == ["silence", "full stop", "grey pictures"]
    assert found.gap < 1e-9


def test_memory_bounds_change_nothing_and_every_variant_is_encoded_once(
    clip: Clip, attributor: Callable[..., Attributor], monkeypatch: pytest.MonkeyPatch
) -> None:
    attribute = attributor("gated")
    heard = []

    def note(_module: object, arguments: tuple[Any, ...]) -> None:
        heard.append(len(arguments[0]))

    branch = attribute.predictor.model.each_branch()["audio"]
    hook = branch.register_forward_pre_hook(note)
    expected = attribute(clip)
    assert heard == [5]  # the clip, silence, and three seconds
    monkeypatch.setenv("EMI_BATCH_SECONDS", "1")
    found = Attributor(attribute.predictor)(clip)
    hook.remove()
    assert heard == [5, 1, 1, 1, 1, 1]
    for one, other in zip(found.contributions, expected.contributions, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=0, atol=TOLERANCE)
    again = attribute(clip)
    assert all(
        np.array_equal(one.value, other.value)
        for one, other in zip(again.contributions, expected.contributions, strict=True)
    )


def test_the_precision_of_scores_does_not_matter(
    tiny_model: Callable[..., EmiModel], clip: Clip
) -> None:
    model = tiny_model()
    exact, fast = (
        Attributor(Predictor(model, device="cpu", precision=name))({"audio": clip["audio"]})
        for name in ("fp32", "int8")
    )
    np.testing.assert_allclose(fast.score, exact.score, rtol=0, atol=0)


def test_windows_are_averaged_by_their_durations(
    clip: Clip, attributor: Callable[..., Attributor]
) -> None:
    attribute = attributor("concat")
    first = {name: clip[name] for name in ("audio", "text")}
    second = {"text": clip["text"], "vision": clip["vision"][:5]}
    parts = [attribute(first), attribute(second)]
    found = over_windows([Window(0, 40_000, parts[0]), Window(40_000, 56_000, parts[1])])
    shares = np.array([2.5, 1.0])[:, None] / 3.5
    np.testing.assert_allclose(found.score, (shares * [one.score for one in parts]).sum(0))
    assert [one.name for one in found.of(Kind.MODALITY)] == ["audio", "text", "vision"]
    audio = shares[0] * parts[0].contributions[0].value
    np.testing.assert_allclose(found.contributions[0].value, audio)
    assert [one.start for one in found.of(Kind.SECOND)] == [0, 16_000, 32_000, 40_000]
    assert found.gap < 1e-9
    alone = over_windows([Window(0, 40_000, parts[0])])
    np.testing.assert_allclose(alone.score, parts[0].score, rtol=0, atol=0)


def test_what_cannot_be_attributed_is_refused(
    clip: Clip, attributor: Callable[..., Attributor], tiny_model: Callable[..., EmiModel]
) -> None:
    vad_alone = Predictor(tiny_model(targets=()), device="cpu", precision="fp32")
    with pytest.raises(ConfigError, match="dominance and valence alone, which has no scores"):
        Attributor(vad_alone)
    with pytest.raises(
        ConfigError, match="6 modalities \\(a, b, c, d, e, f\\), expected at most 5"
    ):
        check_attributable(6, tuple("abcdef"))
    attribute = attributor("late")
    weights = attribute.predictor.model.get_parameter("fusion.shared_logits")
    kept = weights.data.clone()
    weights.data[:] = torch.nan
    with pytest.raises(ConfigError, match="no finite score for a clip with audio alone"):
        attribute(clip)
    weights.data[:] = kept
