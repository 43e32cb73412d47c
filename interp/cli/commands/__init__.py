"""The verbs of the command line: one module each, whose `serve` takes what stands behind it."""
