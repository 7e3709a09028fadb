"""Makes the fixture of a format version: `python -m tests.record.make_fixture DIRECTORY`.

Run once when a format version is fixed, and never again for the same version: the fixture shows
that what an earlier release wrote is still read. `expected.jsonl` beside it is what must come
out, in the plain form.
"""

import sys
from pathlib import Path

from mirrorworld.record import compaction, open_record, restore
from mirrorworld.record.migrations import plain_line
from mirrorworld.testing.records import feed


def main(directory: Path) -> None:
    made = []
    record = directory / "record"
    for seed in range(2):
        with open_record(record, "world", segment_bytes=6_000, compacts=False) as store:
            world = restore(store)
            made += feed(store, world, seed, 30, n_points=21, rows=12)
            store.commit()
            if seed == 0:
                store.keyframe(world.snapshot())
            made += feed(store, world, seed + 10, 10, n_points=21, rows=12)
            store.commit()
            store.blobs.put(b"a picture")
    compaction.compact(record)
    for name in ("lock", "history/lock"):
        (record / name).unlink()
    lines = [plain_line(change) for change in made]
    (directory / "expected.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
