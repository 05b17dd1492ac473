"""Use the examples as their readers do: import them, run them, and look at their pages in a browser."""
