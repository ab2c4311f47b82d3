"""Tests of the simulated population."""
