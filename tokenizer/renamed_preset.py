"""The preset `vqgan` of earlier versions, which is called `vqgan256` today."""

from pathlib import Path

import yaml

from worldtokens.tokenizer.config import TokenizerConfig


def check_preset_of_run(folder: Path, model: TokenizerConfig, overwrite: bool) -> None:
    """Refuses to continue a run of the earlier preset `vqgan` with the one of today.

    Args:
        folder: The run's folder, which may not be there yet.
        model: The architecture that it is to be continued with.
        overwrite: Whether an earlier run will be deleted.

    Raises:
        ValueError: The run there was begun with the earlier preset; the message says how to go on.
    """
    file = folder / "config.yaml"
    if overwrite or model.network != "resnet" or not file.is_file():
        return
    saved = yaml.safe_load(file.read_text())
    begun = saved.get("model") if isinstance(saved, dict) else None
    if isinstance(begun, dict) and begun.get("network") == "vqgan":
        raise ValueError(
            f"tokenizer_preset: expected vqgan256 for the run {folder}, got vqgan: it was begun "
            "with the preset of that name of earlier versions, which is called vqgan256 now; give "
            "that, or choose another folder with run=NAME"
        )
