import pytest
import shipped_dream_speed
import torch
from shipped_dream_speed import WatchedActions, draw_windows, measure

from worldtokens import EpisodeDataset, Tokenizer, WorldModel, WorldModelConfig
from worldtokens.world_model.data.token_cache import load_tokens


@pytest.fixture
def tokenizer(tokenizer_folder):
    return Tokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture
def tokens(dataset, tokenizer):
    return load_tokens(EpisodeDataset(dataset, "heldout"), tokenizer)


@pytest.fixture
def model(tokenizer, dataset):
    torch.manual_seed(0)
    num_actions = EpisodeDataset(dataset).num_actions
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint,
        game="FakeGame",
        vocab_size=16,
        grid=(4, 4),
        num_actions=num_actions,
        context=4,
        layers=1,
        heads=2,
        width=32,
    )
    return WorldModel(config).eval()


def test_every_frame_is_decoded_before_the_next_action(tokenizer):
    decoded = []
    tokenizer.decode = decoded.append
    policy = WatchedActions(tokenizer, torch.tensor([[3, 1], [2, 0]]))
    assert policy.started == 0.0
    frames = torch.zeros(2, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64)
    assert [policy(frame).tolist() for frame in frames] == [[3, 2], [1, 0]]
    assert [int(tokens.max()) for tokens in decoded] == [0, 1] and policy.started > 0


def test_windows_of_a_batch_come_from_all_over_the_dataset(tokens):
    first, second = draw_windows(tokens, batch=3, repeats=2, context=2, horizon=5)
    assert first.tokens.shape == second.tokens.shape == (3, 7, 16)
    assert bool(first.mask.all())
    # One held-out episode of 31 frames has 25 windows of 7 frames.
    with pytest.raises(ValueError, match="--batches: expected at most 12 for 2 repeats .* got 13"):
        draw_windows(tokens, batch=13, repeats=2, context=2, horizon=5)


def test_fresh_weights_keep_every_token_where_they_dream_greedily(model, tokenizer, tokens):
    windows = draw_windows(tokens, batch=2, repeats=2, context=2, horizon=5)
    greedy = measure(model, tokenizer, windows, context=2, top_k=1)
    assert (greedy.batch, greedy.top_k, greedy.changing) == (2, 1, 0.0) and greedy.rate > 0
    assert 0.0 < measure(model, tokenizer, windows, context=2, top_k=None).changing < 0.5


def test_main_prints_a_row_per_batch_and_way_of_drawing(
    dataset, tokenizer_folder, model, tmp_path, run_script, capsys
):
    model.save_pretrained(tmp_path / "model")
    run_script(
        shipped_dream_speed.main,
        "--data",
        dataset,
        "--tokenizer",
        tokenizer_folder,
        "--world-model",
        tmp_path / "model",
        "--batches",
        1,
        2,
        "--repeats",
        1,
        "--context",
        2,
        "--horizon",
        4,
        "--device",
        "cpu",
    )
    _, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| 1", "greedy"],
        ["| 1", "drawn"],
        ["| 2", "greedy"],
        ["| 2", "drawn"],
    ]
    assert rows[0].endswith(" | 0.0% |")
