"""The client, against servers that do what servers do to it."""
