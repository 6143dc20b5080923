"""`serve`: the trained models of a run on a web page and behind a JSON API."""
