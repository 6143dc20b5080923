"""`verify`: a run is compared with what its plan implies, without trusting whoever made it."""
