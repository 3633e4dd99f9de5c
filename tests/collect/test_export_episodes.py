import pytest


def test_exports_take_a_split_and_keep_what_is_there(dataset_folder, tmp_path, export_to):
    target = tmp_path / "png"
    export_to(f"data={dataset_folder}", "format=images", "split=heldout", f"to={target}")
    assert [path.name for path in target.iterdir()] == ["job-00000009"]
    assert len(list(target.glob("*/*.png"))) == 21
    with pytest.raises(
        ValueError,
        match="to: expected .* not exist yet, got .*png; choose .*to=PATH",
    ):
        export_to(f"data={dataset_folder}", "format=images", f"to={target}")
    with pytest.raises(ValueError, match="format: expected minari or images, got 'zip'"):
        export_to(f"data={dataset_folder}", "format=zip", f"to={tmp_path / 'x'}")
