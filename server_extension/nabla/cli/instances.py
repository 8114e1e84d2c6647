"""`nabla instances`: machine shapes, what is free, who waits."""

from __future__ import annotations

import click

from nabla.cli.options import connect, json_option
from nabla.cli.output import as_json, size, table


@click.group()
def instances() -> None:
    """List machine shapes, what is free and who waits."""


@instances.command("list")
@json_option
def list_(*, json: bool) -> None:
    """List the instances and the queue."""
    with connect() as client:
        found = client.instances.list()
    if json:
        as_json(found)
        return
    rows = []
    for offer in found.offers:
        shape = offer.instance
        gpus = f"{shape.gpus} x {shape.gpu_type} {size(shape.gpu_memory)}" if shape.gpus else "0"
        mark = "default" if offer.default else ""
        rows.append(
            (shape.name, f"{shape.cpus:g}", size(shape.memory), gpus, f"{offer.free} of {offer.total}", mark)
        )
    table(["INSTANCE", "CPUS", "MEMORY", "GPUS", "FREE", ""], rows)
    if found.queue:
        click.echo()
        waiting = [(q.place.place, q.name, q.instance, q.place.waiting_for) for q in found.queue]
        table(["PLACE", "RUN", "INSTANCE", "WAITS FOR"], waiting)
