"""Real clients, in Python, Node and Chromium, that read what streamkit sends."""
