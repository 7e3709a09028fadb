"""A run: rows for every design, whatever designs do, and whatever becomes of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from mirrorworld.simulation.experiments.designs import Grid
from mirrorworld.simulation.experiments.generators import latin_hypercube
from mirrorworld.simulation.experiments.objective import Objective, ObjectiveError
from mirrorworld.simulation.experiments.results import read
from mirrorworld.simulation.experiments.runner import Running, resume, run
from mirrorworld.simulation.experiments.space import Categorical, Continuous, Integer, Space
from mirrorworld.simulation.experiments.store import StoreError
from tests.simulation.experiments import objectives

NAMED = "tests.simulation.experiments.objectives:"
NUMBERS = Grid(Space((Integer("n", 1, 12),)))
HERE = Running(where="here")


def test_rows_have_designs_figures_and_what_they_were_asked_for(tmp_path: Path) -> None:
    space = Space((Integer("n", 1, 4), Continuous("x", 0, 1), Categorical("rule", ("a", "b"))))
    designs = latin_hypercube(space, 20, seed=1)
    made = run(objectives.bowl, designs, folder=tmp_path, replications=5, seed=7, running=HERE)
    assert made.is_complete
    assert made.counts() == {"ok": 20}
    assert made.figures == ("yield", "cost", "d(yield)/d(x)", "d(yield)/d(n)")
    columns = designs.columns(np.arange(20))
    one = objectives.bowl({name: columns[name][3].item() for name in space.names}, 7, 5)
    row = made.table.slice(3, 1).to_pylist()[0]
    assert row["yield_each"] == one["yield"].tolist()
    assert row["yield"] == pytest.approx(one["yield"].mean(), rel=1e-12)
    assert row["yield_sd"] == pytest.approx(one["yield"].std(ddof=1), rel=1e-12)
    assert row["seed"] == 7
    back = read(tmp_path)
    assert back.table.equals(made.table)
    assert back.space == space
    assert back.manifest["objective"] == NAMED + "bowl"
    assert read(tmp_path / "results.parquet").manifest == back.manifest
    frame = pytest.importorskip("pandas") and back.to_pandas()
    assert frame["cost"].tolist() == (columns["n"] + columns["x"]).tolist()


def test_processes_and_this_thread_give_the_same_rows() -> None:
    designs = Grid(Space((Integer("n", 1, 30), Continuous("x", 0, 1, steps=3))))
    here = run(objectives.bowl, designs, replications=3, running=HERE)
    there = run(objectives.bowl, designs, replications=3, running=Running(workers=2, chunk=7))
    assert here.table.equals(there.table)


def test_seeds_are_common_unless_each_is_to_have_its_own() -> None:
    common = run(objectives.slow, NUMBERS, running=HERE, seed=5)
    assert np.unique((common.column("value") / common.column("n")).round(12)).size == 1
    own = run(objectives.slow, NUMBERS, running=HERE, seed=5, has_common_numbers=False)
    assert np.unique(own.column("seed")).size == 12
    assert np.unique((own.column("value") / own.column("n")).round(12)).size == 12


def test_designs_that_misbehave_are_named_and_the_rest_is_kept() -> None:
    made = run(NAMED + "trouble", NUMBERS, replications=2, running=Running(workers=1, timeout_s=2))
    said = {row["n"]: (row["status"], row["detail"]) for row in made.bad().to_pylist()}
    assert said == {
        2: ("failed", "RuntimeError: the model deadlocks"),
        3: ("failed", "ZeroDivisionError: division by zero"),
        4: ("not_finite", "value is nan"),
        5: ("timeout", "took longer than 2 s"),
        6: ("ended", "its process ended (exit 7)"),
        7: ("failed", "value: shape (3,) for 2 replications"),
    }
    values = made.column("value")
    assert values[[0, 7, 8, 9, 10, 11]].tolist() == [1, 8, 9, 10, 11, 12]
    assert np.isnan(values[1:7]).all()


def test_a_batch_that_misbehaves_is_halved_until_the_design_is_found() -> None:
    numbers = Grid(Space((Integer("n", 1, 6),)))
    made = run(NAMED + "many", numbers, replications=2, running=Running(workers=1, timeout_s=1.5))
    said = {row["n"]: (row["status"], row["detail"]) for row in made.bad().to_pylist()}
    assert said == {
        3: ("failed", "ValueError: n = 3 cannot be built"),
        5: ("timeout", "took longer than 1.5 s"),
    }
    assert made.column("square")[[0, 1, 3, 5]].tolist() == [1, 4, 16, 36]


def test_a_run_that_is_cancelled_keeps_what_is_done_and_goes_on_later(tmp_path: Path) -> None:
    cancel = threading.Event()

    def progress(done: int, bad: int, count: int) -> None:
        assert (bad, count) == (0, 200)
        if done:
            cancel.set()

    designs = Grid(Space((Integer("n", 1, 200),)))
    running = Running(workers=1, progress=progress, cancel=cancel, chunk=40)
    first = run(NAMED + "slow", designs, folder=tmp_path, running=running)
    assert not first.is_complete
    assert 0 < len(first.table) < 200
    assert read(tmp_path).table.equals(first.table)
    again = resume(tmp_path, Objective(NAMED + "slow", {}), running=HERE)
    assert again.is_complete
    assert again.table.slice(0, len(first.table)).equals(first.table)


CHILD = """
import sys
from pathlib import Path
from mirrorworld.simulation.experiments.designs import Grid
from mirrorworld.simulation.experiments.runner import Running, run
from mirrorworld.simulation.experiments.space import Integer, Space

def told(done, bad, count):
    print(done, flush=True)

if __name__ == "__main__":
    run("tests.simulation.experiments.objectives:slow", Grid(Space((Integer("n", 1, 240),))),
        folder=Path(sys.argv[1]), replications=3, seed=2,
        running=Running(workers=2, progress=told))
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9")
def test_nothing_acknowledged_is_lost_by_kill_9_and_the_rows_come_out_the_same(
    tmp_path: Path,
) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    folder = tmp_path / "experiment"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(("", *sys.path))}
    child = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    assert child.stdout is not None
    acknowledged = 0
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged:
            break
    workers = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert not psutil.wait_procs(workers, timeout=20)[1], "workers outlived who spawned them"
    kept = len(read(folder).table)
    assert acknowledged <= kept < 240
    (folder / "parts" / "000099.parquet.new").write_bytes(b"torn")
    resumed = resume(folder, running=Running(workers=2))
    assert resumed.is_complete
    options = {"each_s": 0.0}
    straight = run(
        Objective(objectives.slow, options), Grid(Space((Integer("n", 1, 240),))),
        replications=3, seed=2, running=HERE,
    )  # fmt: skip
    assert resumed.table.equals(straight.table)
    assert pq.read_table(folder / "results.parquet").equals(straight.table)


def test_a_folder_is_of_one_experiment(tmp_path: Path) -> None:
    run(objectives.slow, NUMBERS, folder=tmp_path, running=HERE)
    with pytest.raises(StoreError, match="another experiment"):
        run(objectives.slow, NUMBERS, folder=tmp_path, seed=1, running=HERE)
    assert run(objectives.slow, NUMBERS, folder=tmp_path, running=HERE).is_complete
    with pytest.raises(StoreError, match="holds no experiment"):
        read(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        ("nothing", "module:function"),
        ("no_such_module:f", "No module named"),
        ("math:no_such", "no_such"),
        ("math:pi", "is no function"),
        (lambda design, seed, replications: {}, "cannot be sent"),
    ],
)
def test_an_objective_that_cannot_be_used_is_named_before_anything_runs(
    objective, says: str
) -> None:
    with pytest.raises(ObjectiveError, match=says):
        run(objective, NUMBERS, running=Running(workers=1))


def test_options_are_kept_with_the_rows(tmp_path: Path) -> None:
    quick = Objective(objectives.slow, {"each_s": 0.0})
    run(quick, NUMBERS, folder=tmp_path, running=HERE)
    assert read(tmp_path).manifest["options"] == {"each_s": 0.0}
    assert resume(tmp_path, running=HERE).is_complete
    with pytest.raises(StoreError, match="another experiment"):
        run(Objective(objectives.slow, {"each_s": 0.1}), NUMBERS, folder=tmp_path, running=HERE)
    with pytest.raises(ObjectiveError, match="option 'each_s' cannot be kept"):
        Objective(objectives.slow, {"each_s": object()})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cluster_gives_the_same_rows_by_the_same_call() -> None:
    ray = pytest.importorskip("ray", reason="ray (extra `ray`) is not installed")
    ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False,
        configure_logging=False, _node_ip_address="127.0.0.1",
    )  # fmt: skip
    try:
        running = Running(where="ray", chunk=2, timeout_s=2)
        made = run(NAMED + "trouble", NUMBERS, replications=2, running=running)
        bowl = Grid(Space((Integer("n", 1, 30), Continuous("x", 0, 1, steps=3))))
        there = run(NAMED + "bowl", bowl, replications=3, running=Running(where="ray"))
    finally:
        ray.shutdown()
    assert there.table.equals(run(NAMED + "bowl", bowl, replications=3, running=HERE).table)
    said = {row["n"]: row["status"] for row in made.bad().to_pylist()}
    assert said == {
        2: "failed", 3: "failed", 4: "not_finite", 5: "timeout", 6: "ended", 7: "failed",
    }  # fmt: skip
