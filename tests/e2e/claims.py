"""How long sensors take between their second read of the cursor and its write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dev.fake_process import FakeStripeProcess
    from dev.stack import AirflowStack

# Each series of tests adds its claims here; `make soak` counts them all.
CLAIMS = Path(__file__).parents[2] / ".e2e" / "claims.jsonl"


def keep_claims(airflow: AirflowStack, fake: FakeStripeProcess) -> None:
    """Print the distribution over the claims in the fake's ledger, and keep the ledger."""
    ledger = fake.read("ledger")
    (CLAIMS.parent / airflow.database / "ledger.json").write_text(json.dumps(ledger))
    claims = [entry for entry in ledger if "claim" in entry]
    dead = [times for component, *times in airflow.outages if component == "execution-api"]
    for claim in claims:
        # A write that meets a dead api-server is sent again and again until it lives.
        outage = (claim["asked"] < end and claim["written"] > begin for begin, end in dead)
        claim |= {"database": airflow.database, "outage": any(outage)}
    with CLAIMS.open("a") as file:
        file.writelines(json.dumps(claim) + "\n" for claim in claims)
    show_claims(airflow.database, claims)


def show_claims(whose: str, claims: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Print the percentiles in milliseconds, and return those that count, in seconds.

    These are from the answer of the second read to the end of the write, while the api-server of
    the tasks lives.
    """
    alive = [claim for claim in claims if not claim["outage"]]
    figures = percentiles([claim["written"] - claim["answered"] for claim in alive])
    for some, since in ((alive, "answered"), (alive, "asked"), (claims, "answered")):
        shown = percentiles([claim["written"] - claim[since] for claim in some])
        text = ", ".join(f"{name} {1000 * value:.0f}" for name, value in shown.items())
        which = "" if some is alive else ", with those while the api-server was dead"
        what = f"{whose}: {len(some)} claims{which}: ms from the second read"
        print(f"\n{what} ({since}) to the write: {text}", flush=True)
    return figures


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """Return median, the 99th, the 99.9th and the largest."""
    ordered = sorted(seconds)
    return {f"p{part:g}": percentile(ordered, part) for part in (50, 99, 99.9, 100)}


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return the smallest value that so many percent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * part / 100) - 1)] if ordered else 0.0
