"""A cache of listings, and the webhooks that invalidate it."""
