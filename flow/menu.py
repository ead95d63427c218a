"""`doit list`: the tasks in groups, each with what it does and the parameters that it takes."""

from doit.cmd_list import List

from flow.parameters import OF_TASK

USAGE = """\
Stillwater: trained recurrent networks to SkyWater 130 silicon

  ./stillwater TASK [name=value]...     for example  ./stillwater sim design=vowels"""


class Menu(List):
    """doit's list command; without options it prints the menu."""

    name = "list"

    def _execute(self, subtasks=False, quiet=True, status=False, private=False, list_deps=False, template=None,
                 sort="name", pos_args=None):
        if subtasks or quiet or status or private or list_deps or template or pos_args:
            return super()._execute(subtasks, quiet, status, private, list_deps, template, sort, pos_args)
        self.outstream.write(menu([task for task in self.task_list if not task.subtask_of]))
        return 0


def menu(tasks) -> str:
    """The menu's text, readable at 100 columns; tasks are doit's, with their group in `meta`."""
    lines, group = [USAGE], None
    for task in tasks:
        if task.meta["group"] != group:
            group = task.meta["group"]
            lines += ["", group]
        parameters = " ".join(f"{p.name}={p.default}" for p in OF_TASK[task.name])
        lines.append(f"  {task.name:<14}{parameters:<20}{task.doc}")
    taken = {parameter.name: parameter for parameters in OF_TASK.values() for parameter in parameters}
    lines += ["", "Parameters, above with their defaults"]
    lines += [f"  {parameter.name:<14}{parameter.allowed}" for parameter in taken.values()]
    return "\n".join(lines) + "\n"
