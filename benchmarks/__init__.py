"""What the README's numbers of speed and memory come from: `python -m benchmarks`."""
