"""Reports on tokenizers as a table and as JSON."""

import numpy as np

from worldtokens.tokenizer.evaluation.report import EvalReport


def table(reports: dict[str, EvalReport], frames: int) -> str:
    """Formats all metrics as text, a row for each metric and a column for each run.

    Args:
        reports: By the name of the run.
        frames: Number of held-out frames, for the header.
    """
    columns = {name: dict(cells(report)) for name, report in reports.items()}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    widths = [max(12, *(len(v) for v in c.values()), len(n)) + 2 for n, c in columns.items()]
    header = f"{f'{frames} held-out frames':<30}"
    lines = [header + "".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))]
    for name in names:
        values = (column.get(name, "") for column in columns.values())
        row = "".join(f"{v:>{w}}" for v, w in zip(values, widths, strict=True))
        lines.append(f"{name:<30}{row}")
    return "\n".join(lines)


def cells(report: EvalReport) -> list[tuple[str, str]]:
    """Formats names and values of all metrics of one run."""
    evaluation, use = report.evaluation, report.evaluation.code_use
    rows = [
        ("tokens per frame", f"{report.tokenizer.tokens_per_frame}"),
        ("vocabulary", f"{report.tokenizer.vocab_size}"),
        ("PSNR, dB", f"{evaluation.psnr:.2f}"),
        ("SSIM", f"{evaluation.ssim:.4f}"),
        ("LPIPS", _number_or_reason(report.lpips)),
        ("rFID", _number_or_reason(report.fid)),
    ]
    if sum(evaluation.recall.pixels.values()):
        rows.append(("foreground recall", f"{evaluation.recall.overall:.3f}"))
    per_scene = evaluation.recall.per_scene
    if len(per_scene) > 1:
        rows.append(("foreground recall, worst scene", f"{min(per_scene.values()):.3f}"))
        rows += [(f"  scene {scene}", f"{value:.3f}") for scene, value in per_scene.items()]
    if not np.isnan(evaluation.flicker):
        rows.append(("flicker", f"{evaluation.flicker:.4f}"))
    rows += [
        ("code perplexity", f"{use.perplexity:.1f}"),
        ("codes used", f"{100 * use.share_used:.1f}%"),
        ("bits per frame", f"{use.bits_per_frame:.0f}"),
        ("bits per frame, used", f"{use.used_bits_per_frame:.0f}"),
        ("encode, frames/s", f"{report.encode_speed:.0f}"),
    ]
    if report.probes and report.probes.codes:
        rows += [
            ("probe F1, code vectors", f"{_mean(report.probes.codes):.3f}"),
            ("probe F1, random CNN", f"{_mean(report.probes.random_cnn):.3f}"),
            ("probe F1, majority", f"{_mean(report.probes.majority):.3f}"),
        ]
    return rows


def as_json(report: EvalReport) -> dict[str, object]:
    """Collects the same metrics as numbers, with the tokenizer's fingerprint."""
    evaluation, use = report.evaluation, report.evaluation.code_use
    tree: dict[str, object] = {
        "fingerprint": report.tokenizer.fingerprint,
        "tokens_per_frame": report.tokenizer.tokens_per_frame,
        "vocab_size": report.tokenizer.vocab_size,
        **evaluation.metrics(),
        "foreground_recall_per_scene": evaluation.recall.per_scene,
        "parameters": sum(p.numel() for p in report.tokenizer.parameters()),
        "heldout_frames": len(evaluation.psnr_per_frame),
        "bits_per_frame": use.bits_per_frame,
        "used_bits_per_frame": use.used_bits_per_frame,
        "encode_frames_per_second": report.encode_speed,
    }
    for name, value in (("lpips", report.lpips), ("rfid", report.fid)):
        if isinstance(value, float):
            tree[name] = value
    if report.probes:
        tree["probe_f1"] = vars(report.probes)
    return tree


def _number_or_reason(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values())))
