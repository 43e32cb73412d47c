"""Activations on disk, each under a digest of all that decides them.

<folder>/<key[:2]>/<key>/    one entry: a manifest, and a file a layer and chunk
<folder>/temporary/          what is being written, or removed
<folder>/damaged/            what was found not to be what had been written
<folder>/locks/
"""

from interp.store.activation_store import ActivationStore, Described
from interp.store.entry import Checked, Entry, Missing
from interp.store.eviction import Evicted

__all__ = ["ActivationStore", "Checked", "Described", "Entry", "Evicted", "Missing"]
