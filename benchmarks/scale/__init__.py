"""How much streaming takes at ten thousand to a million connections, computed from what one of each costs.

`costs` holds what was measured, `measure` and `restart` measure it, `plan` multiplies, `storm` simulates what happens
when all come back at once, `page` writes the tables into docs/scale.md.
"""
