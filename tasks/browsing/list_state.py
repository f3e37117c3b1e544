"""What the list shows, as the address bar holds it: it can be shared, kept and opened again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

SEARCH, SQL, SORT, PAGE = "q", "sql", "sort", "page"

MAX_PAGE = 10**9


@dataclass(frozen=True)
class ListState:
    """A state of the list.

    Attributes:
        search: words within the clip's name.
        sql: a SELECT, or a condition over the view clips.
        sort: column; empty: the order of the SELECT, else of the names.
        descending: largest first.
        page: counted from 1.
        chosen: values by the key of their facet; an empty value is one that is not there.
    """

    search: str = ""
    sql: str = ""
    sort: str = ""
    descending: bool = False
    page: int = 1
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The state as the query of an address, without the question mark."""
        return urlencode(list(self.pairs()))

    @property
    def address(self) -> str:
        """The address of the list."""
        return f"/?{self.query}" if self.query else "/"

    @property
    def is_plain(self) -> bool:
        """Whether nothing narrows the list."""
        return not (self.search or self.sql or self.chosen)

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Yield names and values of the query; what is as by default is left out."""
        if self.search:
            yield SEARCH, self.search
        if self.sql:
            yield SQL, self.sql
        for key, values in self.chosen.items():
            for value in values:
                yield key, value
        if self.sort:
            yield SORT, f"-{self.sort}" if self.descending else self.sort
        if self.page > 1:
            yield PAGE, str(self.page)

    def toggled(self, key: str, value: str) -> ListState:
        """Return the state with a value of a facet chosen, or no longer chosen."""
        values = self.chosen.get(key, ())
        left = tuple(one for one in values if one != value)
        chosen = dict(self.chosen) | {key: left if value in values else (*values, value)}
        return replace(self, page=1, chosen={k: v for k, v in chosen.items() if v})

    def sorted_by(self, column: str) -> ListState:
        """Return the state in the order of a column; largest first, once more: smallest first."""
        again = self.sort == column
        is_name = column == "clip_id"
        descending = not self.descending if again else not is_name
        return replace(self, page=1, sort=column, descending=descending)

    def at_page(self, page: int) -> ListState:
        """Return the state at another page."""
        return replace(self, page=page)


def state_of_address(
    pairs: Iterable[tuple[str, str]], facets: Collection[str], sortable: Collection[str]
) -> tuple[ListState, list[str]]:
    """Return the state that an address holds, and a sentence for each part that does not fit.

    Args:
        pairs: of the query.
        facets: keys of the facets that this store has.
        sortable: columns that it has.
    """
    state, notes = ListState(), list[str]()
    chosen: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name == SEARCH:
            state = replace(state, search=value.strip())
        elif name == SQL:
            state = replace(state, sql=value.strip())
        elif name == SORT and value.removeprefix("-") in sortable:
            state = replace(state, sort=value.removeprefix("-"), descending=value[:1] == "-")
        elif name == PAGE and value.isascii() and value.isdigit():
            state = replace(state, page=min(max(int(value[:10]), 1), MAX_PAGE))
        elif name in facets:
            chosen[name] = tuple(dict.fromkeys((*chosen.get(name, ()), value)))
        elif name not in OF_CLIP and value:
            notes.append(f"This store knows nothing of {name}={value}: it was passed over.")
    return replace(state, chosen=chosen), notes


NAMED_CLIP, NAMED_MODEL, NAMED_COVERAGE, NAMED_PLACE = "clip", "clip_model", "clip_coverage", "at"
OF_CLIP = (NAMED_CLIP, NAMED_MODEL, NAMED_COVERAGE, NAMED_PLACE)
"""Names in the address of a clip's page, which also holds the list that it came from."""
