"""The figures of judged tokenizers as a table and as JSON."""

import numpy as np

from worldtokens.tokenizer.evaluation.report import Judged


def table(judged: dict[str, Judged], frames: int) -> str:
    """Names and values of every figure, a column for each run."""
    columns = {name: dict(cells(one)) for name, one in judged.items()}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    widths = [max(12, *(len(v) for v in c.values()), len(n)) + 2 for n, c in columns.items()]
    header = f"{f'{frames} held-out frames':<30}"
    lines = [header + "".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))]
    for name in names:
        values = (column.get(name, "") for column in columns.values())
        row = "".join(f"{v:>{w}}" for v, w in zip(values, widths, strict=True))
        lines.append(f"{name:<30}{row}")
    return "\n".join(lines)


def cells(judged: Judged) -> list[tuple[str, str]]:
    """Names and values, as text, of every figure of one run."""
    found, use = judged.found, judged.found.code_use
    rows = [
        ("tokens per frame", f"{judged.tokenizer.tokens_per_frame}"),
        ("vocabulary", f"{judged.tokenizer.vocab_size}"),
        ("PSNR, dB", f"{found.psnr:.2f}"),
        ("SSIM", f"{found.ssim:.4f}"),
        ("LPIPS", _figure(judged.lpips)),
        ("rFID", _figure(judged.fid)),
    ]
    if sum(found.recall.pixels.values()):
        rows.append(("foreground recall", f"{found.recall.overall:.3f}"))
    per_scene = found.recall.per_scene
    if len(per_scene) > 1:
        rows.append(("foreground recall, worst scene", f"{min(per_scene.values()):.3f}"))
        rows += [(f"  scene {scene}", f"{value:.3f}") for scene, value in per_scene.items()]
    if not np.isnan(found.flicker):
        rows.append(("flicker", f"{found.flicker:.4f}"))
    rows += [
        ("code perplexity", f"{use.perplexity:.1f}"),
        ("codes used", f"{100 * use.share_used:.1f}%"),
        ("bits per frame", f"{use.bits_per_frame:.0f}"),
        ("bits per frame, used", f"{use.used_bits_per_frame:.0f}"),
        ("encode, frames/s", f"{judged.encode_speed:.0f}"),
    ]
    if judged.probes and judged.probes.codes:
        rows += [
            ("probe F1, code vectors", f"{_mean(judged.probes.codes):.3f}"),
            ("probe F1, random CNN", f"{_mean(judged.probes.random_cnn):.3f}"),
            ("probe F1, majority", f"{_mean(judged.probes.majority):.3f}"),
        ]
    return rows


def as_json(judged: Judged) -> dict[str, object]:
    """The same figures as numbers, with the tokenizer's fingerprint."""
    found, use = judged.found, judged.found.code_use
    tree: dict[str, object] = {
        "fingerprint": judged.tokenizer.fingerprint,
        "tokens_per_frame": judged.tokenizer.tokens_per_frame,
        "vocab_size": judged.tokenizer.vocab_size,
        **found.figures(),
        "foreground_recall_per_scene": found.recall.per_scene,
        "parameters": sum(p.numel() for p in judged.tokenizer.parameters()),
        "heldout_frames": len(found.psnr_per_frame),
        "bits_per_frame": use.bits_per_frame,
        "used_bits_per_frame": use.used_bits_per_frame,
        "encode_frames_per_second": judged.encode_speed,
    }
    for name, value in (("lpips", judged.lpips), ("rfid", judged.fid)):
        if isinstance(value, float):
            tree[name] = value
    if judged.probes:
        tree["probe_f1"] = vars(judged.probes)
    return tree


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values())))
