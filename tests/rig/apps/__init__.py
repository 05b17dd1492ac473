"""What the rig serves: one module per adapter with the same routes, and two written by hand to test the rig itself.

Each streamkit module has a route `/sync/<scenario>` and `/async/<scenario>` for every entry of `scenarios`, and opens
the side door when it is loaded.
"""
