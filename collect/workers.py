"""Worker processes that play, and the loop in the parent that feeds them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import uuid4

from worldtokens.collect.dataset.episode import Episode
from worldtokens.collect.dataset.shards import ShardWriter
from worldtokens.collect.policies.policy import make_policy
from worldtokens.collect.tasks import Progress, Scheduler, StopRequested, Task, Worker
from worldtokens.common.interrupts import start_uninterrupted
from worldtokens.envs import EnvConfig, make_env_from_config, ram_labels

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs to begin.

    Attributes:
        env: Settings of the environment.
        policy: The config of the policy, see `make_policy`.
        shards: The folder to write to.
        job: The job's name; the names of its shards begin with it.
        shard_steps: Steps after which a worker writes a shard.
    """

    env: EnvConfig
    policy: dict[str, Any]
    shards: Path
    job: str
    shard_steps: int


@dataclass(frozen=True)
class _Result:
    value: object


@dataclass(frozen=True)
class _Failure:
    kind: type[Exception]
    message: str


@dataclass(frozen=True)
class _Stopped:
    """The worker has written what it had and ends."""


def run_workers(
    setup: WorkerSetup,
    num_workers: int,
    scheduler: Scheduler,
    on_progress: Callable[[Progress], None],
    saves: bool = True,
) -> None:
    """Runs a scheduler's tasks in worker processes; when none are left, they write and end.

    With one worker every task begins after the scheduler has received the last one's result.

    Args:
        setup: What each worker needs.
        num_workers: How many processes.
        scheduler: Chooses the tasks.
        on_progress: Called with every report of a worker.
        saves: Whether the tasks save episodes; an interruption waits until these are written.

    Raises:
        ValueError: One was raised in a worker.
        OSError: One was raised in a worker (a full disk, for example), or a worker died.
    """
    context = get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    for index in range(num_workers):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, setup, os.getpid()), daemon=True, name=f"worker {index}"
        )
        start_uninterrupted(process)
        theirs.close()
        workers[ours] = process
    # Workers that may have something to write: those that sent a message.
    heard: set[Connection] = set()
    try:
        _feed(workers, scheduler, on_progress, heard)
    finally:
        _stop(workers, heard if saves else set())


def _feed(
    workers: dict[Connection, BaseProcess],
    scheduler: Scheduler,
    on_progress: Callable[[Progress], None],
    heard: set[Connection],
) -> None:
    idle = list(workers)
    numbers = {connection: number for number, connection in enumerate(workers)}
    busy: set[Connection] = set()
    while True:
        while idle and (task := scheduler.next_task(numbers[idle[0]])) is not None:
            connection = idle.pop(0)
            _send(connection, task, workers[connection])
            busy.add(connection)
        if not busy:
            break
        for connection in wait(busy):
            assert isinstance(connection, Connection)
            message = _receive(connection, workers[connection])
            heard.add(connection)
            if isinstance(message, Progress):
                on_progress(message)
                continue
            assert isinstance(message, _Result)
            busy.remove(connection)
            idle.append(connection)
            scheduler.receive(message.value)
    for connection in idle:
        _send(connection, None, workers[connection])
    heard.update(idle)
    while idle:
        for connection in wait(idle):
            assert isinstance(connection, Connection)
            if isinstance(_receive(connection, workers[connection]), _Stopped):
                idle.remove(connection)


def _send(connection: Connection, task: Task | None, process: BaseProcess) -> None:
    try:
        connection.send(task)
    except OSError:
        raise _death_of(process) from None


def _receive(connection: Connection, process: BaseProcess) -> object:
    try:
        message = connection.recv()
    except (EOFError, OSError):
        raise _death_of(process) from None
    if isinstance(message, _Failure):
        raise message.kind(message.message)
    return message


def _death_of(process: BaseProcess) -> ChildProcessError:
    process.join(timeout=5)
    code = process.exitcode
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return ChildProcessError(
        f"{process.name} died ({how}); what it recorded since its last shard is lost, "
        "the same command continues from there"
    )


def _stop(workers: dict[Connection, BaseProcess], heard: set[Connection]) -> None:
    """Waits until the workers that were heard of have written, and makes sure that all end."""
    for connection in heard:
        try:
            connection.send(None)
        except OSError:
            pass
    for connection, process in workers.items():
        process.join(timeout=30 if connection in heard else 0)
        if process.is_alive():
            process.kill()
            process.join()
        connection.close()


def _work(connection: Connection, setup: WorkerSetup, parent: int) -> None:
    """Runs tasks until None arrives or the parent is gone."""
    _end_with(parent)
    # Ctrl-C reaches every process of the group; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _do_tasks(connection, setup)
    except StopRequested:
        pass
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)
    except (ValueError, OSError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        text = str(error)
        if isinstance(error, OSError) and error.strerror:
            text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        connection.send(_Failure(kind, text))


def _do_tasks(connection: Connection, setup: WorkerSetup) -> None:
    env = make_env_from_config(setup.env)
    shape = env.observation_space.shape
    assert shape is not None
    writer = ShardWriter(
        setup.shards,
        f"{setup.job}-{uuid4().hex[:8]}",
        (shape[0], shape[1], shape[2]),
        len(env.action_meanings),
    )

    def save(episode: Episode) -> None:
        writer.append(episode)
        if writer.num_steps >= setup.shard_steps:
            writer.flush()

    def check_stop() -> None:
        # Nothing but the wish for an end arrives before the result of a task is sent.
        if connection.poll():
            raise StopRequested

    def report(progress: Progress) -> None:
        connection.send(progress)
        check_stop()

    worker = Worker(
        env=env,
        policy=make_policy(setup.policy, env.action_meanings),
        report=report,
        save=save,
        room_byte=ram_labels(setup.env.name).get("room"),
        check_stop=check_stop,
    )
    try:
        while (task := connection.recv()) is not None:
            connection.send(_Result(task.run(worker)))
    finally:
        writer.flush()
    connection.send(_Stopped())


def _end_with(parent: int) -> None:
    """Asks Linux to kill this process when its parent ends, for whatever reason.

    On other systems the broken pipe ends it after its current task.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
