"""The only forward pass: what will be read (`plan`), and the passes that read it (`engine`).

Nothing is imported here: a plan is made without torch.
"""
