"""How many dimensions do some words span in the embedding, and what do these stand for?"""
