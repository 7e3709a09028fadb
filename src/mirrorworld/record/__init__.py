"""The record: the durable log of a world on disk, its keyframes and its compacted past.

`open_record` is the entry. Knows the kernel and the disk; no network, and no other wing.
"""
