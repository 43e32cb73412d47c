"""From a configuration to a tracked result."""
