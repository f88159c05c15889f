"""Workflows of many calls: list many accounts, ensure a number, watch numbers."""
