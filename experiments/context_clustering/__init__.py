"""The parts of `experiments/context_clustering.py`: its design, its measures, its pictures."""
