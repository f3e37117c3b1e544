"""The attributor: a loaded model that says where a clip's scores come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from emi_model.architecture.branch import ClipInputs
from emi_model.arrays import Doubles
from emi_model.attribution.choices import LEFT_OUT, Choice, Choices
from emi_model.attribution.contributions import Attribution, Contribution, Kind, remainder
from emi_model.attribution.encoded import encode_variants, scores_of_choices
from emi_model.attribution.limits import check_attributable
from emi_model.attribution.shapley import shapley_values
from emi_model.devices import attention_of_any_shape
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO, size_of
from emi_model.predict import MAX_BATCH_SAMPLES, Clip, Predictor, batch_samples


class Attributor:
    """Says what each modality and each second of a clip adds to its scores.

    **Modalities**: exact Shapley values over those that the clip has. All sets of them are scored.
    An optional modality is left out as in any clip that lacks it: the model's learnt token stands
    in for it. One that the model needs is replaced by an input that says nothing (silence, a full
    stop, grey pictures). A fusion that gives nothing of nothing, as those of predictions, has the
    base 0. Base and values add up to the score exactly.

    **Seconds**: occlusion. A second's value is the score minus the score of the clip with this
    second silent, and without its pictures. What has no time, as text, always stays. These values
    do not add up by themselves: what two seconds say only together counts for both, what each of
    them says alone for neither. The base is the score with every second left out, and the remainder
    makes up the difference.

    Each variant of an input is encoded once, whatever it is combined with. Everything is computed
    in float32, also where scores are computed in bfloat16 or int8: effects are smaller than their
    rounding. A clip's attribution depends on no other clip.

    Attributes:
        predictor: whose model, device and bound on memory it shares.
        seconds: whether seconds are attributed as well; each of them costs a pass of audio.
    """

    def __init__(self, predictor: Predictor, *, seconds: bool = True) -> None:
        """Take a loaded model.

        Raises:
            ConfigError: it has no targets, or too many modalities.
        """
        config = predictor.model.config
        check_attributable(config.num_targets, config.modalities)
        self.predictor = predictor
        self.seconds = seconds
        self._most = batch_samples(MAX_BATCH_SAMPLES[predictor.device.type])

    @torch.inference_mode()
    def __call__(self, clip: Clip) -> Attribution:
        """Attribute the scores of one clip, or window.

        Args:
            clip: one that the predictor takes.

        Raises:
            ConfigError: the fusion gives no number for some of the clip's modalities, or nothing
                can stand for one that the model needs.
            OutOfMemory: a variant of the clip does not fit, even alone.
        """
        # with TF32, convolutions would have 10 bits of mantissa
        with (
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            attention_of_any_shape(self.predictor.device.type),
        ):
            return self._attributed(clip if isinstance(clip, Mapping) else {AUDIO: clip})

    def _attributed(self, inputs: ClipInputs) -> Attribution:
        choices = Choices(self.predictor.model, inputs)
        sets, seconds = choices.sets(), choices.seconds if self.seconds else []
        stretches = [(0, seconds[-1][1]), *seconds] if seconds else []
        left_out = [choices.without(*stretch) for stretch in stretches]
        found = self._scores(inputs, choices, [*sets, *left_out])
        by_set, silent = found[: len(sets)], found[len(sets) :]
        modalities = tuple(
            Contribution(Kind.MODALITY, value, name=name, reference=choices.references[name])
            for name, value in zip(choices.variants, shapley_values(by_set), strict=True)
        )
        score = by_set[-1]
        base = silent[0] if seconds else score
        apart = tuple(
            Contribution(Kind.SECOND, score - value, start=start, end=end)
            for (start, end), value in zip(seconds, silent[1:], strict=True)
        )
        every = (*modalities, *apart, *remainder(score, base, apart))
        return Attribution(score, by_set[0], base, every)

    def _scores(self, clip: ClipInputs, choices: Choices, wanted: list[Choice]) -> Doubles:
        """Return the scores (N, targets) of the wanted choices."""
        model, device = self.predictor.model, self.predictor.device
        branches = model.each_branch()
        encodings = {
            name: encode_variants(name, branches[name], variants, device, self._most)
            for name, variants in choices.variants.items()
        }
        at_once = max(1, self._most // max(1, size_of(clip)))
        each = {tuple(choice.items()): choice for choice in wanted}  # equal ones are one
        differing = list(each.values())
        found = _defined(scores_of_choices(model, encodings, differing, at_once), differing)
        places = {key: place for place, key in enumerate(each)}
        return found[[places[tuple(choice.items())] for choice in wanted]]


def _defined(scores: Doubles, choices: Sequence[Choice]) -> Doubles:
    """Return scores (N, targets), 0 where a fusion gives nothing of nothing.

    Raises:
        ConfigError: it gives nothing of something.
    """
    defined: NDArray[np.bool_] = np.all(np.isfinite(scores), axis=1, keepdims=True)
    for is_defined, choice in zip(defined, choices, strict=True):
        given = [name for name, number in choice.items() if number != LEFT_OUT]
        if given and not is_defined:
            raise ConfigError(
                f"found no finite score for a clip with {', '.join(given)} alone: this model's "
                "scores cannot be attributed"
            )
    return np.where(defined, scores, 0.0)
