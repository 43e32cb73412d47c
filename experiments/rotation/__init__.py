"""The parts of `experiments/rotation.py`: what layers do to vectors, and what is tested of it."""
