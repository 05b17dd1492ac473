"""Why a target is missed, by its key: written by hand from what was measured, and shown only where it is missed."""

REASONS: dict[str, str] = {}
