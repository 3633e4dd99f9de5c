import math

import pytest

from worldtokens.common.checks import (
    check_at_least,
    check_choice,
    check_names,
    check_number,
    check_positive,
    check_positive_or_infinite,
    check_probability,
    check_seed,
    check_type,
)


@pytest.mark.parametrize(
    ("check", "good", "bad", "expected"),
    [
        (lambda value: check_at_least(2, size=value), [2, 3], [1, 2.0, True, None, "3"],
         "size: expected a whole number of at least 2, got "),
        (lambda value: check_positive(size=value), [1, 0.5], [0, -1, math.inf, math.nan, True, "1"],
         "size: expected a number above 0, got "),
        (lambda value: check_positive_or_infinite(size=value), [1, 0.5, math.inf],
         [0, -1, -math.inf, math.nan, True, "1"],
         "size: expected a number above 0 or inf, got "),
        (lambda value: check_probability(size=value), [0, 0.5, 1], [-0.1, 1.1, math.nan, False],
         r"size: expected a number in \[0, 1\], got "),
        (lambda value: check_number(0, size=value), [0, 1.5], [-1, math.inf, math.nan, True, "1"],
         "size: expected a number of at least 0, got "),
        (lambda value: check_seed(size=value), [0, 2**32 - 1], [-1, 2**32, 1.0, True],
         "size: expected (a whole number of at least 0|at most 4294967295), got "),
        (lambda value: check_names(size=value), ["a", "a/b", "ü=1"],
         ["", " ", ".", "..", "/a", "a/../b", None, 3],
         "size: expected a name, such as size=NAME, that stays inside of its folder, got "),
        (lambda value: check_choice(("a", "b"), size=value), ["a"], ["c", None, 3],
         "size: expected one of a, b, got "),
    ],
)  # fmt: skip
def test_bad_numbers_are_named(check, good, bad, expected):
    for value in good:
        check(value)
    for value in bad:
        with pytest.raises(ValueError, match=f"^{expected}{value!r}$"):
            check(value)


def test_wrong_types_are_named():
    check_type(str, a="x", b="y")
    with pytest.raises(TypeError, match="b: expected a str, got int 3"):
        check_type(str, a="x", b=3)
