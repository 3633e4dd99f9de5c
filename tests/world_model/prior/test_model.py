import pytest
import torch

from worldtokens.common.commands import stage_command
from worldtokens.world_model import FramePrior, FramePriorConfig
from worldtokens.world_model.prior.model import window_start


def tiny(seed=0, **changes) -> FramePrior:
    torch.manual_seed(seed)
    fields = dict(layers=2, heads=2, width=32, vocab_size=16, grid=(3, 4), classes=["a", "b"])
    prior = FramePrior(FramePriorConfig(**{**fields, "tokenizer": "abc", **changes}))
    with torch.no_grad():
        # Far from uniform, so that an error shows.
        for parameter in prior.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return prior.eval()


def given(prior: FramePrior, count: int) -> torch.Tensor | None:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(16, (count, 12), generator=generator)
    return drawn if prior.config.conditioned else None


@pytest.mark.parametrize("condition", ["none", "previous"])
@pytest.mark.parametrize("positions", ["rotary", "absolute"])
def test_drawing_with_a_cache_is_what_whole_sequences_say(condition, positions):
    prior = tiny(condition=condition, positions=positions)
    classes, other = torch.tensor([0, 1, 2, 2]), given(prior, 4)
    drawn = prior.sample(classes, other, top_k=1)
    with torch.no_grad():
        logits = prior(drawn, classes, other)
    assert logits.shape == (4, 12, 16)
    assert torch.equal(logits.argmax(-1), drawn)
    assert len(drawn.unique(dim=0)) > 1  # Classes matter.


@pytest.mark.parametrize("condition", ["none", "previous"])
def test_a_token_depends_on_those_before_it_only(condition):
    prior = tiny(condition=condition)
    classes, other = torch.tensor([1]), given(prior, 1)
    tokens = torch.arange(12)[None]
    changed = tokens.clone()
    changed[0, 5] = 15
    with torch.no_grad():
        before, after = prior(tokens, classes, other), prior(changed, classes, other)
    same = (before - after).abs().amax(dim=(0, 2)) < 1e-5
    assert same.tolist() == [True] * 6 + [False] * 6
    if other is not None:
        other = other.clone()
        other[0, 11] = (other[0, 11] + 1) % 16
        with torch.no_grad():
            after = prior(tokens, classes, other)
        assert ((before - after).abs().amax(dim=(0, 2)) > 1e-4).all()


def test_a_completion_keeps_what_is_known_and_goes_on_from_it():
    prior = tiny()
    classes = torch.tensor([1, 2])
    whole = prior.sample(classes, top_k=1)
    assert torch.equal(prior.sample(classes, known=whole[:, :5], top_k=1), whole)
    other = (whole[:, :5] + 1) % 16
    drawn = prior.sample(classes, known=other, top_k=1)
    assert torch.equal(drawn[:, :5], other)
    with torch.no_grad():
        assert torch.equal(prior(drawn, classes).argmax(-1)[:, 5:], drawn[:, 5:])
    assert torch.equal(prior.sample(classes, known=whole), whole)


def test_a_row_depends_on_its_own_generator_only():
    prior = tiny()

    def draw(seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return prior.sample(torch.zeros(len(seeds), dtype=torch.int64), generator=generators)

    both, one = draw([1, 2]), draw([2])
    assert torch.equal(both[1:], one) and not torch.equal(both[:1], one)


def test_tokens_are_drawn_as_often_as_the_prior_says():
    prior = tiny()
    classes = torch.ones(4000, dtype=torch.int64)
    known = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]]).expand(4000, -1)
    drawn = prior.sample(classes, known=known, generator=torch.Generator().manual_seed(0))[:, 11]
    with torch.no_grad():
        tokens = torch.cat((known[:1], torch.zeros(1, 1, dtype=torch.int64)), dim=1)
        expected = prior(tokens, classes[:1])[0, 11].softmax(-1)
    shares = drawn.bincount(minlength=16) / 4000
    assert (shares - expected).abs().max() < 0.03


def test_the_other_images_token_gets_a_bonus():
    prior = tiny(condition="previous")
    with torch.no_grad():
        prior.copy_gate.weight.zero_()
        prior.copy_gate.bias.fill_(0.0)
        other, classes, tokens = given(prior, 1), torch.tensor([0]), torch.zeros(1, 12).long()
        plain = prior(tokens, classes, other)
        prior.copy_gate.bias.fill_(7.0)
        raised = prior(tokens, classes, other) - plain
    assert other is not None
    assert torch.allclose(raised.gather(-1, other[..., None]), torch.full((1, 12, 1), 7.0))
    assert raised.sum().item() == pytest.approx(12 * 7.0, rel=1e-4)


def test_an_untrained_prior_expects_the_frame_before_to_stay():
    torch.manual_seed(0)
    prior = FramePrior(FramePriorConfig(layers=1, vocab_size=512, condition="previous"))
    tokens, other = torch.randint(512, (2, 2, 64))
    with torch.no_grad():
        chance = prior(tokens, torch.zeros(2).long(), other).softmax(-1)
    assert 0.8 < chance.gather(-1, other[..., None]).mean() < 0.95


def test_codes_that_look_alike_start_alike():
    prior = tiny()
    vectors = torch.randn(16, 24)
    vectors[3] = vectors[9]
    prior.set_codes(vectors)
    table = prior.token_embedding.weight
    assert torch.allclose(table[3], table[9]) and not torch.allclose(table[3], table[4])
    assert table.std().item() == pytest.approx(0.1, rel=0.3)


def test_windows_lie_around_a_position_and_inside_of_the_frame():
    # A window of 4 in a side of 7: as VQGAN's, it moves only while its middle is passed.
    assert [window_start(position, 7, 4) for position in range(7)] == [0, 0, 0, 1, 2, 3, 3]
    assert [window_start(position, 4, 4) for position in range(4)] == [0, 0, 0, 0]


@pytest.mark.parametrize("condition", ["none", "previous"])
def test_a_larger_frame_of_the_trained_size_is_an_ordinary_one(condition):
    prior = tiny(condition=condition)
    classes, other = torch.tensor([0, 2]), given(prior, 2)
    grid = None if other is None else other.view(2, 3, 4)
    larger = prior.sample_larger(3, 4, classes, grid, top_k=1)
    assert torch.equal(larger.flatten(1), prior.sample(classes, other, top_k=1))


def test_each_token_of_a_larger_frame_comes_from_the_window_around_it():
    prior = tiny()
    classes = torch.tensor([1])
    larger = prior.sample_larger(5, 7, classes, top_k=1)
    # Row 2 of 5 with a window of 3: from row 1 on; column 4 of 7 with 4: from column 2 on.
    window = larger[:, 1:4, 2:6].flatten(1)
    with torch.no_grad():
        logits = prior(window, classes)
    assert logits[0, 4 + 2].argmax() == larger[0, 2, 4]
    # The last token sees all of the last window.
    with torch.no_grad():
        logits = prior(larger[:, 2:, 3:].flatten(1), classes)
    assert logits[0, 11].argmax() == larger[0, 4, 6]


def test_a_saved_prior_comes_back_as_it_was(tmp_path):
    prior = tiny(condition="low_resolution", low_resolution=2)
    prior.save_pretrained(tmp_path / "run" / "export")
    again = FramePrior.from_pretrained(tmp_path / "run")
    assert again.config == prior.config and again.fingerprint == prior.fingerprint
    classes, other = torch.tensor([1]), given(prior, 1)
    assert torch.equal(prior.sample(classes, other, top_k=1), again.sample(classes, other, top_k=1))
    card = (tmp_path / "run" / "export" / "README.md").read_text()
    assert "Frame prior" in card and "low resolution" in card and "a, b" in card
    with pytest.raises(ValueError, match=f"train one with {stage_command('train-prior')}"):
        FramePrior.from_pretrained(tmp_path / "nothing")


def classes(count=1):
    return torch.zeros(count, dtype=torch.int64)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.sample(torch.tensor([3])), r"classes: expected values in \[0, 3\), got 3"),
        (lambda p: p.sample(torch.zeros(1)), "classes: expected int64 .B., got torch.float32"),
        (lambda p: p.sample(None), "classes: expected a tensor int64 .B., got NoneType"),
        (lambda p: p.class_numbers("ab"), "names: expected a list of names or None, got 'ab'"),
        (lambda p: p.class_numbers([3]), "classes: expected names such as a, b, got 3"),
        (
            lambda p: p.sample(classes(), top_k=1, generator="x"),
            "generator: expected a torch.Generator, 1 of them or None, got str 'x'",
        ),
        (
            lambda p: p.sample_larger(3, 10**9, classes()),
            "columns: expected a whole number from 4, .*, to 1024, got 1000000000",
        ),
        (lambda p: p.class_numbers(["rome"]), "classes: expected names such as a, b, got 'rome'"),
        (
            lambda p: p.sample(classes(), known=torch.tensor([[16]])),
            r"known: expected values in \[0, 16\), got 16 to 16",
        ),
        (
            lambda p: p.sample(classes(), known=torch.zeros(1, 13).long()),
            "known: expected at most 12 tokens a frame, got 13",
        ),
        (lambda p: p.sample(classes(2), known=torch.zeros(1, 2).long()), r"known: .*got shape"),
        (
            lambda p: p.sample(classes(), torch.zeros(1, 12).long()),
            "condition: expected None, since .* trained without another image, got Tensor",
        ),
        (lambda p: p.sample(classes(), temperature=0), "temperature: expected a number above 0"),
        (
            lambda p: p.sample_larger(2, 9, classes()),
            "rows: .* from 3, .* 1024, got 2",
        ),
        (
            lambda p: p.sample_larger(3, 3, classes()),
            "columns: .* from 4, .* 1024, got 3",
        ),
        (
            lambda p: p.check_tokenizer("xyz"),
            "tokenizer: expected 'abc', which .* trained on, got 'xyz'",
        ),
    ],
)
def test_wrong_arguments_are_named(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(tiny())


def test_a_prior_that_needs_another_image_says_so():
    with pytest.raises(
        ValueError,
        match="condition: expected the other image.s tokens, .* condition=previous, got None",
    ):
        tiny(condition="previous").sample(classes())
    with pytest.raises(ValueError, match="condition: expected int64"):
        tiny(condition="previous").sample(classes(), torch.zeros(1, 3).long())
    with pytest.raises(
        ValueError, match="classes: expected None, since .* trained without any, got 'a'"
    ):
        tiny(classes=[]).class_numbers(["a"])
