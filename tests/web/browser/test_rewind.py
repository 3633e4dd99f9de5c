"""Rewinding, branches, GIFs and saved actions."""

import io
import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture
def played(visit, built_page):
    played = visit(built_page)
    played.wait()
    return played


def tokens_at(played):
    return played.call("return [...app.dream.tokens]")


def test_a_rewound_dream_goes_on_as_it_went(played):
    first = played.steps([3] * 21, 1.0)
    # Between two saved states: the frames since the last one are read again.
    played.call("await app.seek(13)")
    assert tokens_at(played) == first[12]
    assert played.page.inner_text("#steps") == "13"
    played.call("await app.dream.catchUp()")
    assert played.steps([3] * 8, 1.0) == first[13:]


def test_another_future_is_a_branch_and_the_first_is_kept(played):
    first = played.steps([3] * 12, 0.0)
    played.call("await app.seek(4); await app.dream.catchUp()")
    second = played.steps([4] * 5, 0.0)
    assert second != first[4:9]
    chip = played.page.locator("#branches button")
    assert chip.inner_text() == "from step 4: 8 steps"
    chip.click()
    played.wait_for("worldtokens.dream.at === 12")
    assert tokens_at(played) == first[-1]
    button = "document.querySelector('#branches button')"
    played.wait_for(f"{button}.textContent === 'from step 4: 5 steps'")
    # And on from there as if nothing had been.
    played.call("await app.dream.catchUp()")
    beyond = played.steps([3, 3], 0.0)
    played.call("await app.begin(0)")
    assert played.steps([3] * 14, 0.0)[12:] == beyond


def test_the_timeline_is_dragged_to_an_earlier_frame(played):
    first = played.steps([3] * 30)
    box = played.page.locator("#timeline").bounding_box()
    # The width stands for 60 steps at least.
    played.page.mouse.click(box["x"] + box["width"] / 6, box["y"] + box["height"] / 2)
    played.wait_for("worldtokens.dream.at === 10")
    assert tokens_at(played) == first[9]


def test_states_thin_out_in_a_long_dream(played):
    played.call(
        "app.dream.spacing = 1; app.hud.state = 'looking';"
        "for (let t = 0; t < 60; t++) await app.step(t % 18);"
    )
    states = played.call("return app.dream.states")
    assert len(states) <= 25 and states[0] == 0 and played.call("return app.dream.spacing") == 4
    assert all(state % 4 == 0 for state in states)


def test_a_gif_holds_every_frame(played, shipped):
    tokens = [tokens_at(played), *played.steps([3] * 9)]
    with played.page.expect_download() as saved:
        played.page.click("#save-gif")
    content = saved.value.path().read_bytes()
    gif = Image.open(io.BytesIO(content))
    frames = []
    for number in range(gif.n_frames):
        gif.seek(number)
        frames.append(np.asarray(gif.convert("RGB"))[::4, ::4].astype(int))
    expected = shipped["tokenizer"].decode(np.array(tokens)).numpy()
    assert len(frames) == 10 and gif.size == (256, 256)
    differences = np.abs(np.stack(frames) - expected)
    # More than 256 colours are rounded to the nearest of them.
    assert np.median(differences) <= 1 and differences.mean() < 4
    assert saved.value.suggested_filename.endswith("9-steps.gif")


def test_saved_actions_give_the_same_dream_again(played):
    first = played.steps([3, 3, 11, 0, 4, 4, 2, 2], 1.0)
    with played.page.expect_download() as saved:
        played.page.click("#save-actions")
    text = saved.value.path().read_text()
    tree = json.loads(text)
    assert tree["actions"][:3] == ["RIGHT", "RIGHT", "RIGHTFIRE"] and tree["tokens"] == first
    played.call("await app.begin(1)")
    payload = {"name": "saved.json", "mimeType": "application/json", "buffer": text.encode()}
    played.page.set_input_files("#file", payload)
    played.wait_for("worldtokens.dream.at === 8")
    assert tokens_at(played) == first[-1]


def test_a_picture_is_a_start(played, shipped):
    frame = shipped["heldout"].read_frames(100, 101)[0]
    content = io.BytesIO()
    Image.fromarray(frame).save(content, format="PNG")
    payload = {"name": "room.png", "mimeType": "image/png", "buffer": content.getvalue()}
    played.page.set_input_files("#file", payload)
    played.wait_for("worldtokens.start.name === 'room.png'")
    played.wait()
    expected = shipped["tokenizer"].encode(frame).tolist()
    assert tokens_at(played) == expected
    assert len(played.steps([0])) == 1
