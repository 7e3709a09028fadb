"""The running of a world: changes in, durable, out again; commands, sources and guards.

Knows the ports of the kernel, an event loop and a clock; refuses to know any protocol, any file
format and any page.
"""
