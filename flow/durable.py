"""doit's memory and voice: what is done is remembered at once, and errors are read by people.

doit writes its database when it exits; a killed run would forget the steps that it had finished. `DurableDB` can
save in between, and `Reporter` has it do so after every task.
"""

from doit import Globals
from doit.dependency import SqliteDB
from doit.exceptions import TaskFailed, UnmetDependency
from doit.reporter import ConsoleReporter


class DurableDB(SqliteDB):
    """doit's SQLite database that can be saved while tasks are still to come."""

    desc = "SQLite, saved after every task"

    def save(self) -> None:
        """Commits what was set so far; an SQLite commit is whole or not there."""
        for task_id in sorted(self._dirty):
            self._conn.execute("insert or replace into doit values (?, ?)",
                               (task_id, self.codec.encode(self._cache[task_id])))
        self._conn.commit()
        self._dirty = set()


class Reporter(ConsoleReporter):
    """Says what runs and what is up to date; a failure is its message, with a traceback only for a bug."""

    desc = "one line a task"

    def execute_task(self, task) -> None:
        if task.actions and task.meta["announce"]:
            self.write(f">  {task.title()}\n")
            self.outstream.flush()

    def skip_uptodate(self, task) -> None:
        if task.actions and task.meta["announce"]:
            self.write(f"-- {task.title()} (up to date)\n")

    def add_success(self, task) -> None:
        backend = Globals.dep_manager.backend
        if isinstance(backend, DurableDB):
            backend.save()

    def _write_failure(self, result, write_exception=True) -> None:
        name, fail = result["task"].name.removeprefix("_"), result["exception"]
        if isinstance(fail, UnmetDependency):
            self.write(f"{name}: not run, something before it failed\n")
        elif isinstance(fail, TaskFailed):
            self.write(f"{name} failed: {fail.message}\n")
        else:
            self.write(f"{name} failed\n{fail.get_msg()}\n")
        self.outstream.flush()
