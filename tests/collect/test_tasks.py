import numpy as np

from worldtokens.collect.policies.random_actions import RandomPolicy
from worldtokens.collect.tasks import Worker
from worldtokens.envs import make_env


def test_rooms_are_read_from_their_byte_where_there_is_one():
    ram = np.zeros((3, 128), np.uint8)
    ram[:, 5] = [4, 7, 4]

    def rooms(room_byte):
        worker = Worker(make_env("FakeGame"), RandomPolicy(6), print, print, room_byte)
        return worker.rooms_in(ram)

    assert rooms(5) == {4, 7} and rooms(None) == frozenset()
