"""Which models' scores can be attributed; light to import."""

from __future__ import annotations

from collections.abc import Sequence

from emi_model.errors import ConfigError

MAX_MODALITIES = 5
"""Of a model: all 2^n sets of them are scored."""


def check_attributable(num_targets: int, modalities: Sequence[str]) -> None:
    """Check that the scores of a model can be attributed.

    Raises:
        ConfigError: it has no targets, or too many modalities.
    """
    if not num_targets:
        raise ConfigError(
            "found a model of arousal, dominance and valence alone, which has no scores to "
            "attribute: their seconds stand in the table timeline"
        )
    if len(modalities) > MAX_MODALITIES:
        raise ConfigError(
            f"found a model of {len(modalities)} modalities ({', '.join(modalities)}), expected "
            f"at most {MAX_MODALITIES}: all sets of them would have to be scored"
        )
