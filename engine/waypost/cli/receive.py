"""`waypost receive`."""

from __future__ import annotations

import sys
from typing import TextIO

import click

from waypost.cli.common import refuse


@click.command(name="receive")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--script",
    default="200",
    show_default=True,
    help="The answers, in order; the last repeats: 200,429:retry-after=2,500x3,503:delay=2,cut.",
)
@click.option(
    "--record",
    type=click.File("a", encoding="utf-8"),
    help="Append the requests to this file as NDJSON instead of printing them.",
)
def command(host: str, port: int, script: str, record: TextIO | None) -> None:
    """Answer HTTP requests on this machine and show each as one line of JSON, credentials masked. Stop it with Ctrl-C."""
    from waypost.http.listening import Taken
    from waypost.http.receiver import Received, Receiver, Reply, ScriptError, parse_script, show

    out = record or sys.stdout
    try:
        replies = parse_script(script)
        count = 0

        def answer(request: Received) -> Reply:
            nonlocal count
            reply = replies[min(count, len(replies) - 1)]
            count += 1
            show(Received(request.method, request.path, request.headers, request.body, request.size, reply.status), out)
            return reply

        receiver = Receiver(host, port, script, answer)
    except ScriptError as error:
        refuse(str(error))
    except Taken as error:
        refuse(str(error))
    click.echo(f"listening on {receiver.url}", err=True)
    try:
        receiver.serve()
    except KeyboardInterrupt:
        click.echo(f"{len(receiver.requests)} requests", err=True)
