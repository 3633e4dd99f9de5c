"""Events in dreams: rewards, lost lives, ends of the game and changes of scene."""
