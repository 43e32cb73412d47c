"""The tokenizer of modular arithmetic: one token per number, and "="."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def number_tokenizer(modulus: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer that reads "17 45 =": the id of a number is the number, of "=" `modulus`.

    Other words have no token; planning the prompts rejects a text with none.
    """
    words = [*(str(number) for number in range(modulus)), "="]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=3)
