"""An archive: other programs read it where it lies; it is kept up to date and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from mirrorworld.record import compaction, open_record, restore
from mirrorworld.record.archive import ArchiveError, archive
from mirrorworld.record.retention import Retention
from mirrorworld.testing.changes import KINDS, frame
from mirrorworld.testing.records import brought_back, feed
from mirrorworld.world.changes import Change, Origin, OriginKind
from mirrorworld.world.model import Kind

DAY_NS = 86_400_000_000_000
PLANT = Origin(OriginKind.MEASURED, "plant")


def lived(record: Path, seed: int, *, days: int = 3) -> None:
    """Lets a world live some days more, and compacts what is closed."""
    random = np.random.default_rng(seed)
    with open_record(record, "hall", segment_bytes=4_000, compacts=False) as store:
        world = restore(store)
        feed(store, world, seed, 10)
        for day in range(days):
            for hour in range(6):
                now_ns = 1_790_000_000_000_000_000 + day * DAY_NS + (hour + seed) * 3600 * 10**9
                body = frame(random, 40, world.n_points, now_ns)
                placed = world.apply(Change(body, PLANT, now_ns, "plant")).change
                if placed is not None:
                    store.append(placed)
                store.commit()
        store.log.roll()
    compaction.compact(record)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    lived(tmp_path / "record", 1)
    return tmp_path / "record"


def truth(record: Path) -> list[tuple[int, int, float | None, int]]:
    """(point, time, number, sequence) of all compacted samples, as our own reader gives them."""
    rows: list[tuple[int, int, float | None, int]] = []
    with open_record(record, read_only=True) as store:
        world = brought_back(store, is_writer=False)
        through = store.compacted.manifest().through_sequence
        for point in range(world.n_points):
            series = store.read(point, -(1 << 63), (1 << 63) - 1)
            is_number = KINDS[point % len(KINDS)] is Kind.FLOAT
            numbers = series.cell.view(np.float64).tolist() if is_number else None
            for i, sequence in enumerate(series.sequence.tolist()):
                if sequence <= through:
                    number = numbers[i] if numbers is not None else None
                    rows.append((point, int(series.source_ns[i]), number, sequence))
    assert len(rows) > 200
    return sorted(rows, key=lambda row: (row[0], row[3], row[1]))


def same(table: pa.Table, expected: list[tuple[int, int, float | None, int]]) -> None:
    """What an engine gave is what the record says, to the last bit."""
    found = list(
        zip(
            table["point"].to_pylist(),
            table["time"].cast(pa.timestamp("ns")).cast(pa.int64()).to_pylist(),
            table["number"].to_pylist(),
            table["sequence"].to_pylist(),
            strict=True,
        )
    )
    found.sort(key=lambda row: (row[0], row[3], row[1]))
    assert [repr(row) for row in found] == [repr(row) for row in expected]


def test_duckdb_reads_it_in_place(record: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as database:
        found = database.sql(
            "SELECT * FROM read_parquet(?, hive_partitioning = true)",
            params=[f"{record}/history/samples/*/*.parquet"],
        ).to_arrow_table()
        named = database.execute(
            "SELECT count(*) FROM read_parquet(?) WHERE twin LIKE 'line/machine%'",
            [f"{record}/history/points.parquet"],
        ).fetchone()
    same(found, truth(record))
    assert str(found["day"].type) == "date32[day]"
    assert named is not None and named[0] == len(set(found["point"].to_pylist()) | set(range(60)))


def test_polars_reads_it_in_place(record: Path) -> None:
    polars = pytest.importorskip("polars")
    found = polars.scan_parquet(
        f"{record}/history/samples/*/*.parquet", hive_partitioning=True
    ).collect()
    same(found.to_arrow(), truth(record))
    days = found.select(polars.col("day").cast(polars.String).unique().sort())
    assert len(days) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ray_data_reads_it_in_place(record: Path) -> None:
    ray = pytest.importorskip("ray", reason="ray (extra `ray`) is not installed")
    ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False,
        configure_logging=False, _node_ip_address="127.0.0.1",
    )  # fmt: skip
    try:
        found = ray.data.read_parquet(
            f"{record}/history/samples", partitioning=ray.data.datasource.Partitioning("hive")
        )
        columns = ("point", "time", "number", "sequence")
        same(pa.Table.from_pandas(found.select_columns(list(columns)).to_pandas()), truth(record))
    finally:
        ray.shutdown()


def test_it_is_brought_up_to_date(record: Path, tmp_path: Path) -> None:
    target = tmp_path / "archive"
    first = archive(record, str(target))
    assert first.copied == first.files > 3
    assert archive(record, str(target)).copied == 0
    for seed in range(2, 12):
        lived(record, seed)
    later = archive(record, str(target))
    assert later.copied > 0
    assert later.removed > 0, "files that were merged are gone"
    same(ds.dataset(target / "samples", format="parquet").to_table(), truth(record))
    assert not list(target.rglob("*.part"))


def test_what_retention_lets_go_stays_in_the_archive(record: Path, tmp_path: Path) -> None:
    everything = truth(record)
    archive(record, str(tmp_path / "archive"))
    with open_record(record, compacts=False) as store:
        store.retain(Retention(raw_s=86_400.0))
    compaction.compact(record)
    assert len(list((record / "history" / "samples").rglob("*.parquet"))) < len(
        list((tmp_path / "archive" / "samples").rglob("*.parquet"))
    )
    done = archive(record, str(tmp_path / "archive"))
    assert done.removed == 0
    same(ds.dataset(tmp_path / "archive" / "samples", format="parquet").to_table(), everything)


def test_another_records_archive_is_left_alone(record: Path, tmp_path: Path) -> None:
    target = tmp_path / "archive"
    archive(record, str(target))
    lived(tmp_path / "other", 7)
    with pytest.raises(ArchiveError, match="archive of another record"):
        archive(tmp_path / "other", str(target))
    (tmp_path / "mine" / "samples").mkdir(parents=True)
    shutil.copy(next((record / "history").rglob("*.parquet")), tmp_path / "mine" / "samples")
    with pytest.raises(ArchiveError, match="something else"):
        archive(record, str(tmp_path / "mine"))
    with pytest.raises(ArchiveError, match="no record is kept"):
        archive(tmp_path / "nothing", str(tmp_path / "new"))
    with pytest.raises(ArchiveError, match="nowhere"):
        archive(record, "nowhere://bucket/plant")


@pytest.fixture
def bucket(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[int]:
    """An object store of another make, with a bucket `plant`; its port."""
    server = subprocess.Popen(
        [node, "s3_server.js", str(tmp_path / "s3"), "plant"],
        cwd=peers_dir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield int(server.stdout.readline())
    server.kill()
    server.communicate()


@pytest.mark.peer
def test_it_may_lie_in_an_object_store(record: Path, bucket: int, tmp_path: Path) -> None:
    uri = f"s3://plant/hall?endpoint_override=127.0.0.1:{bucket}&scheme=http&region=eu-central-1"
    # In a process of its own: the store's client takes its keys and ways from the environment.
    script = (
        "import sys; from pathlib import Path; import pyarrow.dataset as ds;"
        "from mirrorworld.record.archive import archive;"
        "done = [archive(Path(sys.argv[1]), sys.argv[2]) for _ in range(2)];"
        "table = ds.dataset('s3://plant/hall/samples?' + sys.argv[2].split('?')[1],"
        " format='parquet', partitioning='hive').to_table();"
        "import json; print(json.dumps([done[0].copied, done[1].copied, table.num_rows]));"
        "import pyarrow.feather as f; f.write_feather(table, sys.argv[3])"
    )
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "S3RVER",
        "AWS_SECRET_ACCESS_KEY": "S3RVER",
        # This store is older than checksums that come behind the body.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    told = _python(script, str(record), uri, str(tmp_path / "t.feather"), environment=environment)
    first, again, rows = json.loads(told)
    assert first > 3
    assert again == 0
    expected = truth(record)
    assert rows == len(expected)
    import pyarrow.feather as feather

    same(feather.read_table(tmp_path / "t.feather"), expected)


def _python(script: str, *arguments: str, environment: dict[str, Any]) -> str:
    import sys

    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
