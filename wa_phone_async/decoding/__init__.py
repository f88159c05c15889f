"""JSON to values and back, by cattrs; with the extra `speed`, by msgspec."""
