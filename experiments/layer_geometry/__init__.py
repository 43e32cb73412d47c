"""What `layer_geometry` asks of the points of each layer, one question a file."""
