"""Prompts streamed from a Hugging Face dataset, of which only the first texts are read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from interp.core.errors import ConfigError
from interp.data.prompts.prompt_set import PromptSet, escaped
from interp.data.prompts.rows import ROWS_AT_ONCE, Row, prompts_of, rows_of
from interp.data.prompts.source import PROMPTS


@PROMPTS.register("dataset")
@dataclass(frozen=True)
class Dataset:
    """The first texts of a Hugging Face dataset, unchanged: a brace marks no target.

    Rows with a blank text are skipped. Further columns are kept where every row has a number, or
    every row a text. A dataset that needs code of its own is refused.

    Attributes:
        path: its name on the Hub, a folder, or the format of `data_files`: "json", "parquet".
        config: its configuration; "" where it has only one.
        split: its split.
        data_files: its files, or their paths, with wildcards; "" is all.
        text_column: the column of the texts.
        group_column: the column of their groups, texts or class labels; "" is one group, "all".
        limit: how many prompts to read.
    """

    path: str
    config: str = ""
    split: str = "train"
    data_files: str = ""
    text_column: str = "text"
    group_column: str = ""
    limit: int = 10_000

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ConfigError(f"limit must be at least 1, not {self.limit}")

    def load(self) -> PromptSet:
        """Stream the texts.

        Raises:
            ConfigError: the library is missing, the dataset cannot be read, or a row has no text.
        """
        rows = islice(self._rows(), self.limit)
        return prompts_of(rows, self.text_column, self.group_column, self.path)

    def _rows(self) -> Iterator[Row]:
        try:
            from datasets import load_dataset
            from datasets.exceptions import DatasetsError
        except ImportError:
            raise ConfigError(
                "prompts: datasets is not installed: pip install 'interp[datasets]'"
            ) from None
        try:
            stream = load_dataset(
                self.path,
                self.config or None,
                split=self.split,
                data_files=self.data_files or None,
                streaming=True,
            )
            feature = (stream.features or {}).get(self.group_column)
            labels = getattr(feature, "names", ())
            # As Arrow tables, in which images and audio are not decoded.
            for batch in stream.with_format("arrow").iter(min(self.limit, ROWS_AT_ONCE)):
                yield from self._prompts(rows_of(batch), labels)
        except (DatasetsError, OSError, ValueError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ConfigError(
                f"prompts.path: the dataset {self.path!r} cannot be read: {reason}"
            ) from None

    def _prompts(self, rows: Iterable[dict[str, object]], labels: Sequence[str]) -> Iterator[Row]:
        for row in rows:
            text, group = row.get(self.text_column), row.get(self.group_column)
            if isinstance(text, str):
                if not text.strip():
                    continue
                row[self.text_column] = escaped(text)
            if isinstance(group, int) and group in range(len(labels)):
                row[self.group_column] = labels[group]
            yield row
