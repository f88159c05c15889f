"""Listings that are kept, and the webhooks that say when one is outdated."""
