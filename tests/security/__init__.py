"""Attacks: what somebody hostile would send, read or be sent, and that it comes to nothing."""
