"""Measurements, run by hand: they print tables and write pages of the documentation."""
