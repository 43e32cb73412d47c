"""What surrounds a run on the command line: sweeps, the console, error messages, the UI."""

import warnings

# A launcher of `conf` stands in for the plugin's own of that name, and is checked against it. Hydra
# does what is wanted here, and warns of it each time.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema"
)
