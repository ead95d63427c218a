"""`./stillwater list`: the tasks in groups, each with what it does and the parameters that it takes."""

from doit.cmd_list import List
from doit.cmdparse import CmdParseError

from flow.command import refuse_option
from flow.parameters import OF_TASK

USAGE = """\
Stillwater: trained recurrent networks to SkyWater 130 silicon

  ./stillwater TASK [name=value]...     for example  ./stillwater sim design=vowels"""


class Menu(List):
    """doit's list command; without options it prints the menu."""

    name = "list"

    def parse_execute(self, in_args):
        try:
            return super().parse_execute(in_args)
        except CmdParseError as error:
            refuse_option(error)

    def _execute(self, subtasks=False, quiet=True, status=False, private=False, list_deps=False, template=None,
                 sort="name", pos_args=None):
        if subtasks or quiet or status or private or list_deps or template or pos_args:
            return super()._execute(subtasks, quiet, status, private, list_deps, template, sort, pos_args)
        shown = [task for task in self.task_list if not task.subtask_of and not task.name.startswith("_")]
        self.outstream.write(menu(shown))
        return 0


def menu(tasks) -> str:
    """The menu's text, readable at 100 columns; tasks are doit's, with their group in `meta`."""
    lines, group = [USAGE], None
    parameters = {task.name: " ".join(f"{p.name}={p.default}" for p in OF_TASK[task.name]) for task in tasks}
    width = max(map(len, parameters.values()), default=0)
    for task in tasks:
        if task.meta["group"] != group:
            group = task.meta["group"]
            lines += ["", group]
        lines.append(f"  {task.name:<14}{parameters[task.name]:<{width}} {task.doc}")
    taken = {parameter.name: parameter for parameters in OF_TASK.values() for parameter in parameters}
    lines += ["", "Parameters, above with their defaults"]
    lines += [f"  {parameter.name:<14}{parameter.allowed}" for parameter in taken.values()]
    return "\n".join(lines) + "\n"
