"""What server, page and Python client say to each other: defined once, here.

Knows the shapes of messages and how values are packed into columns; refuses to know sockets,
routes or who may see what. `typescript.py` writes the same definitions for the page.
"""
