"""The maths of one cloud of points with labels or an order: arrays in, numbers out; float64."""
