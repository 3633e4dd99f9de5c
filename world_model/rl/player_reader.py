"""Where the player is in a frame of tokens, and dreams that have lost him."""

import numpy as np

# Variance of his position, over frames with a token that shows him; in the RAM's units squared.
SPREAD = 300.0
# Rarer tokens tell nothing.
FEWEST = 3
# A variance that few frames have by chance is no certainty.
LEAST = 4.0


class PlayerReader:
    """Tells from the tokens of a frame where the player is, if he can be seen.

    For each token at each place of the grid it knows where the player was in the frames that have
    this token there. Tokens that show a part of him occur with him in one place only, so the one
    under which he moved least tells his position.
    """

    def __init__(self, tokens: np.ndarray, positions: np.ndarray, vocab_size: int):
        """Counts tokens and positions.

        Args:
            tokens: Frames of one scene, integers (n, K).
            positions: The player's positions in them, numbers (n, 2), as the RAM has them.
            vocab_size: Of the tokens.

        Raises:
            ValueError: There are no frames, or not as many positions.
        """
        if not len(tokens) or positions.shape != (len(tokens), 2):
            raise ValueError(
                f"positions: expected ({len(tokens)}, 2) of at least one frame, got "
                f"{positions.shape}"
            )
        self.vocab_size = vocab_size
        places = tokens.shape[1]
        index, size = self._index(tokens).ravel(), places * vocab_size
        count, at = np.bincount(index, minlength=size), positions.astype(np.float64)

        def mean(values: np.ndarray) -> np.ndarray:
            total = np.bincount(index, np.repeat(values, places), minlength=size)
            return total / np.maximum(count, 1)

        self._mean = np.stack((mean(at[:, 0]), mean(at[:, 1])), axis=1)
        spread = mean((at**2).sum(1)) - (self._mean**2).sum(1)
        self._spread = np.where(count >= FEWEST, spread + LEAST, np.inf)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Returns positions, float64 (n, 2), in frames, integers (n, K); NaN where he is unseen."""
        index = self._index(tokens)
        best = self._spread[index].argmin(1)[:, None]
        chosen = np.take_along_axis(index, best, 1)[:, 0]
        return np.where(self._spread[chosen, None] < SPREAD, self._mean[chosen], np.nan)

    def _index(self, tokens: np.ndarray) -> np.ndarray:
        return tokens + self.vocab_size * np.arange(tokens.shape[1])


class LostPlayers:
    """Watches n dreams for a player who vanishes, or jumps farther than a game lets him.

    The reader errs, too, now and then for a frame, so that one jump alone loses nobody;
    benchmarks/key/dreamt_ways.py counts how many players it loses in the game.

    Attributes:
        most_missed: Frames in a row in which he may be unseen.
        longest_jump: The most that a coordinate may change in a step; half as much more for each
            frame since he was last seen where he can be.
        most_far: Frames in a row in which he may be where he cannot have come.
        astray: Where he is at such a place at this frame, bool (n,); not lost yet, but what is paid
            there is not his.
    """

    def __init__(
        self,
        reader: PlayerReader | None,
        first: np.ndarray,
        most_missed: int = 8,
        longest_jump: float = 20.0,
        most_far: int = 1,
    ):
        """Begins with first frames, integers (n, K); without a reader nobody is ever lost."""
        self._reader, (self._missed, self._far) = reader, np.zeros((2, len(first)), np.int64)
        self.most_missed, self.longest_jump, self.most_far = most_missed, longest_jump, most_far
        self.astray = np.zeros(len(first), bool)
        self._at = None if reader is None else reader.read(first)

    def add(self, tokens: np.ndarray) -> np.ndarray:
        """Returns where the player is lost at the next frame, bool (n,), of integers (n, K)."""
        if self._reader is None or self._at is None:
            return np.zeros(len(tokens), bool)
        at = self._reader.read(tokens)
        seen = ~np.isnan(at[:, 0])
        reach = self.longest_jump * (1 + 0.5 * (self._missed + self._far))
        # Comparisons with NaN are false: who was not seen did not jump.
        self.astray = (np.abs(at - self._at) > reach[:, None]).any(1)
        back = seen & ~self.astray
        self._missed = np.where(back, 0, self._missed + ~seen)
        self._far = np.where(back, 0, self._far + self.astray)
        self._at = np.where(back[:, None], at, self._at)
        return (self._far > self.most_far) | (self._missed + self._far > self.most_missed)

    def begin(self, rows: np.ndarray, tokens: np.ndarray) -> None:
        """Begins anew in some dreams, bool (n,), at frames, integers (n, K)."""
        if self._reader is None or self._at is None:
            return
        self._missed, self._far = (np.where(rows, 0, c) for c in (self._missed, self._far))
        self.astray = self.astray & ~rows
        self._at = np.where(rows[:, None], self._reader.read(tokens), self._at)
