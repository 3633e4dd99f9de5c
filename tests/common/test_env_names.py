import pytest

from worldtokens.common.env_names import folder_name, gymnasium_id, is_gymnasium


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("MontezumaRevenge", "MontezumaRevenge"),
        ("a/b", "a/b"),
        ("gymnasium:CartPole-v1", "CartPole-v1"),
        ("gymnasium:minigrid:MiniGrid-Empty-5x5-v0", "MiniGrid-Empty-5x5-v0"),
        ("gymnasium:ALE/Pong-v5", "ALE_Pong-v5"),
        ("gymnasium:my.module:a b/c", "a_b_c"),
        ("gymnasium:../..", "_.."),
        ("gymnasium:..", "environment"),
    ],
)
def test_folders_have_no_colon_and_no_slash_of_an_id(name, folder):
    assert folder_name(name) == folder


def test_ids_stand_behind_the_colon():
    assert is_gymnasium("gymnasium:CartPole-v1") and not is_gymnasium("Pong")
    assert gymnasium_id("gymnasium: CartPole-v1") == "CartPole-v1"
