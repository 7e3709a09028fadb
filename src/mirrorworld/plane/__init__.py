"""The live plane: a world's own changes between an owner's processes and sites.

What a world makes durable travels as it is in its record: live at once, and whatever was missed
by position, from the record. docs/adr/0005-live-plane.md says why so.
"""
