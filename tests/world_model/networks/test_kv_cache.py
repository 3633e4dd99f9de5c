import torch

from worldtokens.world_model.networks.kv_cache import (
    CacheSlots,
    KVCache,
    LayerCache,
    block_mask,
    block_slots,
    cache_mask,
    causal_mask,
    factorised_cache_mask,
)

CPU = torch.device("cpu")


def new_cache(frames: int, position: int = 0, rows: int = 1, slots: int = 6) -> KVCache:
    """A cache of 3 frames of 2 positions, `frames` of them read."""
    layer = LayerCache(rows, 1, slots, 2, torch.zeros(1))
    return KVCache(layers=[layer], context=3, block_size=2, frames=frames, position=position)


def test_keys_and_values_are_written_and_read_where_they_should():
    layer = LayerCache(1, 1, 4, 2, torch.zeros(1))
    keys = torch.arange(4.0).reshape(1, 1, 2, 2)
    layer.write(1, keys, keys + 10)
    assert layer.read(3)[0].tolist() == [[[[0, 0], [0, 1], [2, 3]]]]
    layer.write(torch.tensor([3, 0]), keys, keys + 10)
    assert layer.read(4)[1].tolist() == [[[[12, 13], [10, 11], [12, 13], [10, 11]]]]
    assert layer.size == 4


def test_a_cache_counts_positions_and_frames_and_reuses_the_oldest_slot():
    cache = new_cache(0)
    assert (cache.slot, cache.used) == (0, 1)
    cache.advance(1)
    assert (cache.frames, cache.position) == (0, 1)
    cache.advance(1)
    assert (cache.frames, cache.position, cache.slot, cache.used) == (1, 0, 1, 2)
    cache.frames = 7
    assert (cache.slot, cache.used) == (1, 3)
    cache.first_frames = torch.tensor([5])
    cache.clear()
    assert (cache.frames, cache.position, cache.first_frames) == (0, 0, None)
    assert cache.nbytes() == 2 * 6 * 2 * 4


def test_frames_of_an_earlier_dream_are_stale():
    cache = new_cache(4)
    assert cache.stale_mask() is None
    # Slots hold frames 3, 4 and 2; the second dream began at frame 3.
    cache.first_frames = torch.tensor([0, 3])
    assert cache.stale_mask().tolist() == [[False, False, False], [False, False, True]]
    cache.frames = 5
    assert cache.stale_mask() is None, "frame 2 was overwritten"


def test_rows_of_another_cache_take_the_place_of_some():
    cache, other = new_cache(4, rows=2), new_cache(4)
    other.layers[0].keys += 1
    other.first_frames = torch.tensor([3])
    cache.replace_rows(torch.tensor([1]), other, dreams=2)
    assert cache.layers[0].keys[:, 0, 0, 0].tolist() == [0, 1]
    assert cache.first_frames.tolist() == [0, 3]


def test_a_block_sees_itself_and_the_context_before_it():
    assert block_mask(3, 1, 2, CPU).int().tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert block_mask(2, 2, 2, CPU).int().tolist() == [
        [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]
    ]  # fmt: skip
    assert causal_mask(2, 2, 2, CPU).int().tolist() == [
        [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]
    ]  # fmt: skip


def test_slots_grow_until_the_cache_is_full():
    assert block_slots(new_cache(1, 1), 1) == CacheSlots(3, 4)
    assert block_slots(new_cache(4), 2) == CacheSlots(2, 6)
    static = CacheSlots(2, 4).static(2, 6, CPU)
    assert static.written.tolist() == [2, 3] and static.read == 6


def test_a_token_does_not_see_the_rest_of_a_block_that_left_the_context():
    cache = new_cache(4, position=0)
    # Frame 4 is written over frame 1, whose second position is still there.
    mask = cache_mask(cache, 1, causal=True, read=6, device=CPU)
    assert mask.int().tolist() == [[1, 1, 1, 0, 1, 1]]
    assert cache_mask(new_cache(1), 2, causal=False, read=4, device=CPU) is None
    assert cache_mask(new_cache(1), 2, causal=True, read=4, device=CPU).int().tolist() == [
        [1, 1, 1, 0], [1, 1, 1, 1]
    ]  # fmt: skip


def test_static_masks_hide_what_was_not_written():
    mask = cache_mask(new_cache(1), 2, causal=False, read=4, device=CPU, static=True)
    assert mask.int().tolist() == [[1, 1, 1, 1, 0, 0]] * 2
    cache = new_cache(1, rows=2, slots=3)
    mask = factorised_cache_mask(cache, static=True)
    assert mask.shape == (2, 1, 1, 3) and mask[0, 0, 0].int().tolist() == [1, 1, 0]
    assert factorised_cache_mask(cache) is None
    cache.first_frames = torch.tensor([1])
    assert factorised_cache_mask(cache)[:, 0, 0].int().tolist() == [[0, 1]] * 2
