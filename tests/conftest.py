from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState, GradientState, PartialState


@pytest.fixture(autouse=True)
def fresh_accelerator_state() -> Iterator[None]:
    """Lets each test choose its precision: accelerate keeps the first one of a process."""
    yield
    AcceleratorState._reset_state()
    GradientState._reset_state()
    PartialState._reset_state()
