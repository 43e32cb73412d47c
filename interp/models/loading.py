"""The library `transformers` as models are loaded here: quiet, and with further architectures.

Functions that load an architecture, a tokenizer or weights import the library's classes from here,
and inside the function, so that describing a model imports neither torch nor transformers.
"""

import os
import warnings
from importlib.metadata import entry_points

from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

__all__ = ["CONFIG_MAPPING", "AutoConfig", "AutoModel", "AutoTokenizer"]

# The loading report lists heads that nothing here uses; weights that matter are checked elsewhere.
logging.set_verbosity_error()
logging.disable_progress_bar()
# A checkpoint without safetensors would otherwise be sent to a conversion service, in a thread.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")


def _register_architectures() -> None:
    """Import the modules that register the architectures of installed packages."""
    for entry in entry_points(group="interp.architectures"):
        try:
            entry.load()
        except Exception as error:
            # Models of other architectures are loaded all the same.
            warnings.warn(
                f"the architecture {entry.name!r} of {entry.value} cannot be registered: "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )


_register_architectures()
