"""Problems that other people wrote: expressions as typed, and files of problems."""
