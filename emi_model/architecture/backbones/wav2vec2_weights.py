"""wav2vec2's weights without `transformers`: to import that takes longer than to score a clip.

`emi_model.engine` needs the weights alone. What runs the backbone itself gets the model of
`transformers` all the same, around these weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.architecture.backbones.base import MAX_LAYERS, OWN_ARGUMENTS

_TO_SCORE: ContextVar[bool] = ContextVar("to_score", default=False)

GELU = "gelu"


@contextmanager
def built_to_score() -> Iterator[None]:
    """Let backbones that are built in the block be `Wav2Vec2Weights`, where these suffice."""
    token = _TO_SCORE.set(True)
    try:
        yield
    finally:
        _TO_SCORE.reset(token)


@dataclass(frozen=True)
class Wav2Vec2Shape:
    """What of a ``Wav2Vec2Config`` decides the shapes of the weights, with its defaults."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    conv_dim: Sequence[int] = (512,) * 7
    conv_kernel: Sequence[int] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: Sequence[int] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    layer_norm_eps: float = 1e-5
    final_dropout: float = 0.1
    apply_spec_augment: bool = True
    mask_time_prob: float = 0.05
    mask_feature_prob: float = 0.0
    feat_extract_norm: str = "group"
    feat_extract_activation: str = GELU
    hidden_act: str = GELU
    do_stable_layer_norm: bool = False
    add_adapter: bool = False
    adapter_attn_dim: int | None = None

    @property
    def is_usual(self) -> bool:
        """Whether a model of this shape is a `Wav2Vec2Weights`: norms of layers, before them."""
        return (
            (self.feat_extract_norm, self.do_stable_layer_norm) == ("layer", True)
            and (self.feat_extract_activation, self.hidden_act) == (GELU, GELU)
            and not self.add_adapter
            and self.adapter_attn_dim is None
            and self.num_hidden_layers >= 1
        )


def weights_to_score(arguments: Mapping[str, Any]) -> Wav2Vec2Weights | None:
    """Return a backbone's weights, not initialised, if they are to be built and suffice.

    Args:
        arguments: of a ``Wav2Vec2Config``; where they make none, that is for `transformers` to say.
    """
    if not _TO_SCORE.get():
        return None
    names = {field.name for field in fields(Wav2Vec2Shape)}
    given = {name: value for name, value in arguments.items() if name in names}
    try:
        shape = Wav2Vec2Shape(**given)
        most = arguments.get(MAX_LAYERS, shape.num_hidden_layers)
        shape = replace(shape, num_hidden_layers=min(shape.num_hidden_layers, most))
        return Wav2Vec2Weights(shape, arguments) if shape.is_usual else None
    except (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError):
        return None


class Wav2Vec2Weights(nn.Module):
    """The weights of a ``transformers.Wav2Vec2Model`` by the same names.

    Attributes:
        config: their shape.
    """

    def __init__(self, shape: Wav2Vec2Shape, arguments: Mapping[str, Any]) -> None:
        """Build them.

        Args:
            shape: theirs.
            arguments: of the model's ``Wav2Vec2Config``.
        """
        super().__init__()
        self.config = shape
        own = {name: value for name, value in arguments.items() if name not in OWN_ARGUMENTS}
        self._arguments = own | {"num_hidden_layers": shape.num_hidden_layers}
        self._whole: list[Any] = []  # in a list, lest its weights count twice
        if shape.mask_time_prob > 0 or shape.mask_feature_prob > 0:
            self.masked_spec_embed = nn.Parameter(torch.empty(shape.hidden_size))
        self.feature_extractor = _Convolutions(shape)
        self.feature_projection = _Projection(shape)
        self.encoder = _Encoder(shape)

    def forward(self, waveforms: Tensor, **options: Any) -> Any:
        """Return the output of the ``transformers`` model with these weights."""
        if not self._whole:
            from transformers import Wav2Vec2Config, Wav2Vec2Model

            with torch.device("meta"):
                whole: Any = Wav2Vec2Model(Wav2Vec2Config(**self._arguments))
            whole.load_state_dict(self.state_dict(keep_vars=True), assign=True)
            self._whole.append(whole.eval())
        return self._whole[0](waveforms, **options)


class _ConvLayer(nn.Module):
    def __init__(self, num_in: int, num_out: int, kernel: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(num_in, num_out, kernel, stride, bias=bias)
        self.layer_norm = nn.LayerNorm(num_out)
        self.activation = functional.gelu


class _Convolutions(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        widths = zip((1, *shape.conv_dim), shape.conv_dim, strict=False)
        layers = zip(widths, shape.conv_kernel, shape.conv_stride, strict=True)
        self.conv_layers = nn.ModuleList(
            _ConvLayer(*width, kernel, stride, shape.conv_bias) for width, kernel, stride in layers
        )


class _Projection(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(shape.conv_dim[-1], eps=shape.layer_norm_eps)
        self.projection = nn.Linear(shape.conv_dim[-1], shape.hidden_size)


class _Positional(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        self.conv = _NormedConv(shape)
        self.activation = functional.gelu


class _NormedConv(nn.Module):
    """A convolution with weight norm over its taps, its weights named as PyTorch names them.

    PyTorch's own would compute the norms when it is built, and load its compiler for that.
    """

    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        taps, size = shape.num_conv_pos_embeddings, shape.hidden_size
        self.groups = shape.num_conv_pos_embedding_groups
        both = nn.ParameterDict(
            {
                "original0": nn.Parameter(torch.empty(1, 1, taps)),
                "original1": nn.Parameter(torch.empty(size, size // self.groups, taps)),
            }
        )
        self.parametrizations = nn.ModuleDict({"weight": both})
        self.bias = nn.Parameter(torch.empty(size))

    @property
    def weight(self) -> Tensor:
        """The weights of the convolution (size, size / groups, taps)."""
        both = self.get_submodule("parametrizations.weight")
        lengths, directions = both.get_parameter("original0"), both.get_parameter("original1")
        found: Tensor = torch._weight_norm(directions, lengths, 2)
        return found


class _Encoder(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        self.pos_conv_embed = _Positional(shape)
        self.layer_norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.layers = nn.ModuleList(
            _LayerStableLayerNorm(shape) for _ in range(shape.num_hidden_layers)
        )


class _LayerStableLayerNorm(nn.Module):
    """By its name, as in `transformers`, the engine knows that norms come first."""

    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.layer_norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.feed_forward = _FeedForward(shape)
        self.final_layer_norm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)


class _Attention(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        size, self.num_heads = shape.hidden_size, shape.num_attention_heads
        self.head_dim, rest = divmod(size, self.num_heads)
        if rest:
            raise ValueError(f"{size} is no multiple of {self.num_heads} heads")
        self.scaling = self.head_dim**-0.5
        self.k_proj = nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)
        self.q_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)


class _FeedForward(nn.Module):
    def __init__(self, shape: Wav2Vec2Shape) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.intermediate_act_fn = functional.gelu
        self.output_dense = nn.Linear(shape.intermediate_size, shape.hidden_size)
