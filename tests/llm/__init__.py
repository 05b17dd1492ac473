"""Tests of `streamkit.llm`."""
