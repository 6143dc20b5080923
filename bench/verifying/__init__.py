"""`verify`: a run held against what its plan implies, without trusting whoever made it."""
