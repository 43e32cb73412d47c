"""Every layer compared with every layer, of one model or of two."""
