"""How a destination is to be reached, as options that `run`, `check` and `dead replay` share.

Takes words of the command line. Gives a settings.Way: what stands for the endpoint, the files of TLS, and whether http will do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from waypost.cli.common import refuse
from waypost.engine.options import Options
from waypost.http.reaching import prepare, reached, warn_of_plain
from waypost.http.trust import path_of
from waypost.plan import Tls
from waypost.program.program import Program
from waypost.program.settings import SettingError, Way, local_url

OPTIONS = (
    click.option(
        "--endpoint-override", metavar="URL", help="Send to this scheme, host and port instead (a local receiver)."
    ),
    click.option(
        "--tls-ca", metavar="FILE", help="Believe the authorities (PEM) in this file, and no others: a private one."
    ),
    click.option("--tls-certificate", metavar="FILE", help="Prove to the server who this is: a certificate (PEM)."),
    click.option("--tls-key", metavar="FILE", help="The certificate's private key (PEM), where another file has it."),
    click.option(
        "--plain-http",
        is_flag=True,
        help="Let settings name http:// urls of other machines (an inner network): anybody on the way can read what is sent.",
    ),
)


def reaching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options, and gives the command `way` instead of them."""

    @functools.wraps(function)
    def run(
        *words: Any,
        endpoint_override: str | None,
        tls_ca: str | None,
        tls_certificate: str | None,
        tls_key: str | None,
        plain_http: bool,
        **named: Any,
    ) -> Any:
        files = [path_of(text) if text is not None else None for text in (tls_ca, tls_certificate, tls_key)]
        if tls_key is not None and tls_certificate is None:
            refuse("--tls-key is the key of a certificate: name it with --tls-certificate")
        tls = Tls(ca=files[0], certificate=files[1], key=files[2])
        try:
            override = local_url(endpoint_override, plain_http=plain_http) if endpoint_override else None
        except SettingError as error:
            refuse(str(error))
        return function(*words, way=Way(override, tls if tls != Tls() else None, plain_http), **named)

    for option in reversed(OPTIONS):
        run = option(run)
    return run


def refuse_for_connections(way: Way, path: object) -> None:
    """What stands in a connections file is not said beside it."""
    if way.tls is not None or way.plain_http:
        refuse(f"{path} holds connections: `tls` and `plain_http` stand in it, not on the command line")


def prepare_to_send(programs: list[Program], options: Options) -> None:
    """Says what is open to others, and raises SettingError for what is missing to reach a destination. A dry run needs nothing."""
    wanted = [reached(program.plan, program.settings, program.owner) for program in programs]
    warn_of_plain(wanted, options.notice)
    if not options.masked:
        prepare(wanted, options.notice)
