"""World files and worlds that are: what a file would change, its preview, and following it.

Knows the running world and the format; refuses to know folders of worlds and accounts.
"""
