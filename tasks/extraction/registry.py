"""The extractor of each modality. Light to import: decoder processes load no PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from emi_model.errors import ConfigError
from emi_model.modalities import SOUND_RATES, add_entry, find_entry
from tasks.extraction.audio import Extraction
from tasks.extraction.decoding.pictures import DecodedPictures
from tasks.extraction.series.settings import SeriesSettings
from tasks.schema.outcomes import Rejection
from tasks.schema.scores import EXTRACTION

NO_SETTINGS: Mapping[str, Any] = {}
"""Where no modality's extractor gets settings."""


@dataclass(frozen=True, eq=False)
class ClipMedia:
    """The clip that an extractor gets.

    Attributes:
        path: its file on this node.
        audio: its waveform or its rejection; None where no extractor of the model needs it.
        max_seconds: seconds from the start that are wanted; None for all.
        timeout_seconds: time after which an extractor should give up.
        options: settings by modality; each extractor reads those of its own.
        noted: facts by modality, beside the inputs: an extractor adds those of its own. One whose
            name is a column of `tasks.schema.scores.EXTRACTED` gets into the clip's row.
        pictures: its pictures or their rejection; None where no extractor of the model needs them.
        clip_id: its path below the corpus root; a fetched object's file has another name.
    """

    path: Path
    audio: Extraction | Rejection | None
    max_seconds: float | None
    timeout_seconds: float
    options: Mapping[str, Any] = field(default_factory=dict)
    noted: dict[str, dict[str, Any]] = field(default_factory=dict)
    pictures: DecodedPictures | Rejection | None = None
    clip_id: str = ""


Extract = Callable[[ClipMedia], NDArray[Any] | Rejection]
"""Returns a clip's input (N, ...) or a rejection; no clip, however damaged, raises an error."""

InputKey = Callable[[Any], str]
"""Returns, for a modality's settings or None, at most 12 hex digits: what beside the version
decides the input that a clip gives. Empty: nothing does."""


Facts = Callable[[Any], Mapping[str, str]]
"""Returns, for a modality's settings or None, what a model's card says of the extractor."""


NAMED = "-named"
"""Ends the name of a folder whose inputs depend on clips' names."""


def _no_key(_: Any) -> str:
    return ""


def _by_content(_: Any) -> bool:
    return False


def _no_facts(_: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Extractor:
    """The extractor of one modality.

    Attributes:
        modality: its name.
        version: increased when the same clip gives another input; part of the cache's keys.
        needs_audio: it reads `ClipMedia.audio`.
        extract: the function.
        own_stage: it is heavy: a cluster's decoders leave it out, and a stage of its own runs it.
        key: what beside the version decides its input; part of the cache's keys.
        needs_pictures: it reads `ClipMedia.pictures`.
        facts: what the card of a model that was trained on its inputs says of it.
        by_name: whether, under its modality's settings, an input depends on the clip's name, too:
            clips of one content may have different ones.
    """

    modality: str
    version: int
    needs_audio: bool
    extract: Extract
    own_stage: bool = False
    key: InputKey = _no_key
    facts: Facts = _no_facts
    needs_pictures: bool = False
    by_name: Callable[[Any], bool] = _by_content

    def folder(self, options: Mapping[str, Any] = NO_SETTINGS) -> str:
        """Return the name of a folder for its inputs under these settings: ``text-v1-KEY``."""
        settings = options.get(self.modality)
        key = self.key(settings)
        named = NAMED if self.by_name(settings) else ""
        return f"{self.modality}-v{self.version}" + (f"-{key}" if key else "") + named


_EXTRACTORS: dict[str, Extractor] = {}


def register_extractor(
    modality: str,
    *,
    version: int,
    needs_audio: bool = False,
    own_stage: bool = False,
    key: InputKey = _no_key,
    needs_pictures: bool = False,
    facts: Facts = _no_facts,
) -> Callable[[Extract], Extract]:
    """Decorator: register a function as the extractor of a modality.

    Modules outside this project are listed in ``EMI_PLUGINS``, see `emi_model.modalities`.

    Raises:
        ConfigError: the modality has an extractor already.
    """

    def registered(extract: Extract) -> Extract:
        found = Extractor(
            modality, version, needs_audio, extract, own_stage, key, facts, needs_pictures
        )
        add_entry(_EXTRACTORS, modality, found)
        return extract

    return registered


def extractor_of(modality: str, settings: Any = None) -> Extractor:
    """Return the extractor of a modality; that of ``text`` is looked for in ``text.py`` here.

    That of a set of features of the sound is looked for in the folder ``acoustics``.

    Args:
        modality: its name.
        settings: those of its extractor; a `SeriesSettings` names features, which one extractor
            reads whatever the modality is called.

    Raises:
        ConfigError: the modality has none.
    """
    if isinstance(settings, SeriesSettings):
        from tasks.extraction.series.extract import series_extractor

        return series_extractor(modality)
    folder = f"{__package__}.acoustics" if modality in SOUND_RATES else __package__
    return find_entry(_EXTRACTORS, modality, f"{folder}.{modality}", "extractor")


def has_extractor(modality: str) -> bool:
    """Return whether a modality has an extractor, without any settings."""
    try:
        return extractor_of(modality) is not None
    except ConfigError:
        return False


def extractor_facts(
    modalities: Iterable[str], settings: Mapping[str, Any]
) -> dict[str, Mapping[str, str]]:
    """Return what a model's card says of extractors, by modality; none of those without facts.

    Args:
        modalities: of the model.
        settings: of extractors by modality.
    """
    own = {name: settings.get(name) for name in modalities}
    found = {name: extractor_of(name, given).facts(given) for name, given in own.items()}
    return {name: facts for name, facts in found.items() if facts}


def depend_on_names(modalities: Iterable[str], options: Mapping[str, Any] = NO_SETTINGS) -> bool:
    """Return whether clips of one content may have different inputs, by their names."""
    return any(
        extractor_of(name, options.get(name)).by_name(options.get(name)) for name in modalities
    )


def require_extractors(modalities: Iterable[str], options: Mapping[str, Any] = NO_SETTINGS) -> None:
    """Check, before any clip is touched, that this machine can extract what a model takes.

    Raises:
        ConfigError: a modality has no extractor, or that lacks a package, a model or a setting.
    """
    for modality in modalities:
        extractor_of(modality, options.get(modality)).folder(options)


@register_extractor("audio", version=EXTRACTION, needs_audio=True)
def _waveform(media: ClipMedia) -> NDArray[Any] | Rejection:
    """Return int16 (samples,), 16 kHz mono."""
    assert media.audio is not None, "decoded for every extractor that needs audio"
    return media.audio if isinstance(media.audio, Rejection) else media.audio.waveform
