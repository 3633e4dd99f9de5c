from worldtokens.training.renamed_keys import RENAMED_KEYS, rename_keys, rename_overrides


def test_old_keys_of_a_file_get_their_new_names():
    tree = {"seed": 3, "own_share": 0.2, "own_depth": 2, "noise_share": 0.1, "still_share": 0.5}
    assert rename_keys(tree) == {
        "seed": 3,
        "scheduled_sampling_prob": 0.2,
        "scheduled_sampling_depth": 2,
        "token_noise_prob": 0.1,
        "unchanged_sample_prob": 0.5,
    }


def test_old_keys_of_a_command_get_their_new_names_and_a_note():
    given = ["env=Pong", "own_share=0.5", "++policy_sees=tokens", "--multirun", "a=own_share=1"]
    renamed, notes = rename_overrides(given)
    assert renamed == [
        "env=Pong", "scheduled_sampling_prob=0.5", "++observation=tokens", "--multirun",
        "a=own_share=1",
    ]  # fmt: skip
    assert notes == [
        "config key 'own_share' is now called 'scheduled_sampling_prob'",
        "config key 'policy_sees' is now called 'observation'",
    ]


def test_new_names_are_final():
    assert not set(RENAMED_KEYS) & set(RENAMED_KEYS.values())
