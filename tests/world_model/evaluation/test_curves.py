from worldtokens.world_model.evaluation.curves import Panel, save_panels


def test_lines_and_bars_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.bar",
        lambda self, x, height, width, label: drawn.append((label, list(height))),
    )
    monkeypatch.setattr(
        "matplotlib.axes.Axes.plot",
        lambda self, x, y, style, label, ms: drawn.append((label, list(x), list(y))),
    )
    monkeypatch.setattr("matplotlib.axes.Axes.legend", lambda self, fontsize: None)
    panels = [
        Panel("one", "steps", [1, 8], {"dream": [0.5, 0.25]}),
        Panel("two", "outcome", ["paid"], {"game": [3], "dream": [float("nan")]}, bars=True),
    ]
    save_panels(tmp_path / "curves.png", "title", panels)
    assert drawn == [("dream", [0, 1], [0.5, 0.25]), ("game", [3.0]), ("dream", [0.0])]
    assert (tmp_path / "curves.png").stat().st_size > 2_000
