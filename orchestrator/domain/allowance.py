"""How often something may be done that strangers can ask for without end. Pure: the caller tells the time."""

import math


class Allowance:
    """Some at once, and then so many a second (a token bucket). Not safe to share between threads.

    :param burst: how many at once. :param rate: how many a second in the long run.
    """

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = burst
        self._at = math.inf

    def take(self, now: float) -> bool:
        """Take one of what is left; False: nothing is. :param now: seconds of a clock that does not go back."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
