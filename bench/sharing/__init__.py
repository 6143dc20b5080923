"""`export` and `push`: a trained model as a folder that transformers loads, and its way to the Hub."""
