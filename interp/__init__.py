"""How representations change through a transformer: the library behind `experiments`."""
