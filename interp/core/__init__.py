"""What everything else stands on: configuration, registries, errors, identity of code."""
