"""Care: keeping a world well: its backups, its health, its life as a service.

Knows the files of a world and how they may be read while it runs; refuses to know what its
twins mean.
"""
