"""What Hydra is given and asked: composing, sweeping, launching, and the runs of a sweep."""
