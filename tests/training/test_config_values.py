import math

import pytest

from worldtokens.training.config_values import check_values


def test_values_that_a_command_can_use():
    check_values({"a": 1.5, "b": {"c": "x", "d": None, "e": True}, "f": [1, "", 2.0]})
    check_values({"max_gradient_norm": math.inf})


@pytest.mark.parametrize(
    ("tree", "message"),
    (
        ({"data": ""}, "data: expected a value, got an empty one; give data=VALUE"),
        ({"a": {"b": "  "}}, "a.b: expected a value, got an empty one"),
        ({"a": {"lr": math.nan}}, "a.lr: expected a finite number, got nan"),
        ({"lr": math.inf}, "lr: expected a finite number, got inf"),
        ({"max_gradient_norm": -math.inf}, "max_gradient_norm: expected a finite number, got -inf"),
        ({"a": [1.0, math.nan]}, "a: expected a finite number, got nan"),
        ({"n": 10**30}, "n: expected a number of at most 64 bits"),
        ({"data": "a\0b"}, "data: expected a text, got one with a null character"),
    ),
)
def test_values_that_none_can_use(tree, message):
    with pytest.raises(ValueError, match=message):
        check_values(tree)
