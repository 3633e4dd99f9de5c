"""Dreams as environments for agents."""

from worldtokens.world_model.rl.registration import register_dreams

register_dreams()
