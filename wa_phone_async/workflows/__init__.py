"""Work that takes many calls."""
