"""Batch processing on a Ray cluster: the tasks of `reading.batch`, read by actors of Ray Data.

The source is the list of tasks, not the images: what is done is left out before an image is loaded. Each actor keeps a
process that opens its reader once and reads. An image that ends this process is found and reported by the actor, as
`reading.batch` does on one machine; Ray never sees a failure and never repeats it for ever.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from glyphline.cluster.connection import connect
from glyphline.errors import GlyphlineError, UserError
from glyphline.files import write_atomically
from glyphline.reading.batch import Outcome, Task, WorkerPool, open_task
from glyphline.reading.pages import PageReader

PARQUET = "parquet"  # format name: a row a line, in files of many documents
BATCH_DOCUMENTS = 64  # documents of a call of an actor, at most: a call costs Ray some 50 ms of a CPU
PART_DOCUMENTS = 256  # documents of a Parquet file, at most; they are read again when their actor is killed
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
    folder `out`: this process does, so that an actor that outlives it, or its replacement, writes none. address: see
    `connect`. jobs: as for `count_actors`.
    Every path must mean the same on all nodes: an address, or a folder that all of them share.
    Raises what `connect` raises, and GlyphlineError when actors cannot be replaced or a Parquet file cannot be written.
    """
    with connect(address, min(jobs or os.cpu_count() or 1, max(1, len(tasks)))) as cluster:
        import ray

        tables = read_tables(tasks, open_reader, format_name, jobs)
        try:
            while (table := cluster.wait_for(partial(next, tables, None))) is not None:
                yield from collect_outcomes(table.to_pylist(), tasks, out)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise GlyphlineError(
                f"reading on the cluster {address} stopped ({reason}): run the command again; what is done is kept"
            ) from None


def read_tables(
    tasks: Sequence[Task], open_reader: Callable[[], PageReader], format_name: str, jobs: int
) -> Iterator[Any]:
    """Read all tasks on the cluster to which this process is connected. Yields the tables of `ReaderActor`.

    The arguments are those of `read_all`. Raises RayError.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    cpus = int(ray.cluster_resources().get("CPU", 1))
    actors = count_actors(cpus, jobs)
    greatest = PART_DOCUMENTS if format_name == PARQUET else BATCH_DOCUMENTS
    batch_size = max(1, min(greatest, len(tasks) // (BATCHES_PER_ACTOR * actors)))
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    dataset = ray.data.from_arrow(_list_blocks(tasks, batch_size)).map_batches(
        ReaderActor,
        fn_constructor_args=(open_reader, format_name, os.getcwd()),
        batch_size=batch_size,
        batch_format="numpy",
        compute=ActorPoolStrategy(min_size=1, initial_size=actors, max_size=actors),
        num_cpus=1 if cpus > 1 else 0.5,
    )
    yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow")


def count_actors(cpus: int, jobs: int) -> int:
    """How many actors are asked for on a cluster of so many CPUs: at most `jobs`, where that is not 0.

    An actor takes one CPU, and one stays free for Ray's other tasks. On a cluster of one CPU an actor takes half of it.
    """
    return max(1, min(jobs or cpus, cpus - 1))


def collect_outcomes(rows: Iterable[dict[str, Any]], tasks: Sequence[Task], out: Path) -> Iterator[Outcome]:
    """The outcomes of rows that `ReaderActor` returned. A Parquet file is written before those of its documents."""
    for row in rows:
        if row["part"]:
            write_part(out, row["part"])
        yield Outcome(tasks[row["number"]], row["error"], row["lines"], row["rejected"])


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

    def __init__(self, open_reader: Callable[[], PageReader], format_name: str, folder: str) -> None:
        os.environ["GLYPHLINE_THREADS"] = "1"  # the actors are the parallel units, not threads
        if os.path.isdir(folder):
            os.chdir(folder)
        self.writes_parquet = format_name == PARQUET
        self.pool = WorkerPool(open_reader, None if self.writes_parquet else format_name, 1)

    def __call__(self, rows: dict[str, Any]) -> Any:
        """Read a batch. rows: columns number, image, out, overlay.

        Returns a pyarrow.Table with the columns number, error, lines, rejected and part: the content of a Parquet file
        with all documents of the batch, in the first row; empty for other formats.
        Tasks that are done are left out: a batch is run again after its actor was killed.
        """
        import pyarrow

        texts = zip(*(map(str, rows[name]) for name in ("image", "out", "overlay")), strict=True)
        tasks = [open_task(image, out, overlay) for image, out, overlay in texts]
        numbers = dict(zip(tasks, map(int, rows["number"]), strict=True))
        done = [] if self.writes_parquet else [task for task in tasks if task.done]
        outcomes = [Outcome(task) for task in done]
        outcomes += self.pool.run([task for task in tasks if task not in set(done)])
        outcomes.sort(key=lambda outcome: numbers[outcome.task])
        part = encode_part([outcome for outcome in outcomes if not outcome.error]) if self.writes_parquet else b""
        return pyarrow.table({
            "number": [numbers[outcome.task] for outcome in outcomes],
            "error": [outcome.error for outcome in outcomes],
            "lines": [outcome.lines for outcome in outcomes],
            "rejected": [outcome.rejected for outcome in outcomes],
            "part": pyarrow.array([part, *[b""] * (len(outcomes) - 1)], pyarrow.binary()),
        })  # fmt: skip


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


def encode_part(outcomes: Sequence[Outcome]) -> bytes:
    """The content of a Parquet file with the lines of documents; empty without documents."""
    if not outcomes:
        return b""
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
    return data.getvalue()


def write_part(out: Path, part: bytes) -> None:
    """Write a Parquet file, whose name follows from its content. Raises GlyphlineError if it cannot be written."""
    path = out / f"part-{hashlib.sha256(part).hexdigest()[:16]}.parquet"
    try:
        write_atomically(path, part)
    except OSError as error:
        raise GlyphlineError(
            f"{path} cannot be written ({error.strerror or error}): free some space and run the command again"
        ) from None


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
