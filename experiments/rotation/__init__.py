"""The question `rotation`: by what angle each step from layer to layer turns a token's vector."""
