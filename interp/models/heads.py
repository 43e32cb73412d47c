"""The language-model head of an architecture, known before any weight is loaded."""

from dataclasses import dataclass

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_PRETRAINING_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    PreTrainedConfig,
    PreTrainedModel,
)

from interp.models.internals import has_tied_weights

# The name of the head where there is none.
TIED_EMBEDDING = "tied token embedding"


@dataclass(frozen=True)
class Head:
    """A language-model head, as the class of the transformer that carries it.

    Attributes:
        model_class: transformer and head together: GPT2LMHeadModel, BertForMaskedLM, …
        name: the head's name in runs and figures.
    """

    model_class: type[PreTrainedModel]
    name: str


def head_of_type(config: PreTrainedConfig) -> Head | None:
    """Return the head that the architecture was made for; None where it is no language model.

    For an encoder-decoder it is the decoder's, for an encoder the masked-language-model head.
    """
    masked = not getattr(config, "is_decoder", False)
    if config.is_encoder_decoder:
        return _lm_head(config, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING)
    return (masked and _masked_head(config)) or _lm_head(config, MODEL_FOR_CAUSAL_LM_MAPPING)


def head_of_checkpoint(config: PreTrainedConfig) -> Head | None:
    """Return the head that a checkpoint was saved with, as it declares; None where it has none.

    A sentence encoder or a classifier has none, even where its architecture has one.
    """
    masked = _masked_head(config)
    heads = [
        masked,
        _lm_head(config, MODEL_FOR_CAUSAL_LM_MAPPING),
        _lm_head(config, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING),
    ]
    known = {head.model_class.__name__: head for head in heads if head}
    if masked and type(config) in MODEL_FOR_PRETRAINING_MAPPING:
        pretraining = MODEL_FOR_PRETRAINING_MAPPING[type(config)]
        # BERT was trained with two heads, this among them; ELECTRA's discriminator ties none.
        if has_tied_weights(pretraining):
            known.setdefault(pretraining.__name__, masked)
    return next((known[name] for name in config.architectures or () if name in known), None)


def _masked_head(config: PreTrainedConfig) -> Head | None:
    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING or config.is_encoder_decoder:
        return None
    found = MODEL_FOR_MASKED_LM_MAPPING[type(config)]
    return Head(found, f"masked-language-model head ({found.__name__})")


def _lm_head(
    config: PreTrainedConfig, mapping: dict[type[PreTrainedConfig], type[PreTrainedModel]]
) -> Head | None:
    if type(config) not in mapping:
        return None
    return Head(mapping[type(config)], f"lm_head ({mapping[type(config)].__name__})")
