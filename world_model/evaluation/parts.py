"""The parts of an evaluation, one after another."""

from collections.abc import Callable, Iterator

from worldtokens.world_model.evaluation.config import EvaluateConfig
from worldtokens.world_model.evaluation.events.lost_lives import lost_lives_section
from worldtokens.world_model.evaluation.events.rates import rate_section
from worldtokens.world_model.evaluation.events.section import event_section
from worldtokens.world_model.evaluation.game.counterfactual_section import counterfactual_section
from worldtokens.world_model.evaluation.game.payment_section import payment_section
from worldtokens.world_model.evaluation.game.saved_states import SavedStates
from worldtokens.world_model.evaluation.long_dreams import long_dream_section
from worldtokens.world_model.evaluation.sections import Section
from worldtokens.world_model.evaluation.setup import Setup
from worldtokens.world_model.evaluation.strange_tokens import strange_section


def measure_parts(config: EvaluateConfig, setup: Setup) -> Iterator[Section]:
    """Measures every part whose size is not 0."""
    samples = config.drawn_samples
    if config.events:
        yield event_section(setup, config.events, samples)
        yield rate_section(setup)
    if config.lost_lives:
        yield lost_lives_section(setup, config.lost_lives, samples)
    if config.strange_tokens:
        yield strange_section(setup, config.strange_tokens, samples)
    parts: dict[str, Callable[[SavedStates], Section]] = {}
    if config.counterfactuals:
        parts["counterfactuals"] = lambda states: counterfactual_section(
            setup, states, config.counterfactuals
        )
    if config.payments:
        parts["payments"] = lambda states: payment_section(
            setup, states, config.policy, config.payments, config.payment_steps
        )
    yield from _in_the_game(setup, parts)
    if config.long_dreams:
        yield long_dream_section(setup, config.long_dreams, config.long_dream_steps)


def _in_the_game(
    setup: Setup, parts: dict[str, Callable[[SavedStates], Section]]
) -> Iterator[Section]:
    """Measures the parts that play the game from saved states, or says why it cannot."""
    if not parts:
        return
    try:
        states = SavedStates(setup.heldout)
    except ValueError as error:
        for name in parts:
            yield Section(name, name, [], f"left out: {error}", [])
        return
    for measure in parts.values():
        yield measure(states)
