"""How much nets count when cells are placed: more where there is little time.

Nets whose slack is within a window above the worst get a weight that falls linearly from the most to 1 (the net
weighting of timing-driven placement: M. Burstein, M. N. Youssef, "Timing influenced layout design", DAC 1985).
"""

from collections.abc import Mapping

MOST = 4.0
WINDOW = 0.125
"""Of the clock period."""


def net_weights(slacks: Mapping[str, float], period_ns: float) -> dict[str, float]:
    """Net -> weight, of nets inside the window. slacks: net -> ns.

    >>> net_weights({"a": -1.0, "b": 0.0, "c": 1.0, "d": 5.0}, 16.0)
    {'a': 4.0, 'b': 2.5}
    """
    worst, window = min(slacks.values(), default=0.0), WINDOW * period_ns
    return {net: round(1 + (MOST - 1) * (worst + window - slack) / window, 3)
            for net, slack in slacks.items() if slack < worst + window}
