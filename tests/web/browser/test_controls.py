"""Fingers, gamepads and keys mean the same actions."""

import pytest

pytestmark = pytest.mark.slow
PHONE = dict(viewport={"width": 390, "height": 844}, has_touch=True, device_scale_factor=2)
GAMEPAD = """
const pressed = new Set();
globalThis.fakePad = { pressed, axes: [0, 0] };
navigator.getGamepads = () => [{
  index: 0, axes: fakePad.axes,
  buttons: Array.from({ length: 16 }, (_, n) => ({ pressed: pressed.has(n) })),
}];
"""


def action_of(played, *buttons):
    return played.call(
        "return app.engine.description.actions[app.controls.actionOf(new Set(argument))].name",
        list(buttons),
    )


def taken(played):
    return played.call("return app.engine.description.actions[app.controls.take()].name")


@pytest.fixture
def played(visit, built_page):
    played = visit(built_page, script=GAMEPAD, **PHONE)
    played.wait()
    # Nothing runs by itself: a press would start the dream.
    played.call("app.controls.onPress = () => {}")
    return played


def test_buttons_together_are_all_actions(played):
    assert action_of(played) == "NOOP"
    assert action_of(played, "UP", "RIGHT", "FIRE") == "UPRIGHTFIRE"
    assert action_of(played, "DOWN", "LEFT") == "DOWNLEFT"
    assert action_of(played, "FIRE") == "FIRE"


def test_keys_are_held_tapped_and_let_go(played):
    keyboard = played.page.keyboard
    keyboard.down("ArrowUp")
    keyboard.down("Space")
    assert taken(played) == taken(played) == "UPFIRE"
    keyboard.up("ArrowUp")
    keyboard.up("Space")
    assert taken(played) == "NOOP"
    # A tap between two steps counts once.
    keyboard.press("KeyD")
    assert [taken(played), taken(played)] == ["RIGHT", "NOOP"]
    # Of two opposites the later one counts.
    keyboard.down("ArrowLeft")
    keyboard.down("ArrowRight")
    assert taken(played) == "RIGHT"
    keyboard.up("ArrowRight")
    taken(played)
    assert taken(played) == "LEFT"


def test_a_finger_on_the_pad_points_in_eight_directions(played):
    box = played.page.locator("#pad").bounding_box()
    mouse = played.page.mouse

    def point(x, y):
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        played.call("app.controls.tapped.clear()")

    point(0.9, 0.5)
    mouse.down()
    seen = []
    for x, y in ((0.9, 0.5), (0.9, 0.9), (0.5, 0.95), (0.1, 0.1), (0.5, 0.5)):
        point(x, y)
        seen.append(taken(played))
    mouse.up()
    assert seen == ["RIGHT", "DOWNRIGHT", "DOWN", "UPLEFT", "NOOP"]
    assert taken(played) == "NOOP"
    played.page.locator("#fire").tap()
    assert taken(played) == "FIRE"


def test_a_gamepad(played):
    played.call("fakePad.pressed.add(0); fakePad.axes = [-0.9, 0.1]")
    assert taken(played) == "LEFTFIRE"
    played.call("fakePad.pressed.clear(); fakePad.axes = [0, 0]; fakePad.pressed.add(12)")
    assert taken(played) == "UP"


def test_a_phone_shows_all_of_it_without_scrolling(played):
    page = played.page
    size = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert size == [390, 844]
    for selector in ("#screen", "#timeline", "#play", "#pad", "#fire", "#score", "#rate"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, selector
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844, selector
    boxes = [page.locator(name).bounding_box() for name in ("#screen", "#timeline", "#pad")]
    for upper, lower in zip(boxes, boxes[1:], strict=False):
        assert upper["y"] + upper["height"] <= lower["y"]
    # Large enough to read and to hit.
    assert page.locator("#pad").bounding_box()["width"] >= 120
    page.click("#more")
    played.wait_for("document.querySelector('#panel').getBoundingClientRect().bottom <= 845")
    assert page.locator("#save-gif").is_visible()


def test_pace_and_theme_are_chosen(played):
    page = played.page
    page.click("#more")
    page.click("#pace button[data-pace='0.5']")
    assert played.call("return app.rate") == 7.5
    dark = "getComputedStyle(document.body).backgroundColor"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    light = page.evaluate(dark)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(dark) != light
