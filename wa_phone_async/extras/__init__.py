"""One file for each optional package."""
