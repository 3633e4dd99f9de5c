import os
import sys

import pytest
from dot_env import RenderedEnv

from worldtokens.envs import EnvConfig
from worldtokens.envs.making import make_inner


def config(**values):
    return EnvConfig(name="R", **{"_target_": "dot_env.RenderedEnv", **values})


def test_it_is_rendered_where_the_observation_is_no_picture():
    env, rule = make_inner(config())
    assert isinstance(env, RenderedEnv) and env.render_mode == "rgb_array" and rule.is_rendered
    with pytest.raises(ValueError, match="expected a picture in the observation of R, got Box"):
        make_inner(config(picture="observation"))


@pytest.mark.parametrize(("display", "driver"), [("", "dummy"), (":0", None)])
def test_pictures_need_no_screen(monkeypatch, display, driver):
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SDL_VIDEODRIVER", "")
    monkeypatch.delenv("SDL_VIDEODRIVER")
    make_inner(config())
    assert os.environ.get("SDL_VIDEODRIVER") == driver


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="env: R cannot be made .*unexpected keyword argument 'x'"):
        make_inner(config(kwargs={"x": 1}))


def test_a_module_may_lie_in_the_present_folder(tmp_path, monkeypatch):
    (tmp_path / "own_game_here.py").write_text("from dot_env import DotEnv as Own\nnumber = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    env, rule = make_inner(config(_target_="own_game_here.Own"))
    assert rule.key == "camera" and env.size == 24
    with pytest.raises(ValueError, match="expected a function or class, got own_game_here.number"):
        make_inner(config(_target_="own_game_here.number"))


def test_python_itself_makes_no_environment(tmp_path):
    for name in ("os.system", "builtins:eval", "subprocess.call"):
        with pytest.raises(ValueError, match=f"got {name} of Python's own library"):
            make_inner(config(_target_=name, kwargs={"command": f"touch {tmp_path}/x"}))
    assert not (tmp_path / "x").exists()
