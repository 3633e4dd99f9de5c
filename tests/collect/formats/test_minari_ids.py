import pytest

from worldtokens.collect.formats.minari_ids import find_minari, minari_id


@pytest.mark.parametrize(
    ("game", "id"),
    [
        ("MontezumaRevenge", "worldtokens/MontezumaRevenge-v0"),
        ("gymnasium:minigrid:MiniGrid-Empty-5x5-v0", "worldtokens/MiniGrid-Empty-5x5_v0-v0"),
        ("gymnasium:ALE/Pong-v5", "worldtokens/ALE_Pong_v5-v0"),
    ],
)
def test_ids_hold_the_name_of_the_environment(game, id):
    assert minari_id(game) == id and minari_id(game, "a/b-v2") == "a/b-v2"


def test_ids_of_another_form_are_refused():
    for id in ("a/b", "/a-v0", "a-v0/", "a b-v0"):
        with pytest.raises(ValueError, match="id: expected NAMESPACE/NAME-vNUMBER"):
            minari_id("Pong", id)


def test_the_users_root_comes_second(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    data = tmp_path / "root" / "x-v0" / "data"
    data.mkdir(parents=True)
    (data / "metadata.json").write_text("{}")
    assert find_minari("x-v0") == data == find_minari(str(data.parent))
