import pytest
from speed import IrisPeer, Row, print_table


def test_a_row_shows_ratios(capsys):
    row = Row("encode", 1000.0, "frames/s", 0.25, iris_fp32=50.0, iris_bf16=80.0)
    print_table([row, Row("collect", 5.5, "steps/s")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "| encode | 1,000 frames/s | 25% | 50.0 | 20.0 x | 80.0 | 12.5 x |"
    assert lines[3] == "| collect | 5.50 steps/s |  |  |  |  |  |"


def test_a_folder_that_is_not_iris_is_named(tmp_path):
    with pytest.raises(ValueError, match="--iris: expected a clone of IRIS .* failed at encode: "):
        IrisPeer(tmp_path, "cpu", 0.0).rate("encode", 1, "fp32")
