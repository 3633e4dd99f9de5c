import json

import pytest

from worldtokens.common.json_files import check_tree_digest, to_json, tree_digest


def test_numbers_that_json_lacks_become_null():
    tree = {"a": float("nan"), "b": [float("inf"), 1.5], 3: "x"}
    assert json.loads(to_json(tree)) == {"a": None, "b": [None, 1.5], "3": "x"}
    assert to_json({"a": 1}, indent=None) == '{"a": 1}'


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert tree_digest({"a": 1, "b": (2,)}) == tree_digest({"b": [2], "a": 1})
    assert tree_digest({"a": 1}) != tree_digest({"a": 2})


def test_a_changed_tree_is_named():
    check_tree_digest({"a": 1}, None, "x.json")
    check_tree_digest({"a": 1}, tree_digest({"a": 1}), "x.json")
    with pytest.raises(ValueError, match="x.json: expected the content that was written"):
        check_tree_digest({"a": 2}, tree_digest({"a": 1}), "x.json")
