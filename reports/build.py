"""Puts a design's ppa.json together: checks, figures, series and paths out of the steps' results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from flow.metrics import Value
from flow.steps.asic_table import CLEAN
from flow.steps.sim_table import MAX_LOSS_POINTS, SIMULATORS
from golden.spec import SpecError
from reports.collect import Tree
from reports.figures import all_figures
from reports.schema import FORMAT, Check, Figure, Ppa, Series, Source, TimingPath

PASS, FAIL, INCOMPLETE = "pass", "fail", "incomplete"


def build_ppa(tree: Tree, title: str, pdk_source: str, corners: Mapping[str, str],
              more: Mapping[str, Figure] | None = None) -> Ppa:
    """Everything that is known of a design. corners: name -> process (tt, ss, ff). more: figures from elsewhere."""
    slow = next((name for name, process in corners.items() if process == "ss"), None)
    if slow is None:
        raise SpecError(f"the PDK must have a slow corner (process ss), and has {', '.join(corners)}")
    checks = dict(all_checks(tree))
    steps = tree.records()
    tools = {tool: version for record in steps.values() for tool, version in record.tools.items()}
    verdict = verdict_of([check.passed for check in checks.values()], any(step.stale for step in steps.values()))
    return Ppa(format=FORMAT, design=tree.design, title=title, pdk=tree.pdk, pdk_source=pdk_source, verdict=verdict,
               tools=dict(sorted(tools.items())), checks=checks,
               figures=all_figures(tree, list(corners), slow) | dict(more or {}), series=dict(all_series(tree)),
               paths=list(paths(tree)), steps=steps)


def verdict_of(passed: list[bool | None], is_stale: bool) -> str:
    """One failure fails; without one, what has not been measured, or not from today's files, leaves it open.

    >>> verdict_of([True, None, False], False), verdict_of([True, None], False), verdict_of([True], True)
    ('fail', 'incomplete', 'incomplete')
    """
    return FAIL if False in passed else INCOMPLETE if None in passed or is_stale else PASS


def all_checks(tree: Tree) -> Iterator[tuple[str, Check]]:
    """Right first, then clean."""
    for kind, name in SIMULATORS.items():
        yield f"right.{kind}", equal(tree, f"{name} = golden", "sim", f"sim__compared__count__simulator:{kind}",
                                     f"sim__mismatch__count__simulator:{kind}")
    yield "right.gates", equal(tree, "gates = golden", "gatesim", "gatesim__compared__count",
                               "gatesim__mismatch__count")
    yield "right.proof", proved(tree)
    yield "right.accuracy", accuracy_kept(tree)
    for label, step, *keys in CLEAN:
        if step != "gatesim":
            yield f"clean.{keys[0]}", zero(tree, label, step, [key for key in keys if key])


def equal(tree: Tree, label: str, step: str, compared: str, different: str) -> Check:
    """Values were compared and none differed."""
    n, wrong = tree.find(step, compared), tree.find(step, different)
    missing = n.missing or wrong.missing
    passed = None if missing else int(n.value) > 0 and wrong.value == 0
    found = None if missing else f"{int(n.value):,} values, {int(wrong.value):,} differ"
    return Check(label=label, passed=passed, found=found, sources=[n.source, wrong.source], missing=missing)


def proved(tree: Tree) -> Check:
    found = tree.find("equivalence", "synthesis__equivalence__register__count")
    said = None if found.missing else f"{int(found.value):,} registers proved"
    return Check(label="netlist = RTL, by proof", passed=None if found.missing else int(found.value) > 0, found=said,
                 sources=[found.source], missing=found.missing)


def accuracy_kept(tree: Tree) -> Check:
    """The integers lose no more than what `sim` warns of."""
    exact, integer = (tree.find("sim", f"accuracy__{kind}__fraction") for kind in ("float", "int"))
    missing = exact.missing or integer.missing
    lost = None if missing else 100 * (float(exact.value) - float(integer.value))
    return Check(label=f"integers lose at most {MAX_LOSS_POINTS} points of accuracy",
                 passed=None if lost is None else lost <= MAX_LOSS_POINTS,
                 found=None if lost is None else f"{lost:+.2f} points lost", sources=[exact.source, integer.source],
                 missing=missing)


def zero(tree: Tree, label: str, step: str, keys: list[str]) -> Check:
    """The sum of counts is 0."""
    all_found = [tree.find(step, key) for key in keys]
    missing = next((found.missing for found in all_found if found.missing), "")
    total: Value | None = None if missing else sum(int(found.value) for found in all_found)
    return Check(label=label, passed=None if missing else total == 0, found=total,
                 sources=[found.source for found in all_found], missing=missing)


def all_series(tree: Tree) -> Iterator[tuple[str, Series]]:
    """What is plotted and is no figure; nothing where its step has not run."""
    slacks, file = tree.json("slacks", "slacks.json"), tree.file("slacks", "slacks.json")
    for check in ("setup", "hold") if slacks else ():
        yield f"slack.{check}", Series(label=f"{check} slack of all endpoints", x_label=f"{check} slack, ns",
                                       y_label="endpoints", x=slacks[check]["edges"], groups=slacks[check]["counts"],
                                       file=file)
    if slacks:
        yield "clock.arrival", Series(label="arrival of the clock at registers", x_label="arrival, ns",
                                      y_label="clock pins", x=slacks["latency"]["edges"],
                                      groups=slacks["latency"]["counts"], file=file)
    content, file = tree.json("accuracy", "accuracy.json"), tree.file("accuracy", "accuracy.json")
    for kind, label in (("int", "integer"), ("float", "float")) if content else ():
        names = content["class_names"]
        rows = dict(zip(names, content[f"confusion_{kind}"], strict=True))
        yield f"confusion.{kind}", Series(label=f"confusion of the {label} network", x_label="told class",
                                          y_label="true class", x=names, groups=rows, file=file)
    for name, found in content["errors"].items() if content else ():
        yield f"error.{name}", Series(label=found["label"], x_label="integer - float, last bits", y_label="values",
                                      x=found["edges"], groups={"values": found["counts"]}, file=file)


def paths(tree: Tree) -> Iterator[TimingPath]:
    """The worst paths, the worst first."""
    content, file = tree.json("slacks", "slacks.json"), tree.file("slacks", "slacks.json")
    rows = [] if content is None else sorted(content["paths"], key=lambda row: (row["check"] != "setup",
                                                                                row["slack_ns"], row["to"]))
    for row in rows:
        yield msgspec.convert({**row, "file": file}, TimingPath)


def source_files(ppa: Ppa) -> set[str]:
    """Every file that a number of the report is said to come from."""
    sources: list[Source] = [source for part in (*ppa.figures.values(), *ppa.checks.values())
                             if getattr(part, "value", 0) is not None and not part.missing for source in part.sources]
    return {source.file for source in sources} | {series.file for series in ppa.series.values()} \
        | {path.file for path in ppa.paths} | {step.file for step in ppa.steps.values() if not step.missing}
