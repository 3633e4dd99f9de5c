"""Worker processes that play, and the loop in the parent that feeds them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from worldtokens.collect.dataset.episode import Episode, EpisodeInfo
from worldtokens.collect.dataset.shards import ShardWriter
from worldtokens.collect.policies.policy import Policy, make_policy
from worldtokens.envs import AtariEnv, EnvConfig, make_env_from_config, ram_labels

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Progress:
    """What a worker did since it last reported.

    Attributes:
        recorded_steps: steps on their way into a shard.
        rooms: rooms seen.
        best_score: highest sum of rewards since a reset.
    """

    recorded_steps: int = 0
    rooms: frozenset[int] = frozenset()
    best_score: float = 0.0


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs to begin.

    Attributes:
        env: settings of the environment.
        policy: the policy's node of the config, see `make_policy`.
        shards: the folder to write to.
        job: the job's name, with which shards' names begin.
        shard_steps: a shard is written when so many steps are gathered.
    """

    env: EnvConfig
    policy: dict[str, Any]
    shards: Path
    job: str
    shard_steps: int


@dataclass
class Worker:
    """What a task finds in the process that runs it.

    Attributes:
        env: the environment.
        policy: chooses the actions.
        report: tells the parent about progress; call it every second or so.
        memory: for what one task leaves for the next in the same process.
    """

    env: AtariEnv
    policy: Policy
    report: Callable[[Progress], None]
    save: Callable[[Episode], None]
    room_byte: int | None
    memory: dict[str, Any] = field(default_factory=dict)

    def rooms_in(self, ram: np.ndarray) -> frozenset[int]:
        """Return the rooms of RAM rows, uint8 (n, 128); none where the game labels no room."""
        if self.room_byte is None:
            return frozenset()
        return frozenset(np.unique(ram[:, self.room_byte]).tolist())


class Task(Protocol):
    """A piece of work of at most a few seconds; tasks and results are pickled."""

    def run(self, worker: Worker) -> object:
        """Do it in a worker process and return what the scheduler wants to know."""
        ...


class Scheduler(Protocol):
    """Decides what the workers do; lives in the parent."""

    def next_task(self, worker: int) -> Task | None:
        """Return the next task for a worker by its number, or None when nothing is left."""
        ...

    def receive(self, result: object) -> None:
        """Take a task's result."""
        ...


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
) -> None:
    """Let workers do a scheduler's tasks until there are none, then let them write and end.

    With one worker every task begins after the scheduler has seen the result of the task before.

    Args:
        setup: what each worker needs.
        num_workers: how many processes.
        scheduler: gives the tasks.
        on_progress: called with every report.

    Raises:
        ValueError: a worker met one, with its message.
        OSError: a worker met one (a full disk, say), or a worker died.
    """
    context = get_context("spawn")
    crew: dict[Connection, BaseProcess] = {}
    for index in range(num_workers):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, setup, os.getpid()), daemon=True, name=f"worker {index}"
        )
        process.start()
        theirs.close()
        crew[ours] = process
    try:
        _feed(crew, scheduler, on_progress)
    finally:
        _stop(crew)


def _feed(
    crew: dict[Connection, BaseProcess],
    scheduler: Scheduler,
    on_progress: Callable[[Progress], None],
) -> None:
    idle = list(crew)
    numbers = {connection: number for number, connection in enumerate(crew)}
    busy: set[Connection] = set()
    while True:
        while idle and (task := scheduler.next_task(numbers[idle[0]])) is not None:
            connection = idle.pop(0)
            _send(connection, task, crew[connection])
            busy.add(connection)
        if not busy:
            break
        for connection in wait(busy):
            assert isinstance(connection, Connection)
            message = _receive(connection, crew[connection])
            if isinstance(message, Progress):
                on_progress(message)
                continue
            assert isinstance(message, _Result)
            busy.remove(connection)
            idle.append(connection)
            scheduler.receive(message.value)
    for connection in idle:
        _send(connection, None, crew[connection])
    while idle:
        for connection in wait(idle):
            assert isinstance(connection, Connection)
            if isinstance(_receive(connection, crew[connection]), _Stopped):
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
        f"{process.name} died ({how}); what it had recorded since its last shard is lost, "
        "the same command goes on from there."
    )


def _stop(crew: dict[Connection, BaseProcess]) -> None:
    """Let the living finish their task and write what they have, then make sure that all ended."""
    for connection in crew:
        try:
            connection.send(None)
        except OSError:
            pass
    for connection, process in crew.items():
        process.join(timeout=30)
        if process.is_alive():
            process.kill()
            process.join()
        connection.close()


def _work(connection: Connection, setup: WorkerSetup, parent: int) -> None:
    """Run tasks until None comes or the parent is gone."""
    _die_with(parent)
    # Ctrl-C reaches the whole group; the parent decides when we stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _do_tasks(connection, setup)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)
    except (ValueError, OSError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        connection.send(_Failure(kind, str(error)))


def _do_tasks(connection: Connection, setup: WorkerSetup) -> None:
    env = make_env_from_config(setup.env)
    shape = env.observation_space.shape
    assert shape is not None
    writer = ShardWriter(
        setup.shards, f"{setup.job}-{uuid4().hex[:8]}", (shape[0], shape[1], shape[2])
    )

    def save(episode: Episode) -> None:
        writer.append(episode)
        if writer.num_steps >= setup.shard_steps:
            writer.flush()

    worker = Worker(
        env=env,
        policy=make_policy(setup.policy, env.action_meanings),
        report=connection.send,
        save=save,
        room_byte=ram_labels(setup.env.name).get("room"),
    )
    try:
        while (task := connection.recv()) is not None:
            connection.send(_Result(task.run(worker)))
    finally:
        writer.flush()
    connection.send(_Stopped())


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent ends, whatever ends it.

    Elsewhere the broken pipe ends it after its present task.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


@dataclass(frozen=True)
class Recorded:
    """The result of tasks that record one episode.

    Attributes:
        info: the episode, or None where the policy stopped before its first step.
        stopped: the policy will not go on.
    """

    info: EpisodeInfo | None
    stopped: bool = False
