"""Arrow fields with a unit and a meaning, and the check before a write."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.errors import StoreError
from tasks.schema.outcomes import Flag, Reason, Status

TEXT, FLOAT, DOUBLE = pa.string(), pa.float32(), pa.float64()

TIME = pa.timestamp("us", tz="UTC")


def described(
    name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = True
) -> pa.Field:
    """Return a field that carries its unit and meaning."""
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": meaning})


def required(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    """Return such a field that is never null."""
    return described(name, kind, unit, meaning, nullable=False)


MODEL_FIELDS = [
    required("model", TEXT, "", "name of the model"),
    required("model_sha256", TEXT, "hex", "SHA-256 of the model's config and weights"),
]
"""Which model a row comes from."""


def checked(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table under exactly this schema, ready to be written.

    Raises:
        StoreError: columns or types differ, or a value is not what its field promises.
    """
    if table.schema.names != schema.names:
        differing = sorted(set(table.schema.names) ^ set(schema.names)) or "their order"
        raise StoreError(f"columns differ from the schema in {differing}")
    try:
        table = table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise StoreError(f"a column does not fit its schema: {error}") from error
    for field, column in zip(schema, table.columns, strict=True):
        if field.type == FLOAT and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise StoreError(f"column {field.name} holds a value that is not finite")
        if (field.metadata or {}).get(b"unit") == b"0..1":
            inside = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, 1))
            _require(inside, f"a value of {field.name} outside 0..1")
    if "status" in schema.names:
        _check_outcomes(table, schema)
    return table


def _check_outcomes(table: pa.Table, schema: pa.Schema) -> None:
    allowed = schema.field("status").metadata[b"unit"].decode().split("|")
    rejected = pc.equal(table["status"], Status.REJECTED.value)
    _require(pc.is_in(table["status"], pa.array(allowed)), "a status that is none")
    has_reason = pc.is_valid(table["reason"])
    _require(pc.equal(rejected, has_reason), "a reason where it should not be")
    is_listed = pc.is_in(table["reason"], pa.array([*Reason, None], pa.string()))
    _require(is_listed, "a reason that is not enumerated")
    flags = pc.list_flatten(table["flags"])
    _require(pc.is_in(flags, pa.array(list(Flag), pa.string())), "a flag that is none")


def _require(condition: pa.ChunkedArray, found: str) -> None:
    if not pc.all(condition, min_count=0).as_py():
        raise StoreError(f"found {found}: the part was not written")
