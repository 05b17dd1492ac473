"""Streams, sessions and other origins."""
