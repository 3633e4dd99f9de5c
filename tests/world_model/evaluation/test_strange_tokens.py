import numpy as np

from worldtokens.world_model.evaluation import strange_tokens
from worldtokens.world_model.evaluation.events.dreams import Happenings
from worldtokens.world_model.evaluation.strange_tokens import strange_section


def test_strange_tokens_are_counted_by_horizon(setup, monkeypatch):
    known = setup.training_tokens.episodes[0].tokens[0].astype(np.int64)

    def dream(setup, starts, horizon, sampling, samples):
        count = len(starts) * samples
        tokens = np.tile(known, (count, horizon, 1))
        if sampling == "drawn":
            tokens[: count // 2, 7, :2] = 63  # Two of eight tokens of half of the frames.
        none = np.zeros((count, horizon), bool)
        return Happenings(tokens, none.astype(np.float32), none, none)

    monkeypatch.setattr(strange_tokens, "dream", dream)
    section = strange_section(setup, 4, samples=2)
    rows = {(row.frames, row.horizon): row for row in section.rows}
    assert rows["drawn", 8].strange == 0.125 and rows["drawn", 8].frames_with_strange == 0.5
    assert rows["drawn", 8].count == 8 and rows["greedy", 8].count == 4
    assert rows["greedy", 8].strange == rows["drawn", 1].strange == 0.0
    # Held-out true frames stand beside, as far as their episodes go.
    assert ("true frames", 1) in rows and ("true frames", 50) not in rows
    assert section.table.splitlines()[2].split() == ["drawn", "0.0%", "12%", "0.0%", "0.0%"]
