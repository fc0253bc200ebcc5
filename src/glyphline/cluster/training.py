"""Training on a Ray cluster (Ray Train): each worker runs the loop of `training.train` on its share of a batch."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from glyphline.cluster.connection import connect
from glyphline.errors import GlyphlineError, UserError
from glyphline.recipe import Recipe
from glyphline.training.distribution import Distribution
from glyphline.training.runs import LAST_CHECKPOINT, RESULT_FILE
from glyphline.training.train import check_new_run, lock_run_folder, train

RESTARTS = 3  # times that Ray starts the workers again after one was lost
LISTEN_SECONDS = 10  # for the last messages of workers
RAY_FOLDER = "ray"  # in the run folder: the records of Ray Train


def train_on_cluster(
    recipe: Recipe,
    folder: Path,
    address: str,
    workers: int,
    *,
    resume: bool = False,
    trackers: Sequence[str] = ("csv", "tensorboard"),
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train the network of a recipe with several workers of a Ray cluster, and return the content of its result.json.

    folder: the run folder, which all nodes must share. address: see `connect`. workers: processes that share each
    batch, one CPU each, and one GPU each where the cluster has as many. The other arguments, the files and the numbers
    are those of `training.train.train`. A worker that is lost is replaced RESTARTS times, and training goes on from the
    last epoch. This process holds the lock of the run folder.
    Raises what `connect` and `training.train.train` raise, UserError for more workers than the cluster has CPUs,
    GlyphlineError when the workers were lost too often.
    """
    Distribution(workers).check(recipe.training)
    folder = folder.absolute()
    check_new_run(folder, resume)
    with connect(address, workers) as cluster:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.util.queue import Queue

        resources = ray.cluster_resources()
        if workers > resources.get("CPU", 0):
            raise UserError(f"{workers} workers are more than the {resources.get('CPU', 0):g} CPUs of {address}")

        class Trainer(TorchTrainer):  # type: ignore[misc]  # ray has no types
            def _register_sigint_handler(self, controller: Any) -> None:
                """Leave Ctrl-C to Python: Ray's handler ends this process with the exit code 1, without a word."""

        messages = Queue(actor_options={"num_cpus": 0})
        settings = {
            "recipe": recipe, "folder": str(folder), "resume": resume, "trackers": list(trackers),
            "command": shlex.join(sys.argv), "messages": messages,
        }  # fmt: skip
        errors: list[tuple[int, str]] = []
        failure: Exception | None = None
        try:
            with lock_run_folder(folder, resume), print_messages(messages, report, errors):
                trainer = Trainer(
                    _train_in_worker,
                    train_loop_config=settings,
                    scaling_config=ScalingConfig(num_workers=workers, use_gpu=resources.get("GPU", 0) >= workers),
                    run_config=RunConfig(
                        name=RAY_FOLDER,
                        storage_path=str(folder),
                        failure_config=FailureConfig(max_failures=RESTARTS),
                    ),
                )
                cluster.wait_for(trainer.fit)
        except Exception as error:  # that of `wait_for`, or Ray's own kinds
            failure = error
    if (final := choose_error(errors, failure, address)) is not None:
        raise final
    return json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def choose_error(errors: Sequence[tuple[int, str]], failure: Exception | None, address: str) -> GlyphlineError | None:
    """The error that training has ended with, None where it has ended well.

    errors: exit code and message of each error of a worker. failure: what `fit` has raised. Ray repeats an attempt that
    failed, so the errors of workers count only where Ray has failed in the end. A UserError is not repeated and always
    counts.
    """
    if messages := [message for code, message in errors if code == UserError.exit_code]:
        return UserError(messages[-1])
    if failure is None or isinstance(failure, GlyphlineError):
        return failure
    if errors:
        return GlyphlineError(errors[-1][1])
    reason = " ".join(str(failure).split())[-300:]
    return GlyphlineError(f"training on {address} stopped ({reason}): continue it with --resume from the last epoch")


def _train_in_worker(settings: dict[str, Any]) -> None:
    """Train in a worker of Ray Train. The worker of rank 0 sends its reports and errors to `messages`."""
    import ray.train
    from ray.train.lightning import RayDDPStrategy, RayLightningEnvironment

    place = ray.train.get_context()
    rank, folder, messages = place.get_world_rank(), Path(settings["folder"]), settings["messages"]
    options = {"devices": "auto", "strategy": RayDDPStrategy(), "plugins": [RayLightningEnvironment()]}
    try:
        train(
            settings["recipe"],
            folder,
            # after a worker was lost, training continues where it stopped
            resume=settings["resume"] or (folder / LAST_CHECKPOINT).exists(),
            trackers=settings["trackers"],
            command=settings["command"],
            progress=False,
            report=messages.put,
            distribution=Distribution(place.get_world_size(), rank, options, locks_folder=False),
        )
    except GlyphlineError as error:
        if rank == 0:
            messages.put((error.exit_code, str(error)))
        if not isinstance(error, UserError):  # every worker raises a UserError, so none is left waiting
            raise


@contextmanager
def print_messages(messages: Any, report: Callable[[str], None], errors: list[tuple[int, str]]) -> Iterator[None]:
    """During the block, report the lines that workers send, and collect their errors: exit code and message.

    messages: a queue of Ray. It may be lost during the block; then nothing more is reported.
    """
    from ray.exceptions import RayError

    def listen() -> None:
        with suppress(RayError):
            while (message := messages.get()) is not None:
                if isinstance(message, tuple):
                    errors.append(message)
                else:
                    report(message)

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        messages.actor.put.remote(None)  # `messages.put` would wait for a lost queue
        listener.join(LISTEN_SECONDS)
