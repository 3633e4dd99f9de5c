import torch

from tests.world_model.tiny import tiny


def test_the_past_is_stacked_newest_first_and_starts_with_the_first_frame():
    state = tiny(copies=3).imaginer.new_state(1)
    for value in (1, 2):
        state.remember(torch.full((1, 8), value))
    assert state.stack_past()[0, 0].tolist() == [2, 1, 1]
    for value in (3, 4):
        state.remember(torch.full((1, 8), value))
    assert state.stack_past()[0, 0].tolist() == [4, 3, 2]


def test_only_a_cache_of_absolute_positions_is_emptied_when_it_is_full():
    for positions, frames in (("rotary", 3), ("absolute", 0)):
        state = tiny(positions=positions).imaginer.new_state(1)
        state.cache.frames = 3
        state.make_room()
        assert state.cache.frames == frames


def test_replaced_rows_do_not_write_to_the_callers_frames():
    model = tiny()
    state, other = model.imaginer.new_state(2), model.imaginer.new_state(1)
    frame = torch.zeros(2, 8, dtype=torch.int64)
    state.remember(frame)
    other.remember(torch.ones(1, 8, dtype=torch.int64))
    other.cache.first_frames = torch.tensor([0])
    state.replace_rows(torch.tensor([1]), other)
    assert state.past_frames[0][:, 0].tolist() == [0, 1]
    assert frame.sum() == 0
