"""Which layer of one model corresponds to which layer of another, in their shared vocabulary?"""
