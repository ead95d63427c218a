"""The unit that a metric's name stands for; METRICS2.1 names do not say it, so it is written once, here."""

from __future__ import annotations

import re

TEXT = "text"
_UNITS: tuple[tuple[str, str], ...] = (
    (r"sha256|design__name|design__title|export__layout|bbox", TEXT),
    (r"_pj$", "pJ"),
    (r"_nw$", "nW"),
    (r"_ns$", "ns"),
    (r"_um2(__|$)", "um2"),
    (r"_um$", "um"),
    (r"cycles_per_s|steps_per_s", "1/s"),
    (r"ratio|fraction|utilization|utilisation|detour|^density__(?!error)|__low$|__high$", ""),
    (r"count|errors|violations|violating|rows$|rounds$|sites$|__io$|__vias$|route__net$|checked", ""),
    (r"^(lane_)?cycles__|steps_of_sequence|missing|fanout|level", ""),
    (r"capacitance__(total|coupling)", "fF"),
    (r"capacitance", "pF"),
    (r"resistance", "ohm"),
    (r"__area", "um2"),
    (r"displacement|wirelength", "um"),
    (r"^timing__|latency|skew|slew|period", "ns"),
    (r"^power(__|$)", "W"),
    (r"energy", "pJ"),
    (r"__s$", "s"),
    (r"^error__", "LSB"),
)


_MODIFIER = re.compile(r"__[a-z]+(?:_[a-z]+)*:[A-Za-z0-9_.\-]+?(?=__[a-z_]+:|$)")
"""`__corner:ss_100C_1v60` and the like, which say nothing about the unit."""


def unit_of(metric: str) -> str:
    """The unit of a metric, "" for counts and shares, "text" for what is no number.

    >>> unit_of("timing__setup__ws__corner:ss_100C_1v60"), unit_of("power__total"), unit_of("design__die__area")
    ('ns', 'W', 'um2')
    >>> unit_of("timing__setup_vio__count"), unit_of("power__window__cycle__count"), unit_of("density__met1")
    ('', '', '')
    """
    name = _MODIFIER.sub("", metric)
    for pattern, unit in _UNITS:
        if re.search(pattern, name):
            return unit
    return ""
