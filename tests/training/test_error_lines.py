import errno
import os

import pytest
import torch

from worldtokens.training.budget import BudgetConfig
from worldtokens.training.error_lines import explain, is_interruption, is_lack_of_memory
from worldtokens.training.stage_config import StageConfig

STAGE = StageConfig(BudgetConfig, "tokenizer")


@pytest.mark.parametrize(
    ("number", "way_out"),
    (
        (errno.ENOSPC, "free some space, then run the same command again"),
        (errno.EROFS, "this one is read-only"),
        (errno.EACCES, "ask its owner for the permission"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "choose a shorter name"),
    ),
)
def test_trouble_of_the_file_system_has_a_way_out(number, way_out):
    line = explain(OSError(number, os.strerror(number), "/a/b"), STAGE)
    assert line.startswith(f"{os.strerror(number)}: /a/b; ") and way_out in line
    assert explain(OSError(errno.ENOENT, "No such file", "/a"), STAGE) == "No such file: /a"


def test_lack_of_memory_is_told_from_bugs():
    error = MemoryError("Unable to allocate 1 PiB")
    assert "memory does not suffice (Unable to allocate 1 PiB); choose" in explain(error, STAGE)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_lack_of_memory(caught.value) and "\n" not in explain(caught.value, STAGE)
    assert not is_lack_of_memory(RuntimeError("shape mismatch"))


def test_errors_are_one_line():
    assert explain(ValueError("a:\n  b"), STAGE) == "a: b"
    assert explain(ValueError(), STAGE) == "ValueError"


def test_an_error_on_the_way_out_of_an_interruption_is_one():
    def half_done():
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("half-done")

    with pytest.raises(AttributeError) as caught:
        half_done()
    assert is_interruption(caught.value) and not is_interruption(ValueError())
