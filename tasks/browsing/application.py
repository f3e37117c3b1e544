"""The application: its routes, each a question to the store and a page."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from emi_model.errors import EmiError, QueryError
from tasks.browsing.asked import in_one_line
from tasks.browsing.clip_page import clip_address, clip_values
from tasks.browsing.clip_record import ClipRecord, read_clip
from tasks.browsing.guard import NONCE
from tasks.browsing.list_state import (
    NAMED_CLIP,
    NAMED_COVERAGE,
    NAMED_MODEL,
    NAMED_PLACE,
    ListState,
    state_of_address,
)
from tasks.browsing.listing import ROWS_A_PAGE, FacetShown, Listing
from tasks.browsing.media import Playable, PlayableFiles
from tasks.browsing.rendering import page_html, prepare_pages, static_file
from tasks.browsing.snapshot import ListSnapshot
from tasks.reports.page import of_clips
from tasks.storage.formats import plain_rows

EXAMPLES = (
    "joy > 0.8 AND valence < 0.4",
    "SELECT clip_id, joy - excitement AS difference FROM trusted_scores ORDER BY 2 DESC LIMIT 100",
    "FROM clips_saying('thank you')",
    "SELECT reason, count(*) AS clips FROM rejections GROUP BY ALL ORDER BY 2 DESC",
)


MAX_CLIPS = 200
"""Clips whose rows are kept, so that their files are found at once."""

_Asked = tuple[str, str, str]
"""Id of a clip, hash of a model, coverage."""


class Opened:
    """A store that is browsed: its snapshot, which a refresh replaces, and the clips' files.

    Attributes:
        location: of the store.
        files: of the clips.
    """

    def __init__(self, location: str, corpus: str | None = None) -> None:
        """Read a store.

        Args:
            location: of the store.
            corpus: folder, bucket or manifest of the clips; None: they are where the store says.

        Raises:
            CorpusError: the corpus is not there.
            StoreError: the store is not there, or cannot be read.
            QueryError: it needs more memory than a question may take.
        """
        self.location = location
        self.files = PlayableFiles(corpus)
        self._listing = Listing(ListSnapshot(location))
        self._before: Listing | None = None
        self._clips: OrderedDict[_Asked, Mapping[str, Any]] = OrderedDict()
        self._lock = Lock()
        prepare_pages()

    @property
    def listing(self) -> Listing:
        """The list over the newest snapshot."""
        return self._listing

    def record(self, clip: _Asked) -> ClipRecord | None:
        """Return what the store holds of a clip, of a model's hash and coverage, just now."""
        found = read_clip(self.location, *clip)
        with self._lock:
            self._clips.pop(clip, None)
            if found is not None:
                self._clips[clip] = found.row
            while len(self._clips) > MAX_CLIPS:
                self._clips.popitem(last=False)
        return found

    def playable(self, clip: _Asked) -> Playable | None:
        """Return the file of a clip; None if the store has no such clip.

        A player asks for many ranges of a file: the store is asked when the clip's page is opened.
        """
        with self._lock:
            row = self._clips.get(clip)
        if row is None:
            found = self.record(clip)
            if found is None:
                return None
            row = found.row
        return self.files.find(row["clip_id"], row["uri"], row["content_sha256"])

    def refresh(self) -> None:
        """Read the store anew: rows that came since appear; a request that runs keeps the old."""
        with self._lock:
            listing = Listing(ListSnapshot(self.location))
            if self._before is not None:
                self._before.snapshot.close()
            self._before, self._listing = self._listing, listing

    def close(self) -> None:
        """Remove what was made for it."""
        for listing in filter(None, (self._listing, self._before)):
            listing.snapshot.close()
        self.files.close()


def browsing_application(opened: Opened) -> Starlette:
    """Return the application over an opened store; `tasks.browsing.guard` stands before it."""
    routes = _Routes(opened)
    return Starlette(
        routes=[
            Route("/", _in_thread(routes.list_page)),
            Route("/clip", _in_thread(routes.clip_page)),
            Route("/media", _in_thread(routes.media)),
            Route("/refresh", _in_thread(routes.refresh)),
            Route("/static/{path:path}", _static),
        ],
        exception_handlers={404: _nothing_there},
    )


@dataclass(frozen=True)
class _Routes:
    """The routes that ask the store; each runs in a thread of its own."""

    opened: Opened

    def list_page(self, request: Request) -> Response:
        listing = self.opened.listing
        state, notes = _state_of(request, listing)
        page, table, error = None, None, ""
        facets: Sequence[FacetShown] = ()
        try:
            asked = listing.asked.answer(state.sql) if state.sql else None
            if asked is None or "clip_id" in asked.schema.names:
                page, facets = listing.page(state), listing.shown_facets(state)
                state = state.at_page(page.first // ROWS_A_PAGE + 1)
            else:
                first = (state.page - 1) * ROWS_A_PAGE
                shown = asked.slice(first, ROWS_A_PAGE)
                table = {
                    "names": asked.schema.names,
                    "rows": list(plain_rows(shown)),
                    "first": first,
                    "num_rows": asked.num_rows,
                }
        except QueryError as wrong:
            error = in_one_line(wrong)
        return self._page(
            request,
            "list",
            listing,
            state,
            status=HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK,
            page=page,
            facets=facets,
            table=table,
            error=error,
            notes=notes,
            examples=EXAMPLES,
            rows_a_page=ROWS_A_PAGE,
        )

    def clip_page(self, request: Request) -> Response:
        listing, clip = self.opened.listing, _clip_of(request)
        state, notes = _state_of(request, listing)
        record, playable = self.opened.record(clip), self.opened.playable(clip)
        if record is None or playable is None:
            return self._missing(request, f"The store has no clip {clip[0]!r}.")
        place = request.query_params.get(NAMED_PLACE, "")
        at = int(place[:10]) if place.isascii() and place.isdigit() else None
        return self._page(
            request,
            "clip",
            listing,
            state,
            notes=notes,
            before=self._neighbour(listing, state, at, -1),
            after=self._neighbour(listing, state, at, +1),
            **clip_values(record, playable, state, at, self.opened.location),
        )

    def media(self, request: Request) -> Response:
        playable = self.opened.playable(_clip_of(request))
        if playable is None or playable.path is None:
            words = playable.why_not if playable else "The store has no such clip."
            return self._missing(request, words)
        headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return FileResponse(playable.path, media_type=playable.media_type, headers=headers)

    def refresh(self, request: Request) -> Response:
        self.opened.refresh()
        state, _ = _state_of(request, self.opened.listing)
        return RedirectResponse(state.address, HTTPStatus.SEE_OTHER)

    def _neighbour(
        self, listing: Listing, state: ListState, at: int | None, step: int
    ) -> str | None:
        """Return the address of the next clip of the list, or of the one before it."""
        try:
            row = None if at is None else listing.at(state, at + step)
        except QueryError:
            return None
        return None if row is None or at is None else clip_address(state, row, at + step)

    def _missing(self, request: Request, words: str) -> Response:
        listing, status = self.opened.listing, HTTPStatus.NOT_FOUND
        return self._page(request, "missing", listing, ListState(), status, words=words)

    def _page(
        self,
        request: Request,
        name: str,
        listing: Listing,
        state: ListState,
        status: HTTPStatus = HTTPStatus.OK,
        **values: Any,
    ) -> Response:
        content = page_html(
            name,
            state=state,
            snapshot=listing.snapshot,
            listing=listing,
            location=self.opened.location,
            nonce=request.scope.get(NONCE, ""),
            refresh=f"/refresh?{urlencode(list(state.pairs()))}",
            clip_address=clip_address,
            of_clips=of_clips,
            **values,
        )
        return HTMLResponse(content.encode("utf-8", errors="backslashreplace"), status)


def _clip_of(request: Request) -> _Asked:
    given = request.query_params
    return given.get(NAMED_CLIP, ""), given.get(NAMED_MODEL, ""), given.get(NAMED_COVERAGE, "")


def _state_of(request: Request, listing: Listing) -> tuple[ListState, list[str]]:
    return state_of_address(request.query_params.multi_items(), listing.facets, listing.sortable)


def _in_thread(answer: Callable[[Request], Response]) -> Callable[[Request], Any]:
    """Return a route that keeps no other request waiting, and whose errors are one line."""

    def attempt(request: Request) -> Response:
        try:
            return answer(request)
        except EmiError as error:
            content = page_html("error", words=in_one_line(error))
            return HTMLResponse(content, HTTPStatus.SERVICE_UNAVAILABLE)

    async def route(request: Request) -> Response:
        return await anyio.to_thread.run_sync(attempt, request, abandon_on_cancel=True)

    return route


async def _static(request: Request) -> Response:
    found = static_file(request.path_params["path"])
    if found is None:
        return await _nothing_there(request, None)
    content, media_type = found
    return Response(
        content, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"}
    )


async def _nothing_there(_: Request, __: Exception | None) -> Response:
    content = page_html("error", words="There is no such page.")
    return HTMLResponse(content, HTTPStatus.NOT_FOUND)
