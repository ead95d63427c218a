"""What a routing is asked for."""

from golden.spec import Spec, check_int

MOST_ROUNDS = 1000


class RouteSpec(Spec, frozen=True, kw_only=True):
    """How long the router tries; what it cannot finish ends with the places.

    rounds:       of negotiation, at most.
    patience:     rounds without a tenth fewer nets in conflict after which it gives up.
    diode_passes: times that diodes are put in for antennas and the nets that they touch are routed again.
    mendings:     times that cells are changed for what their wires have made slow, and what that touches is routed
                  again.
    """

    rounds: int = 150
    patience: int = 12
    diode_passes: int = 3
    mendings: int = 3

    def __post_init__(self) -> None:
        check_int("rounds", self.rounds, 1, MOST_ROUNDS)
        check_int("patience", self.patience, 1, MOST_ROUNDS)
        check_int("diode_passes", self.diode_passes, 0)
        check_int("mendings", self.mendings, 0, 20)
