"""What people write and draw about twins: notes, drawings, photos and tasks, many hands at once.

Each twin has one document, a CRDT whose updates are `Writing` changes of the log. This room reads
updates, keeps hostile ones out and says what a document adds up to. It knows no socket and no
guard; `server/writing.py` does.
"""
