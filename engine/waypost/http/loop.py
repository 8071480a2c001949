"""The event loop of a run, which ends when its work has: a thread that still waits for something does not hold it.

Takes a coroutine. Gives its result. What may wait in a thread is a name that no server resolves (for half a minute and more), a big body that
is being packed, a pipe: asyncio's own pool is waited for at the end, however late that is, and has so few threads that the names of one
destination would hold up all others.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Unwaited(ThreadPoolExecutor):
    """A thread for each call, which no end waits for."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def carry_out() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=carry_out, name="unwaited", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        return None


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with threads that nobody waits for."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(Unwaited())
        return runner.run(work)
