"""Activations on disk, each under a hash of all that determines them.

<folder>/<key[:2]>/<key>/    one entry: a manifest, and one file per layer and chunk
<folder>/temporary/          files that are being written or removed
<folder>/damaged/            files whose content differs from what was written
<folder>/locks/
"""

from interp.cache.activation_store import ActivationStore, EntrySummary
from interp.cache.entry import Entry, FileCheck, Missing
from interp.cache.eviction import Eviction

__all__ = ["ActivationStore", "Entry", "EntrySummary", "Eviction", "FileCheck", "Missing"]
