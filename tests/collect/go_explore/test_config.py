import pytest


@pytest.mark.parametrize(
    "override, message",
    (
        (
            "policy.segment_steps=0",
            "policy.segment_steps: expected .* at least 1, got 0",
        ),
        (
            "policy.frontier_share=-1",
            r"policy.frontier_share: expected .* in \[0, 1\], got -1",
        ),
        (
            "policy.from_reset_share=2",
            r"policy.from_reset_share: expected .* in \[0, 1\], got 2",
        ),
        ("policy.explore_scenes=0", "policy.explore_scenes: expected .* at least 1, got 0"),
        ("policy.cells=sound", "policy.cells: expected auto, ram or pixels, got 'sound'"),
    ),
)
def test_wrong_values_are_explained(explore, tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        explore(tmp_path, override)
