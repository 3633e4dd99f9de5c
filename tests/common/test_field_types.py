from dataclasses import dataclass, field

import numpy as np
import pytest

from worldtokens.common.field_types import check_field_types


@dataclass
class Config:
    count: int = 1
    rate: float = 0.5
    name: str = "x"
    wide: bool = True
    sizes: list[int] = field(default_factory=lambda: [1, 2])
    grid: tuple[int, int] = (8, 8)
    limit: int | None = None
    anything: object = None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": np.int64(3), "rate": 1, "limit": 3},
        {"rate": np.float32(0.5), "sizes": (3,), "grid": [4, 4], "anything": print},
    ],
)
def test_fitting_fields_pass(fields):
    check_field_types(Config(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 2.9}, "count: expected a whole number, got 2.9"),
        ({"count": True}, "count: expected a whole number, got True"),
        ({"count": None}, "count: expected a whole number, got None"),
        ({"rate": "0.5"}, "rate: expected a number, got '0.5'"),
        ({"name": b"x"}, "name: expected a text, got b'x'"),
        ({"wide": 1}, "wide: expected a truth value (True or False), got 1"),
        ({"sizes": 3}, "sizes: expected a list of whole numbers, got 3"),
        ({"sizes": [1, "2"]}, "sizes: expected a list of whole numbers, got [1, '2']"),
        ({"grid": (8,)}, "grid: expected 2 whole numbers, got (8,)"),
        ({"limit": "3"}, "limit: expected a whole number or None, got '3'"),
    ],
)
def test_another_type_names_its_field(fields, message):
    with pytest.raises(ValueError) as error:
        check_field_types(Config(**fields))
    assert str(error.value) == message
