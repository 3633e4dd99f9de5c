"""Metrics of dreams as text."""

from collections.abc import Mapping, Sequence

from worldtokens.world_model.evaluation.metrics import ALL_ROOMS, Fidelity


def overall_table(rows: Sequence[Fidelity]) -> str:
    """Makes the table of all rooms together: a line per horizon.

    Each metric has the columns dream, copy and tokenizer. Where several dreams were drawn of each
    start, `dream` is their mean, and the best of each start's dreams stands between it and `copy`.
    """
    best = ("best",) if any(row.predictor == "best" for row in rows) else ()
    without_ceiling = ("dream", *best, "copy")
    everyone = (*without_ceiling, "tokenizer")
    columns = (
        ("psnr", "pooled PSNR, dB", everyone, ".2f"),
        ("foreground_recall", "foreground recall", everyone, ".3f"),
        ("token_accuracy", "token accuracy", without_ceiling, ".3f"),
        ("player_seen", "player seen", everyone, ".2f"),
        ("player_error", "player x error", everyone, ".1f"),
    )
    title, names = f"{'':>8}{'':>8} ", f"{'horizon':>8}{'starts':>8} "
    for _, label, predictors, _ in columns:
        title += f"{label:^{7 * len(predictors)}} "
        names += "".join(f"{'token.' if p == 'tokenizer' else p:>7}" for p in predictors) + " "
    lines = [title.rstrip(), names.rstrip()]
    for horizon in sorted({row.horizon for row in rows}):
        by_predictor = _by_predictor(rows, horizon, ALL_ROOMS)
        line = f"{horizon:>8}{by_predictor['copy'].rollouts:>8} "
        for field, _, predictors, form in columns:
            line += "".join(f"{getattr(by_predictor[p], field):>7{form}}" for p in predictors) + " "
        lines.append(line.rstrip())
    return "\n".join(lines)


def wins_over_copying(rows: Sequence[Fidelity], horizons: int = 20) -> str:
    """Says at how many of the first horizons dreams are better than copying the last frame."""
    lines = []
    overall = {(row.horizon, row.predictor): row for row in rows if row.room == ALL_ROOMS}
    for predictor in ("dream", "best"):
        measured = [h for h, name in overall if name == predictor and h <= horizons]
        if not measured:
            continue
        parts = []
        for field, label in (("psnr", "pooled PSNR"), ("foreground_recall", "foreground recall")):
            won = [
                horizon
                for horizon in measured
                if getattr(overall[horizon, predictor], field)
                > getattr(overall[horizon, "copy"], field)
            ]
            parts.append(f"{len(won)} of {len(measured)} in {label}")
        subject = "dreams beat" if predictor == "dream" else "the best of each start's beat"
        lines.append(f"{subject} copying at horizons 1 to {max(measured)}: {', '.join(parts)}")
    return "\n".join(lines)


def room_table(rows: Sequence[Fidelity], wanted: Sequence[int] = (1, 8, 20)) -> str:
    """Makes a table of some horizons, room by room; "" where the starts lie in one room."""
    rooms = sorted({row.room for row in rows} - {ALL_ROOMS})
    if not rooms:
        return ""
    measured = {row.horizon for row in rows}
    horizons = sorted({min(measured, key=lambda h, w=w: abs(h - w)) for w in wanted})
    lines = [
        "by room of the start: pooled PSNR dream, copy | foreground recall dream, copy",
        f"{'room':>8}" + "".join(f"{f'horizon {horizon}':^38}" for horizon in horizons).rstrip(),
    ]
    for room in rooms:
        line = f"{room:>8}"
        for horizon in horizons:
            by_predictor = _by_predictor(rows, horizon, room)
            if not by_predictor:
                line += " " * 38
                continue
            dream, copy = by_predictor["dream"], by_predictor["copy"]
            line += f"{f'({copy.rollouts})':>8}{dream.psnr:>7.2f}{copy.psnr:>7.2f}"
            line += f"{dream.foreground_recall:>9.3f}{copy.foreground_recall:>7.3f}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def comparison_table(runs: Mapping[str, Sequence[Fidelity]]) -> str:
    """Makes a table of several runs: pooled PSNR and foreground recall of dreams, by horizon."""
    width = max(12, *(len(name) + 2 for name in runs))
    shared = set.intersection(*({row.horizon for row in rows} for rows in runs.values()))
    lines = ["horizon  " + "".join(f"{name:>{width}}" for name in runs) + "   (dB | recall)"]
    for horizon in sorted(shared):
        cells = []
        for rows in runs.values():
            dream = _by_predictor(rows, horizon, ALL_ROOMS)["dream"]
            cells.append(f"{dream.psnr:.2f} {dream.foreground_recall:.3f}".rjust(width))
        lines.append(f"{horizon:>7}  " + "".join(cells))
    return "\n".join(lines)


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Makes a table with a line per metric: its name in words, its value."""
    width = max((len(name) for name in metrics), default=0) + 2
    return "\n".join(
        f"{name.replace('_', ' '):<{width}}{value:.4f}" for name, value in metrics.items()
    )


def _by_predictor(rows: Sequence[Fidelity], horizon: int, room: int) -> dict[str, Fidelity]:
    return {row.predictor: row for row in rows if (row.horizon, row.room) == (horizon, room)}
