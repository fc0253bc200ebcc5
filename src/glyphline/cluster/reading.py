"""Batch processing on a Ray cluster: the tasks of `reading.batch`, read by actors of Ray Data.

The source is the list of tasks, not the images: what is done is left out before an image is loaded. Each actor keeps a
process that opens its reader once and reads. An image that ends this process is found and reported by the actor, as
`reading.batch` does on one machine; Ray never sees a failure and never repeats it for ever.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from glyphline.addresses import open_path
from glyphline.cluster.connection import connect
from glyphline.errors import GlyphlineError, UserError
from glyphline.files import write_atomically
from glyphline.reading.batch import Outcome, Task, WorkerPool, open_task
from glyphline.reading.pages import PageReader

PARQUET = "parquet"  # format name: a row a line, in files of many documents
BATCH_DOCUMENTS = 64  # documents of a call of an actor, at most: a call costs Ray some 50 ms of a CPU
PART_DOCUMENTS = 256  # documents of a Parquet file, at most; as many are read again after their actor was killed
BATCHES_PER_ACTOR = 4  # calls of each actor, at least, so that all have work
MAX_BLOCKS = 4096  # blocks of the list of tasks; Ray holds each as an object


def read_all(
    tasks: Sequence[Task],
    open_reader: Callable[[], PageReader],
    format_name: str,
    out: Path,
    address: str,
    jobs: int = 0,
) -> Iterator[Outcome]:
    """Read all tasks on a cluster, and yield their outcomes in any order.

    tasks: those that are not done. open_reader: opens the reader in a process of any node, so it must be picklable and
    name files that every node has. format_name: of `FORMATS`, or PARQUET, which writes files of many documents to the
    folder `out`. address: see `connect`. jobs: greatest number of actors, each of one CPU; 0: the CPUs of the cluster
    but one, which stays free for Ray's other tasks. At first no more are started than that; with a greater number, more
    are started on nodes that join later.
    Every path must mean the same on all nodes: an address, or a folder that all of them share.
    Raises what `connect` raises, and GlyphlineError when the cluster is lost.
    """
    with connect(address, min(jobs or os.cpu_count() or 1, max(1, len(tasks)))):
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        cpus = int(ray.cluster_resources().get("CPU", 1))
        actors = max(1, min(jobs or cpus, cpus - 1))
        greatest = PART_DOCUMENTS if format_name == PARQUET else BATCH_DOCUMENTS
        batch_size = max(1, min(greatest, len(tasks) // (BATCHES_PER_ACTOR * actors)))
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        dataset = ray.data.from_arrow(_list_blocks(tasks, batch_size)).map_batches(
            ReaderActor,
            fn_constructor_args=(open_reader, format_name, str(out), os.getcwd()),
            batch_size=batch_size,
            batch_format="numpy",
            compute=ActorPoolStrategy(min_size=1, initial_size=actors, max_size=max(actors, jobs)),
            num_cpus=1 if cpus > 1 else 0.5,
        )
        try:
            for rows in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in rows.to_pylist():
                    yield Outcome(tasks[row["number"]], row["error"], row["lines"], row["rejected"])
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise GlyphlineError(
                f"reading on the cluster {address} stopped ({reason}): run the command again; what is done is kept"
            ) from None


def _list_blocks(tasks: Sequence[Task], batch_size: int) -> list[Any]:
    """The tasks as Arrow tables of whole batches: the number in `tasks`, and the texts of the paths."""
    import pyarrow

    batches = -(-len(tasks) // batch_size)
    rows = batch_size * -(-batches // MAX_BLOCKS)
    return [
        pyarrow.table({
            "number": range(start, min(start + rows, len(tasks))),
            "image": [str(task.image) for task in tasks[start : start + rows]],
            "out": [str(task.out) for task in tasks[start : start + rows]],
            "overlay": [str(task.overlay or "") for task in tasks[start : start + rows]],
        })
        for start in range(0, len(tasks), rows)
    ]  # fmt: skip


class ReaderActor:
    """Reads batches of tasks in a process of its own, which one image may end without ending the actor.

    folder: the working folder of the command, from which relative paths start.
    """

    def __init__(self, open_reader: Callable[[], PageReader], format_name: str, out: str, folder: str) -> None:
        os.environ["GLYPHLINE_THREADS"] = "1"  # the actors are the parallel units, not threads
        if os.path.isdir(folder):
            os.chdir(folder)
        self.out, self.writes_parquet = out, format_name == PARQUET
        self.pool = WorkerPool(open_reader, None if self.writes_parquet else format_name, 1)

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        """Read a batch. rows: columns number, image, out, overlay. Returns columns number, error, lines, rejected.

        Tasks that are done are left out: a batch is run again after its actor was killed.
        """
        texts = zip(*(map(str, rows[name]) for name in ("image", "out", "overlay")), strict=True)
        tasks = [open_task(image, out, overlay) for image, out, overlay in texts]
        numbers = dict(zip(tasks, map(int, rows["number"]), strict=True))
        done = [] if self.writes_parquet else [task for task in tasks if task.done]
        outcomes = [Outcome(task) for task in done]
        outcomes += self.pool.run([task for task in tasks if task not in set(done)])
        if self.writes_parquet:
            outcomes = sorted(outcomes, key=lambda outcome: numbers[outcome.task])
            write_part(self.out, [outcome for outcome in outcomes if not outcome.error])
        return {
            "number": [numbers[outcome.task] for outcome in outcomes],
            "error": [outcome.error for outcome in outcomes],
            "lines": [outcome.lines for outcome in outcomes],
            "rejected": [outcome.rejected for outcome in outcomes],
        }


# ------------------------------------------------------------------------------------------------------------- Parquet


def line_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """A row for each line of a document, as in JSON without words and characters. A page without lines gives one row.

    `line` counts the lines of a page from 1; it is 0 and the text is null where a page has no line.
    """
    rows = []
    for page in outcome.pages:
        place = {
            "document": str(outcome.task.image), "page": page.number, "page_width": page.width,
            "page_height": page.height, "rotation": page.rotation,
        }  # fmt: skip
        for number, line in enumerate(page.lines, 1):
            data = line.to_dict()
            kept = ("text", "confidence", "rejected", "reason", "language", "recognizer", "paragraph", "polygon")
            rows.append({**place, "line": number, **{name: data[name] for name in kept}})
        if not page.lines:
            rows.append({**place, "line": 0})
    return rows


def write_part(out: str, outcomes: Sequence[Outcome]) -> None:
    """Write the lines of documents to one Parquet file, whose name follows from the names of the documents.

    The batch of an actor that was killed gives the same name again, so no line is in two files. Nothing is written
    without documents.
    """
    if not outcomes:
        return
    import pyarrow
    from pyarrow import parquet

    text, whole, share = pyarrow.string(), pyarrow.int32(), pyarrow.float64()
    types = {
        "document": text, "page": whole, "page_width": whole, "page_height": whole, "rotation": whole, "line": whole,
        "text": text, "confidence": share, "rejected": pyarrow.bool_(), "reason": text, "language": text,
        "recognizer": text, "paragraph": whole, "polygon": pyarrow.list_(pyarrow.list_(share)),
    }  # fmt: skip
    rows = [row for outcome in outcomes for row in line_rows(outcome)]
    data = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(types)), data, compression="zstd")
    names = "\n".join(str(outcome.task.image) for outcome in outcomes)
    path = open_path(out) / f"part-{hashlib.sha256(names.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.parquet"
    write_atomically(path, data.getvalue())


def list_documents(out: Path) -> set[str]:
    """The documents whose lines are in the Parquet files of a folder. Raises UserError for a damaged file."""
    import pyarrow
    from pyarrow import parquet

    documents: set[str] = set()
    for part in sorted(out.glob("part-*.parquet")):
        try:
            with part.open("rb") as file:
                column = parquet.read_table(file, columns=["document"])["document"]
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{part} cannot be read ({error}): delete it, and its documents are read again") from None
        documents.update(column.unique().to_pylist())
    return documents
