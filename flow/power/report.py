"""Powers and energies of a window as metrics, and as power.json by group and part of the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flow.metrics import Value
from flow.power.calculate import Energies
from flow.power.groups import GROUPS
from flow.power.windows import Window
from golden.spec import SpecError

PICO = 1e12
KINDS = ("internal", "switching", "leakage")
MOST_APART = 0.03
"""OpenSTA takes the larger of a pin's two capacitances, we their mean: that is up to 2 %."""


@dataclass(frozen=True)
class WindowPower:
    """Of every instance in a window, W: (internal, switching, leakage) by the netlist's order. clock_pins: of the
    internal power, what is at clock inputs. external: of drivers outside, at the nets of input ports."""

    window: Window
    internal: np.ndarray
    switching: np.ndarray
    leakage: np.ndarray
    clock_pins: np.ndarray
    external: float
    seconds: float

    @property
    def total(self) -> np.ndarray:
        return self.internal + self.switching + self.leakage

    @property
    def joule(self) -> float:
        """Of all instances over the window."""
        return float(self.total.sum()) * self.seconds


def window_power(window: Window, energies: Energies, period_ns: float) -> WindowPower:
    """Powers at a clock period."""
    seconds = (window.end - window.begin) * period_ns * 1e-9
    return WindowPower(window, energies.internal / seconds, energies.switching / seconds, energies.leakage,
                       energies.clock_pins / seconds, float(energies.external) / seconds, seconds)


def power_values(power: WindowPower, groups: list[str], suffix: str = "") -> dict[str, Value]:
    """METRICS2.1's power__internal__total and so on, W; by group with `group:`."""
    values: dict[str, Value] = {}
    member = {group: np.array([mine == group for mine in groups]) for group in GROUPS}
    for kind in KINDS:
        part = getattr(power, kind)
        values[f"power__{kind}__total{suffix}"] = float(part.sum())
        values |= {f"power__{kind}__group:{group}{suffix}": float(part[which].sum()) for group, which in member.items()}
    values[f"power__total{suffix}"] = float(power.total.sum())
    values |= {f"power__group:{group}{suffix}": float(power.total[which].sum()) for group, which in member.items()}
    values[f"power__internal__clock_pins{suffix}"] = float(power.clock_pins[member["sequential"]].sum())
    values[f"power__switching__external{suffix}"] = power.external
    return values


def energy_values(power: WindowPower) -> dict[str, Value]:
    """Energy of a step of the hardware, and of a sequence (an inference) of mean length."""
    window = power.window
    joule = power.joule
    cycles = window.end - window.begin
    return {
        "energy__step_pj": PICO * joule / window.n_steps,
        "energy__inference_pj": PICO * joule / window.n_stream_steps * window.mean_length,
        "energy__cycle_pj": PICO * joule / cycles,
        "power__window__cycle__count": cycles,
        "power__window__step__count": window.n_steps,
        "power__window__steps_of_sequence": window.mean_length,
    }


def by_module(power: WindowPower, groups: list[str], modules: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Part of the design -> group -> n (instances) and W of each kind, names sorted."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for at, (module, group) in enumerate(zip(modules, groups, strict=True)):
        entry = found.setdefault(module, {}).setdefault(group, {"n": 0, **dict.fromkeys(KINDS, 0.0)})
        entry["n"] += 1
        for kind in KINDS:
            entry[kind] += float(getattr(power, kind)[at])
    return {module: dict(sorted(found[module].items())) for module in sorted(found)}


def cross_check(ours: Mapping[str, tuple[float, float]], theirs: Mapping[str, tuple[float, float]],
                groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Group -> W of OpenSTA and of our tables counted its way, and the largest difference of an instance (part)."""
    table = {}
    for group in GROUPS:
        names = [name for name in ours if groups[name] == group]
        if not names:
            continue
        mine, its = (np.array([values[name] for name in names]) for values in (ours, theirs))
        worst = np.abs(mine - its).max(axis=0) / its.mean(axis=0)
        table[group] = {
            "opensta_internal": float(its[:, 0].sum()), "ours_its_way_internal": float(mine[:, 0].sum()),
            "opensta_switching": float(its[:, 1].sum()), "ours_its_way_switching": float(mine[:, 1].sum()),
            "worst_internal": float(worst[0]), "worst_switching": float(worst[1]),
        }
    return table


def check_agreement(table: Mapping[str, Mapping[str, float]]) -> None:
    """SpecError where OpenSTA and our tables, counted its way, are further apart than MOST_APART of a group's sum."""
    for group, row in table.items():
        for kind in ("internal", "switching"):
            its, ours = row[f"opensta_{kind}"], row[f"ours_its_way_{kind}"]
            if abs(ours - its) > MOST_APART * its:
                raise SpecError(f"{kind} power of {group} must be within {MOST_APART:.0%} of OpenSTA's when it is "
                                f"counted its way, and is {ours:.4g} W, not {its:.4g}: tables, slews or loads are not "
                                "the same")
