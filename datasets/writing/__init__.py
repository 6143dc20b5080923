"""How problems are written for a model: forms, tokens, padded arrays of token ids."""
