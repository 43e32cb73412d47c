"""Numbers in English words, without the two seconds that the usual library takes to import."""

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
LARGEST = 10**12
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))


def number_words(n: int) -> str:
    """Spell a non-negative integer below LARGEST, 10^12.

    >>> number_words(1234)
    'one thousand two hundred thirty-four'

    Raises:
        ValueError: below zero, or 10^12 and above.
    """
    if not 0 <= n < LARGEST:
        raise ValueError(f"can spell 0 to 10^12 - 1, not {n}")
    if n < 20:
        return _UNITS[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_UNITS[n % 10]}" if n % 10 else "")
    size, name = next(scale for scale in _SCALES if n >= scale[0])
    return f"{number_words(n // size)} {name}" + (f" {number_words(n % size)}" if n % size else "")
