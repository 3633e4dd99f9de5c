import numpy as np
import pytest
import torch

from worldtokens.world_model.evaluation import long_dreams
from worldtokens.world_model.evaluation.long_dreams import (
    find_returns,
    long_dream_rows,
    long_dream_section,
)
from worldtokens.world_model.imagination.rollout import Rollout


def test_a_room_entered_again_is_compared_with_what_it_was():
    scenes = np.array([1, 1, 1, 2, 1, 1, 1, 2, 2, 2, 1, 1, 1, 3, 3, 3, 2, 2, 2])
    frames = np.zeros((len(scenes), 2, 2, 3), np.uint8)
    frames[scenes == 2] = 100
    frames[10:13] = 10  # The first room, a little lighter than before.
    found = find_returns(frames, scenes, np.arange(len(scenes)) * 5)
    # A flicker of one frame is no way out.
    assert [one.step for one in found] == [50, 80]
    assert found[0].psnr == pytest.approx(10 * np.log10(255**2 / 100))
    assert found[1].psnr > 100


def test_stretches_are_measured_until_a_dream_ends(setup, monkeypatch):
    monkeypatch.setattr(long_dreams, "STRETCH", 10)
    known = torch.from_numpy(setup.training_tokens.episodes[0].tokens[3].astype(np.int64))
    tokens = known.repeat(2, 20, 1)
    tokens[1, 10:] = 63
    ends = torch.zeros(2, 20, dtype=torch.bool)
    rollout = Rollout(tokens, torch.zeros(2, 20), ends, ends)
    first, second, true = long_dream_rows(setup, rollout)
    assert (first.last_step, first.dreams, first.strange) == (10, 2, 0.0)
    assert (second.last_step, second.dreams, second.strange) == (20, 2, 0.5)
    assert np.isnan(first.player_seen) and first.returns == 0
    assert true.frames == "true frames" and true.strange < 0.3
    # The strange half comes after an end: it does not count.
    ends[1, 9] = True
    _, second, _ = long_dream_rows(setup, Rollout(tokens, torch.zeros(2, 20), ends, ends))
    assert (second.dreams, second.strange) == (1, 0.0)


def test_long_dreams_under_random_actions_have_a_line_per_stretch(setup):
    section = long_dream_section(setup, 2, 120)
    assert [row.last_step for row in section.rows] == [100, 120, 0]
    assert len(section.table.splitlines()) == 4
    assert [line["to step"] for line in section.card["long_dreams"]] == [100, 120]
