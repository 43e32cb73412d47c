"""The question `neuron_clusters`: which neurons distinguish two groups, and do they cluster?"""
