import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.world_model.evaluation.game.saved_states import SavedStates, known_frames

RIGHT = 3


class Right:
    """Walks to the right."""

    def begin(self, rng):
        pass

    def act(self, frame):
        return RIGHT


def test_the_game_is_played_from_held_out_cells(setup):
    states = SavedStates(setup.heldout)
    assert len(states.cells) == 2
    drawn = states.draw(9, np.random.default_rng(0))
    assert {state.name for state in drawn} == {state.name for state in states.cells}
    played = states.play(states.cells[0], Right(), 9)
    # The key lies six steps to the right.
    assert played.rewards.tolist() == [0] * 5 + [100] + [0] * 3
    assert played.frames.shape == (10, 32, 32, 3) and played.actions.tolist() == [RIGHT] * 9
    assert played.scenes.tolist() == [1] * 10 and not played.ends.any()
    again = states.play(states.cells[0], Right(), 9)
    assert np.array_equal(played.frames[1:], again.frames[1:])
    episode = known_frames(played, setup.tokenizer, 4, "cell")
    assert episode.tokens.shape == (4, 8) and episode.actions.tolist() == [RIGHT] * 3
    assert np.array_equal(setup.decode(episode.tokens), played.frames[:4])


def test_of_data_that_are_evaluated_as_a_whole_all_cells_count(game):
    assert len(SavedStates(EpisodeDataset(game)).cells) == 3


def test_starts_near_rewards_lie_before_a_reward(setup):
    states = SavedStates(setup.heldout)
    states.random_agent = lambda rng: Right()
    near = states.draw_near_rewards(7, 60, np.random.default_rng(0))
    assert len(near) == 7
    # The reward comes at step 5; a start lies at most two steps after the cell.
    assert {state.steps for state in near} <= {0, 1, 2} and len({s.steps for s in near}) > 1
    for state in near:
        played = states.play(state, Right(), 6)
        assert played.rewards.argmax() == 5 - state.steps


def test_data_without_an_archive_are_named(game):
    for path in (game / "archives").glob("*.npz"):
        path.unlink()
    with pytest.raises(ValueError, match="game has no archive of saved states"):
        SavedStates(EpisodeDataset(game, "heldout"))
