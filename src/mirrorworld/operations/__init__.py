"""Operations: what a shift expects of a plant's mirror: effectiveness, reports, boards, tables.

Reads the world and its record and brings its own routes; refuses to know how changes come in.
"""
