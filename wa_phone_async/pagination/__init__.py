"""Lists: `page` reads and decides, `paginator` iterates, `prefetch` reads ahead, and `list_events` reports the end."""
