"""The draws of many examples at once: what numpy's generators of them would draw one by one, as arithmetic on arrays.

Philox4x64-10 of J. K. Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", turned into numbers as
numpy.random.Generator does it: whole numbers below a bound by D. Lemire 2019, "Fast Random Integer Generation in an
Interval", of 32 bits; fractions of 53 bits. A test compares them with numpy's own.
"""

import numpy as np

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # added to the two words of the key after each round
_ROUNDS = 10
_HALF, _LOW, _WORD = np.uint64(32), np.uint64(0xFFFFFFFF), 2**64
_MOST = 2**32  # numpy draws below a larger bound otherwise


class Draws:
    """A generator for each of N examples, which draw together, in the order in which one of them would.

    Args:
        key: the two 64-bit words of the Philox key. index: (N,), whole numbers from 0, the third word of each counter.
        place: the fourth.

    Attributes:
        again: bool (N,): examples whose draws numpy rejects and repeats, as about one in 2^32 / bound, or which are not
        drawn here. What was drawn for them is of no use: ask numpy.
    """

    def __init__(self, key: tuple[int, int], index: np.ndarray, place: int):
        self._key, self._index, self._place = key, index.astype(np.uint64), place
        self._block, self._words = 0, list[np.ndarray]()
        self._rest: np.ndarray | None = None  # the upper halves of a word whose lower halves were drawn
        self.again = np.zeros(len(index), dtype=bool)

    def integers(self, high: int) -> np.ndarray:
        """Uniform whole numbers below `high`, int64 (N,); as Generator.integers(high)."""
        if high == 1:
            return np.zeros(len(self.again), dtype=np.int64)  # nothing is drawn
        if not 1 < high <= _MOST:
            self.again[:] = True
            return np.zeros(len(self.again), dtype=np.int64)
        product = self._uint32() * np.uint64(high)
        self.again |= (product & _LOW) < np.uint64((_MOST - high) % high)
        return (product >> _HALF).astype(np.int64)

    def random(self) -> np.ndarray:
        """Uniform fractions in [0, 1), float64 (N,); as Generator.random()."""
        return (self._uint64() >> np.uint64(11)) * 2.0**-53

    def _uint64(self) -> np.ndarray:
        if not self._words:
            self._block += 1  # numpy increments the counter before it generates
            self._words = _philox(self._block, self._index, self._place, self._key)
        return self._words.pop(0)

    def _uint32(self) -> np.ndarray:
        if self._rest is not None:
            rest, self._rest = self._rest, None
            return rest
        word = self._uint64()
        self._rest = word >> _HALF
        return word & _LOW


def _philox(block: int, index: np.ndarray, place: int, key: tuple[int, int]) -> list[np.ndarray]:
    """The four 64-bit words, each (N,), of the counters (block, 0, index, place)."""
    a, b, d = (np.full(len(index), word, dtype=np.uint64) for word in (block, 0, place))
    c = index
    for turn in range(_ROUNDS):
        first, second = (np.uint64((word + turn * step) % _WORD) for word, step in zip(key, _WEYL, strict=True))
        (high_a, low_a), (high_c, low_c) = _times(a, _MULTIPLIERS[0]), _times(c, _MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
    return [a, b, c, d]


def _times(words: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower 64 bits of the products, of 128, from those of halves."""
    upper, lower = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    high, low = words >> _HALF, words & _LOW
    middle = high * lower + (low * lower >> _HALF)
    other = low * upper + (middle & _LOW)
    return high * upper + (middle >> _HALF) + (other >> _HALF), words * np.uint64(factor)
