"""The media of a data set: what is there, what their headers say, and windows cut out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import ffmpeg

from emi_model.errors import CorpusError, ExportError, LabelError, MediaToolError
from tasks.corpus.clips import ClipFile
from tasks.datasets.tree import MediaFacts
from tasks.extraction.ffmpeg import find_ffmpeg, run_ffmpeg
from tasks.extraction.formats import (
    ALLOWED_CONTAINERS,
    ALLOWED_DECODERS,
    ALLOWED_VIDEO_DECODERS,
)
from tasks.extraction.headers import ProbeFailure, Prober
from tasks.threads import Progress

_HEADER_SECONDS = 60.0
_CUT_SECONDS = 600.0
_AT_ONCE = 4
"""Windows that one run of ffmpeg writes: it decodes once for all of them, and holds an encoder of
large pictures for each."""

_TO_EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
"""H.264 with halved colour planes takes no odd width or height: a black column or row is added."""

_SUFFIX = ".mkv"


class WindowCut(NamedTuple):
    """A window to be cut.

    Attributes:
        source: the recording.
        start: first second.
        end: the one after the last.
        target: the file to write.
    """

    source: Path
    start: int
    end: int
    target: Path


class FactsReader:
    """Reads headers of clips, each in a child process that may crash without harm."""

    def __init__(self, clips: Mapping[str, ClipFile], prober: Prober) -> None:
        """Take the clips by id."""
        self._clips = clips
        self._prober = prober

    def read(self, clip_id: str) -> MediaFacts:
        """Return what the header of a clip says.

        Raises:
            LabelError: it cannot be read.
        """
        path = file_on_disk(self._clips[clip_id])
        header = self._prober.read(f"file:{path.absolute()}", timeout_seconds=_HEADER_SECONDS)
        if isinstance(header, ProbeFailure):
            raise LabelError(f"{path}: its header cannot be read ({header.words}): remove it")
        rates = [track.frames_per_second for track in header.videos if track.frames_per_second]
        return MediaFacts(header.seconds, next(iter(rates), None))


@contextmanager
def facts_reader(clips: Mapping[str, ClipFile]) -> Iterator[FactsReader]:
    """Yield a reader of headers; its process starts with the first header and ends here."""
    with Prober() as prober:
        yield FactsReader(clips, prober)


def file_on_disk(clip: ClipFile) -> Path:
    """Return where a clip lies on a disk.

    Raises:
        CorpusError: it lies in a bucket.
    """
    if clip.is_remote:
        raise CorpusError(f"{clip.uri} lies in a bucket: copy the media to a disk to cut windows")
    return clip.file()


def window_name(recording: str, start: int, end: int) -> str:
    """Return the clip id of a window: ``RECORDING/00012-00016.mkv``."""
    return f"{recording}/{start:05}-{end:05}{_SUFFIX}"


def cut_windows(cuts: Sequence[WindowCut], on_progress: Progress | None = None) -> None:
    """Write windows as media files; those that are there already stay as they are.

    Sound is kept whole (FLAC); pictures are encoded once more, with hardly a loss, an odd width or
    height made even. A file is written aside and renamed: one that is there is complete.

    Args:
        cuts: the windows of one recording side by side.
        on_progress: called with windows done and their total.

    Raises:
        MediaToolError: ffmpeg is missing, or cannot cut a recording.
        ExportError: there can be no folder for a recording's windows.
    """
    by_source: dict[Path, list[WindowCut]] = {}
    for cut in cuts:
        by_source.setdefault(cut.source, []).append(cut)
    num_done = 0
    for pieces in by_source.values():
        for first in range(0, len(pieces), _AT_ONCE):
            some = pieces[first : first + _AT_ONCE]
            missing = [cut for cut in some if not cut.target.exists()]
            if missing:
                _cut(missing)
            num_done += len(some)
            if on_progress is not None:
                on_progress(num_done, len(cuts))


def _cut(cuts: Sequence[WindowCut]) -> None:
    begin = cuts[0].start
    source = ffmpeg.input(
        f"file:{cuts[0].source}",
        # seeking to 0 would lose the packet that an MP4's decoder is to warm up with
        **({"ss": begin} if begin else {}),
        protocol_whitelist="file",
        format_whitelist=ALLOWED_CONTAINERS,
        codec_whitelist=f"{ALLOWED_DECODERS},{ALLOWED_VIDEO_DECODERS}",
        threads=1,
    )
    aside = [cut.target.with_name(f"{cut.target.name}.part") for cut in cuts]
    outputs = [_output(source, cut, path, begin) for cut, path in zip(cuts, aside, strict=True)]
    for path in aside:
        _make_folder(path.parent)
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    quiet = merged.global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    command = ffmpeg.compile(quiet, cmd=find_ffmpeg(), overwrite_output=True)
    finished = run_ffmpeg(command, _CUT_SECONDS, 0)
    if finished.exit_status != 0:
        for path in aside:
            path.unlink(missing_ok=True)
        # the first line has the cause: those below say that this or that was then not done
        words = finished.stderr_tail.strip().splitlines()[:1] or ["it took too long"]
        raise MediaToolError(f"{cuts[0].source}: ffmpeg cannot cut windows out of it: {words[0]}")
    for cut, path in zip(cuts, aside, strict=True):
        path.replace(cut.target)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _output(source: Any, cut: WindowCut, target: Path, begin: int) -> Any:
    # bitexact: the same window has the same bytes, so labels still fit it when it is cut again
    exact = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact"}
    return ffmpeg.output(
        source["V:0?"],
        source["a:0?"],
        f"file:{target}",
        ss=cut.start - begin,
        t=cut.end - cut.start,
        format="matroska",
        vcodec="libx264",
        preset="veryfast",
        crf=18,
        vf=_TO_EVEN,
        pix_fmt="yuv420p",
        acodec="flac",
        map_metadata=-1,
        map_chapters=-1,
        threads=1,
        **exact,
    )
