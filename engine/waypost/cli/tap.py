"""`waypost tap [URL]`: the requests of a running engine, as they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from waypost.cli.asking import Gone, address_of, follow
from waypost.cli.common import refuse

PATH = "/tap"


@click.command(name="tap")
@click.argument("url", required=False, metavar="[URL]")
@click.option("--state", metavar="DIR", help="The engine at work on this state. Default: that of ./waypost.yaml.")
@click.option("--connection", default="", metavar="NAME", help="Only the requests of this connection.")
@click.option("--action", default="", metavar="NAME", help="Only the messages of this action.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Leave after so many requests.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(url: str | None, state: str | None, connection: str, action: str, limit: int | None, as_json: bool) -> None:
    """Follow what an engine that runs with --listen (URL: its address) sends and is answered: each request when it has ended, with its mapped
    messages, secrets masked. Of a large batch the first messages are shown. Who reads too slowly loses requests and is told how many; the
    engine never waits. Only on the engine's own machine. Ctrl-C leaves.
    """
    address = address_of(url, state)
    count = 0
    try:
        for record in follow(address, PATH, {"connection": connection, "action": action}):
            click.echo(json.dumps(record, ensure_ascii=False) if as_json else "\n".join(_told(record)))
            count += "skipped" not in record
            if limit is not None and count >= limit:
                return
    except Gone as error:
        refuse(str(error))
    except KeyboardInterrupt:
        return
    click.echo("waypost: the engine has ended", err=True)


def _told(record: dict[str, Any]) -> Iterator[str]:
    if "skipped" in record:
        yield f"... {record['skipped']:,} requests were not shown\n"
        return
    again = f", attempt {record['attempt']}" if record["attempt"] > 1 else ""
    error = f" ({record['error']})" if record["error"] else ""
    yield (
        f"{record['time']}  {record['connection']} from {record['source']}: {record['status']}{error}"
        f" in {record['seconds']:.3f} s{again}"
    )
    yield f"{record['method']} {record['url']}"
    yield from (f"{name}: {value}" for name, value in record["headers"].items())
    names = [
        f"{one['action']}{'' if one['item'] is None else '[{}]'.format(one['item'])}" for one in record["messages"]
    ]
    left_out = f", and {record['left_out']:,} more" if record["left_out"] else ""
    yield f"messages: {', '.join(names)}{left_out}"
    body = record["body"]
    if body is not None:
        yield body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    if record["response"] and not 200 <= (record["status"] if isinstance(record["status"], int) else 0) < 300:
        yield f"answered: {record['response']}"
    yield ""
