"""Programs as somebody writes them who has read README.md and the docstrings, and nothing else.

Each file stands alone and can be copied. docs/api-notes.md tells what its first version stumbled over.
"""
