"""The open files of a dataset: few at a time, and others after a fork."""

import errno
import os
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np

from worldtokens.collect.dataset.shard_reading import (
    FRAME_ARRAYS,
    STEP_ARRAYS,
    check_whole,
    explained,
    open_shard,
)

_LARGEST = 128


class OpenShards:
    """Reads rows of shards; opening one costs as much as reading 10 frames, so some stay open.

    Before the first row of a shard is read, the whole file is read against its digest.
    """

    def __init__(self, paths: list[Path]) -> None:
        """Opens nothing.

        Args:
            paths: Absolute paths of the shards.
        """
        self._paths = paths
        self._files: OrderedDict[int, tuple[h5py.File, dict[str, h5py.Dataset]]] = OrderedDict()
        self._pid = os.getpid()
        self._whole: set[int] = set()

    def read(self, shard: int, name: str, start: int, stop: int | None) -> np.ndarray:
        """Returns rows [start, stop) of an array of a shard.

        Raises:
            DamagedShard: The shard is damaged.
            OSError: It cannot be read for another reason.
        """
        path = self._paths[shard]
        try:
            with explained(path):
                return self._arrays(shard)[name][start:stop]
        except OSError as error:
            if error.errno != errno.EMFILE or not self._files:
                raise
        self._close()
        with explained(path):
            return self._arrays(shard)[name][start:stop]

    def _arrays(self, shard: int) -> dict[str, h5py.Dataset]:
        if self._pid != os.getpid():
            # After a fork files share their position with those of the parent process.
            self._files.clear()
            self._pid = os.getpid()
        if shard in self._files:
            self._files.move_to_end(shard)
            return self._files[shard][1]
        while len(self._files) >= _limit():
            self._files.popitem(last=False)[1][0].close()
        path = self._paths[shard]
        if shard not in self._whole:
            check_whole(path)
            self._whole.add(shard)
        file = open_shard(path)
        arrays: dict[str, h5py.Dataset] = {}
        for key in (*FRAME_ARRAYS, *STEP_ARRAYS):
            array = file[key]
            assert isinstance(array, h5py.Dataset)
            arrays[key] = array
        self._files[shard] = file, arrays
        return arrays

    def _close(self) -> None:
        for file, _ in self._files.values():
            file.close()
        self._files.clear()

    def __getstate__(self) -> dict[str, object]:
        """Pickles everything but the open files."""
        return {**self.__dict__, "_files": OrderedDict()}


def _limit() -> int:
    """Returns how many files may be open: a quarter of what the process may open at most."""
    try:
        import resource
    except ImportError:  # Windows
        return _LARGEST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _LARGEST
    return max(1, min(_LARGEST, soft // 4))
