"""The events table: what dreams foresee of rewards, lost lives, ends and changes of scene."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worldtokens.world_model.evaluation.events.choice import Windows, choose_windows
from worldtokens.world_model.evaluation.events.dreams import (
    Happenings,
    Start,
    alarms,
    dream,
    foreseen,
    is_predicted,
    starts_of,
    state_reader,
    true_happenings,
    true_states,
)
from worldtokens.world_model.evaluation.events.events import (
    LEADS,
    REWARD,
    SCENE,
    SPAN,
    TOLERANCE,
    EventStep,
    group_events,
)
from worldtokens.world_model.evaluation.events.probabilities import (
    average_precision,
    next_step_probabilities,
)
from worldtokens.world_model.evaluation.setup import DRAWN, SAMPLINGS, Setup

NAN = float("nan")


@dataclass(frozen=True)
class EventRow:
    """What dreams foresee of one kind of event.

    A baseline that never foresees anything has a recall of 0 and no false alarm; one that knows
    only how frequent events are among these windows has an average precision of `base_rate`.

    Attributes:
        kind: reward, lost life, end or scene (a change of it).
        value: The reward's value, or "all".
        scene: The scene that they lie in; -1 for all.
        lead: Steps from the last known frame to the event.
        sampling: greedy or drawn.
        windows: Events.
        recall: Share that the dream shows within one step of the true time, two for all kinds but
            rewards; NaN where the dream cannot show that kind.
        value_right: Among these, the share with the right value: the reward, or the scene after;
            NaN for kinds without.
        quiet_windows: Windows without any event of the kind in the steps that are dreamt.
        false_alarms: Share of them in which the dream shows one (of that value).
        near_misses: Windows at the same places, without a reward.
        near_misses_paid: Share of them in which the dream pays.
        average_precision: Of the probability one step ahead, of these and the quiet windows; with
            lead 1 only.
        base_rate: Share of the events among these windows.
        recall_in_true_frames: Of what is read from frames (changes of scene; lost lives of models
            that do not predict them): what the same reading finds in the true frames.
    """

    kind: str
    value: str
    scene: int
    lead: int
    sampling: str
    windows: int
    recall: float
    value_right: float
    quiet_windows: int
    false_alarms: float
    near_misses: int
    near_misses_paid: float
    average_precision: float
    base_rate: float
    recall_in_true_frames: float


def measure_events(setup: Setup, count: int, samples: int) -> list[EventRow]:
    """Measures what dreams foresee, greedy and drawn.

    Args:
        setup: Models and held-out episodes.
        count: At most so many events of each kind, drawn; as many windows without any event.
        samples: Drawn dreams of each window.

    Returns:
        Rows by kind, sampling, lead, value and scene; none of kinds that never happen.
    """
    rows = []
    for windows in choose_windows(setup, count):
        precision = _average_precisions(setup, windows)
        for sampling in SAMPLINGS:
            measurement = _Measurement(setup, windows, sampling, samples)
            for lead in LEADS:
                rows += measurement.rows(lead, precision if lead == 1 else {})
    return rows


class _Measurement:
    """Dreams around the events of one kind, greedy or drawn."""

    def __init__(self, setup: Setup, windows: Windows, sampling: str, samples: int):
        """Dreams on from the windows without events, once for all leads."""
        self._setup = setup
        self._windows = windows
        self._sampling = sampling
        self._samples = samples if sampling == DRAWN else 1
        self._quiet = self._dream(windows.quiet, SPAN)

    def rows(
        self, lead: int, precision: Mapping[tuple[str, int], tuple[float, float]]
    ) -> list[EventRow]:
        """Measures one lead.

        Args:
            lead: Steps from the last known frame to the event.
            precision: Average precision and base rate by value and scene, where they belong here.
        """
        kind, context, times = self._windows.kind, self._setup.context, self._samples
        events = [event for event in self._windows.events if event.start(lead, context) >= 0]
        misses = [miss for miss in self._windows.near_misses if miss.start(lead, context) >= 0]
        if not events:
            return []
        hits, right, in_truth = self._foreseen(events, lead)
        alarm, alarm_values = self._alarms(self._windows.quiet, self._quiet, lead)
        near = starts_of(misses, lead, context)
        paid, _ = self._alarms(near, self._dream(near, lead + TOLERANCE[kind]), lead)
        miss_groups = group_events(misses)
        rows = []
        for (value, scene), members in group_events(events).items():
            dreams = with_samples(members, times)
            counted = alarm if value == "all" else alarm & (alarm_values == float(value))
            missed = miss_groups.get((value, scene), np.zeros(0, np.int64))
            expected, base = precision.get((value, scene), (NAN, NAN))
            row = EventRow(
                kind=kind,
                value=value,
                scene=scene,
                lead=lead,
                sampling=self._sampling,
                windows=len(members),
                recall=share(hits[dreams]),
                value_right=share(right[dreams][hits[dreams]]),
                quiet_windows=len(self._windows.quiet),
                false_alarms=share(counted),
                near_misses=len(missed),
                near_misses_paid=share(paid[with_samples(missed, times)]),
                average_precision=expected,
                base_rate=base,
                recall_in_true_frames=share(in_truth[members]),
            )
            rows.append(row if is_predicted(self._setup, kind) else _unknown(row))
        return rows

    def _foreseen(
        self, events: Sequence[EventStep], lead: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns of each dream whether it hits and has the right value; the hits of the truth."""
        setup, kind = self._setup, self._windows.kind
        starts, horizon = starts_of(events, lead, setup.context), lead + TOLERANCE[kind]
        numbers = np.array([event.episode.first_frame + event.step for event in events])
        before = true_states(setup, kind, numbers)
        dreams = self._dream(starts, horizon)
        assert dreams is not None
        hits, value = foreseen(setup, kind, dreams, lead, before.repeat(self._samples))
        right = (value == np.repeat([event.value for event in events], self._samples)).astype(float)
        if kind not in (REWARD, SCENE):
            right[:] = NAN
        in_truth = np.full(len(events), NAN)
        if state_reader(setup, kind):
            true = true_happenings(setup, starts, horizon)
            seen, _ = foreseen(setup, kind, true, lead, before)
            last = np.array([first + setup.context + horizon for _, first in starts])
            whole = last <= [len(episode.tokens) for episode, _ in starts]
            in_truth = np.where(whole, seen, NAN)
        return hits, right, in_truth

    def _alarms(
        self, starts: Sequence[Start], dreams: Happenings | None, lead: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if dreams is None:
            return np.zeros(0, bool), np.zeros(0)
        last = self._setup.context - 1
        numbers = np.array([episode.first_frame + first + last for episode, first in starts])
        before = true_states(self._setup, self._windows.kind, numbers)
        return alarms(self._setup, self._windows.kind, dreams, lead, before.repeat(self._samples))

    def _dream(self, starts: Sequence[Start], horizon: int) -> Happenings | None:
        if not starts:
            return None
        return dream(self._setup, starts, horizon, self._sampling, self._samples)


def _unknown(row: EventRow) -> EventRow:
    """Returns the row of a kind that dreams cannot show."""
    return dataclasses.replace(row, recall=NAN, value_right=NAN, false_alarms=NAN)


def _average_precisions(
    setup: Setup, windows: Windows
) -> dict[tuple[str, int], tuple[float, float]]:
    """Computes average precision and base rate by value and scene, one step ahead."""
    kind, context = windows.kind, setup.context
    events = [event for event in windows.events if event.start(1, context) >= 0]
    scores = next_step_probabilities(setup, kind, starts_of(events, 1, context))
    others = next_step_probabilities(setup, kind, windows.quiet)
    if scores is None or others is None or not events:
        return {}
    values = setup.model.reward_values.cpu().numpy() if kind == REWARD else np.ones(1)
    table = {}
    for (name, scene), members in group_events(events).items():
        columns = values != 0 if name == "all" else values == float(name)
        ours, theirs = scores[members][:, columns].sum(axis=1), others[:, columns].sum(axis=1)
        positive = np.arange(len(ours) + len(theirs)) < len(ours)
        both = np.concatenate((ours, theirs))
        table[name, scene] = average_precision(both, positive), float(positive.mean())
    return table


def with_samples(members: np.ndarray, samples: int) -> np.ndarray:
    """Returns the numbers of all dreams of some windows, int64 (members x samples,)."""
    return (members[:, None] * samples + np.arange(samples)).ravel()


def share(marks: np.ndarray) -> float:
    """Returns the mean of what is not NaN; NaN where nothing is left."""
    marks = marks[~np.isnan(marks)] if marks.dtype.kind == "f" else marks
    return float(marks.mean()) if len(marks) else NAN
