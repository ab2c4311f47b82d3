"""A second implementation of detection, written from the text alone, which knows nothing of runs of presence."""
