"""doit's commands where Stillwater wants them otherwise: refusals of one readable line, `clean` that cleans all."""

import re
from typing import NoReturn

from doit.cmd_clean import Clean
from doit.cmd_run import Run
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile

from flow.parameters import explain_unknown_task


class RunTasks(Run):
    """Runs tasks; what doit cannot read is told in Stillwater's words."""

    name = "run"

    def parse_execute(self, in_args):
        try:
            return super().parse_execute(in_args)
        except CmdParseError as error:
            refuse_option(error)
        except InvalidCommand as error:
            if error.not_found is None:
                raise
            raise InvalidDodoFile(explain_unknown_task(error.not_found)) from None


class CleanTasks(Clean):
    """Without names all tasks are cleaned; doit would take its default tasks, which leave nothing behind."""

    name = "clean"

    def _execute(self, dryrun, cleandep, cleanall, cleanforget, pos_args=None):
        return super()._execute(dryrun, cleandep, cleanall or not pos_args, cleanforget, pos_args)


def refuse_option(error: CmdParseError) -> NoReturn:
    """Raises the one line that stands for doit's list of everything that it would have taken."""
    unknown = re.search(r"option (\S+) not recognized", str(error))
    what = f"there is no option {unknown[1]}" if unknown else " ".join(str(error).partition(" (parsing")[0].split())
    raise InvalidDodoFile(f"{what}; ./stillwater shows the tasks, ./stillwater help run the options") from None
