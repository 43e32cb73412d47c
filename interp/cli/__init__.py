"""The command line: what surrounds a run, from the overrides that are typed to what is printed."""

import warnings

# A launcher or sweeper of `conf` has the name of a plugin's own, whose schema it is checked
# against. That is wanted here, and Hydra warns of it each time.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/(launcher|sweeper)/\w+' is validated against ConfigStore schema"
)
