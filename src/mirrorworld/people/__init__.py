"""Who is here: meetings of people in a world, and what they share while they last.

Nothing of a meeting is part of the world: it is not in the log, and on the disk only where all in
it agreed to a recording. Stands on the server's doors and on protocol; refuses to know how values
travel.
"""
