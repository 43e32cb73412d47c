"""Activations on disk, each under a digest of all that decides them.

<folder>/<key[:2]>/<key>/    one entry: a manifest, and a file a layer and chunk
<folder>/temporary/          what is being written, or removed
<folder>/damaged/            what was found not to be what had been written
<folder>/locks/
"""

from interp.cache.activation_store import ActivationStore, EntrySummary
from interp.cache.entry import Checked, Entry, Missing
from interp.cache.eviction import Evicted

__all__ = ["ActivationStore", "Checked", "Entry", "EntrySummary", "Evicted", "Missing"]
