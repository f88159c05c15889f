"""Rate limits: what is left of a quota, and who waits for it."""
