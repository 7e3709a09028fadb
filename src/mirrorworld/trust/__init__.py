"""Trust: who people and programs are, what they were granted, and what they did with it.

Knows accounts, sessions, tokens, keys and certificates; refuses to know routes and worlds.
"""
