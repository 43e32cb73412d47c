"""The maths of comparing two point clouds: arrays in, numbers out; points are rows, float64."""
