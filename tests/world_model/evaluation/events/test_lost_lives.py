import dataclasses

import numpy as np

from worldtokens.world_model.evaluation.events import lost_lives
from worldtokens.world_model.evaluation.events.dreams import true_happenings
from worldtokens.world_model.evaluation.events.lost_lives import lost_lives_section


class FirstPixel:
    """A probe that reads the place from the lower right corner; in black frames it sees nobody."""

    def read(self, frames, scenes):
        corner = frames[:, -1, -1, 0].astype(np.float32)
        return np.where(frames.any(axis=(1, 2, 3)), corner, np.nan)


def test_lives_and_place_are_read_12_steps_later(setup, monkeypatch):
    setup = dataclasses.replace(setup, probes={"x": FirstPixel()})
    section = lost_lives_section(setup, 10, samples=2)
    rows = {row.predictor: row for row in section.rows}
    assert list(rows) == ["greedy", "drawn", "copy", "tokenizer"]
    assert {row.windows for row in section.rows} == {1}
    # An untrained model dreams on as before, with all lives; the player died in another room.
    still, truth = rows["copy"], rows["tokenizer"]
    assert (still.lives_right, still.both_right) == (0.0, 0.0)
    assert (truth.lives_right, truth.player_seen, truth.place_right, truth.both_right) == (1,) * 4
    assert rows["greedy"] == dataclasses.replace(still, predictor="greedy")

    def dream(setup, starts, horizon, sampling, samples):
        return true_happenings(setup, [s for s in starts for _ in range(samples)], horizon)

    monkeypatch.setattr(lost_lives, "dream", dream)
    section = lost_lives_section(setup, 10, samples=2)
    assert section.rows[1] == dataclasses.replace(truth, predictor="drawn")
    assert section.card == {"after_lost_life_greedy": 1.0, "after_lost_life_drawn": 1.0}


def test_what_cannot_be_read_is_left_out(setup):
    setup.__dict__["lives_reader"] = None
    section = lost_lives_section(setup, 10, samples=1)
    assert section.rows == [] and "left out: the lives are not visible" in section.table
    for episode in setup.tokens.episodes:
        episode.lives_lost[:] = False
    assert "no life is lost" in lost_lives_section(setup, 10, samples=1).table
