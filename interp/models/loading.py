"""Transformers as models are loaded here: quiet, and knowing the architecture that is our own.

Whatever reads or draws an architecture, a tokenizer or weights takes the library's classes from
here, and where it runs: a description of a model costs no import of torch or transformers.
"""

import os
from importlib.metadata import entry_points

from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

__all__ = ["CONFIG_MAPPING", "AutoConfig", "AutoModel", "AutoTokenizer"]

# The loading report speaks of heads that nothing here reads; what matters is checked elsewhere.
logging.set_verbosity_error()
logging.disable_progress_bar()
# A checkpoint without safetensors would otherwise be sent to a conversion service, in a thread.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
# An architecture of a package's own registers itself as its module is imported.
for _architecture in entry_points(group="interp.architectures"):
    _architecture.load()
