"""The record on disk is held to the contract of records, on a disk that forgets."""

import pytest

from mirrorworld.record import open_record
from mirrorworld.testing.faults import FaultyDisk
from mirrorworld.testing.records import RecordContract


class Rig:
    def __init__(self, root):
        self.root = root
        self.disk = FaultyDisk(root)

    def open(self):
        return open_record(
            self.root, "world", files=self.disk, segment_bytes=20_000, compacts=False
        )

    def kill(self, record):
        if record.log._appender is not None:
            record.log._appender.close()
            record.log._appender = None
        record.close()
        self.disk.lose_power()

    def refuse(self, code):
        self.disk.fail_sync = code


class TestStore(RecordContract):
    @pytest.fixture
    def rig(self, tmp_path):
        return Rig(tmp_path)
