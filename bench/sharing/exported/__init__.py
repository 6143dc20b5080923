"""What `exporting` copies into the folders it makes. Nothing of the program imports it: it needs transformers."""
