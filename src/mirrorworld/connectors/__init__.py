"""One file for each protocol that a source may speak; found by URL scheme behind an entry point."""
