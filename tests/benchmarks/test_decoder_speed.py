import decoder_speed
import pytest
from decoder_speed import measure


def test_a_row_counts_the_weights_of_its_decoder():
    small, large = (measure(width, frames=2, seconds=0.0, device="cpu") for width in (8, 16))
    assert (small.width, large.width) == (8, 16)
    # The layers from 192 values of a patch to 8 channels, and a position each of 64.
    assert 192 * 8 + 8 * 64 < small.weights < large.weights < 4 * small.weights
    assert small.rate > 0 and large.rate > 0


def test_main_prints_a_row_per_width(run_script, capsys):
    run_script(decoder_speed.main, "--widths", 8, "--frames", 2, "--seconds", 0.01)
    head, _, row = capsys.readouterr().out.splitlines()
    assert head == "| decoder | weights | decoded frames/s |" and row.startswith("| 8 wide | ")
    with pytest.raises(ValueError, match="--frames: expected a whole number of at least 1, got 0"):
        run_script(decoder_speed.main, "--frames", 0)
