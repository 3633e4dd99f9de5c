from types import SimpleNamespace

import numpy as np
import pytest

from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode
from worldtokens.world_model.training.token_matching import check_grids, match_tokens


def data(*episodes) -> TokenDataset:
    return TokenDataset(
        [
            TokenEpisode(
                name=str(number),
                tokens=np.array(tokens, np.int16),
                actions=np.zeros(len(tokens) - 1, np.int64),
                rewards=np.zeros(len(tokens) - 1, np.float32),
                terminated=np.zeros(len(tokens) - 1, bool),
                truncated=np.zeros(len(tokens) - 1, bool),
            )
            for number, tokens in enumerate(episodes)
        ]
    )


def test_the_partner_is_the_most_frequent_token_at_the_same_place():
    mine = data([[0, 1], [0, 4], [0, 4]], [[4, 1], [4, 1]])
    its = data([[7, 2], [7, 9], [3, 5]], [[9, 2], [5, 2]])
    # 4 stands twice where 9 and twice where 5 stands: the smaller one is taken.
    assert match_tokens(mine, its, 6).tolist() == [7, 2, -1, -1, 5, -1]


def test_another_grid_is_refused():
    mine, other = SimpleNamespace(grid=(8, 8)), SimpleNamespace(grid=(4, 6))
    check_grids(mine, mine)  # pyright: ignore[reportArgumentType]
    message = r"init_tokenizer: expected a tokenizer with 8 x 8 tokens per frame .*, got .* 4 x 6"
    with pytest.raises(ValueError, match=message):
        check_grids(mine, other)  # pyright: ignore[reportArgumentType]
