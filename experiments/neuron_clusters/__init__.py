"""What `neuron_clusters` asks of the neurons, one question a file."""
