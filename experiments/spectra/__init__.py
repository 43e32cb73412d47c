"""What the questions about spectra are made of."""
