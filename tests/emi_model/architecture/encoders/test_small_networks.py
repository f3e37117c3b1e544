from __future__ import annotations

from typing import Any

import pytest
import torch

from emi_model.architecture.encoders.small_networks import SmallConv, hashed_words
from emi_model.errors import ConfigError


def test_a_word_has_one_token_wherever_it_stands() -> None:
    first, again = hashed_words("So glad!", 128, 500), hashed_words("glad so.", 128, 500)
    assert first[0] == again[0] == 1
    assert first[1:3] == again[2:0:-1]
    assert len(first) == 4
    assert len(hashed_words("a b c d", 3, 500)) == 3
    assert all(2 <= token < 10 for token in hashed_words("many words share tokens", 9, 10)[1:])


def test_a_picture_has_a_state_that_its_neighbours_do_not_change(enliven: Any) -> None:
    network = enliven(SmallConv({"channels": [4, 8], "hidden_size": 6, "image_size": 9}, 3))
    pictures = torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = network(pictures)
        assert found.shape == (3, 1, 6)
        torch.testing.assert_close(found[1:2], network(pictures[1:2]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"channels": [4] * 9, "image_size": 16}, "few enough to halve pictures of 16 pixels"),
        ({"channels": []}, "expected one or more"),
        ({"depth": 3}, r"has \['depth'\]"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SmallConv(arguments, 3)
