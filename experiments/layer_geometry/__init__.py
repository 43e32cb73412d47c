"""The points of each layer: drawn in two dimensions, tested for an order and for groups."""
