"""Which directions do a model's weights read and write, and what do heads copy and compose?"""
