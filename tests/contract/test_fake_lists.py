"""The fake's lists keep the rules that the sensors rely on."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from airflow_provider_stripe_lite.testing import FakeStripe
from tests.contract.calls import NOW, call, listed
from tests.helpers import Clock

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("scrambled", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_both_cursors_walk_the_whole_list(clock: Clock, scrambled: bool, seed: int) -> None:
    """Older or newer: every object comes once, in one order, those of one second included."""
    chance = random.Random(seed)
    with FakeStripe(clock=clock, scrambled=scrambled) as fake:
        made = {}
        for _ in range(60):
            second = NOW - chance.randrange(12)
            made[fake.add("customer", created=second)] = second
        size = chance.randint(1, 20)
        newest_first = walk(fake, "starting_after", size)
        oldest = newest_first[-1]
        assert [oldest, *walk(fake, "ending_before", size, oldest)] == newest_first[::-1]
    assert sorted(newest_first) == sorted(made)
    assert [made[one] for one in newest_first] == sorted(made.values(), reverse=True)
    by_creation = sorted(made, key=lambda one: made[one])[
        ::-1
    ]  # stable: later ones of a second come first
    assert (newest_first == by_creation) is not scrambled


def walk(fake: FakeStripe, cursor: str, size: int, start: str | None = None) -> list[str]:
    """Every id beyond the cursor, in the direction of the walk."""
    ids: list[str] = []
    more = True
    while more:
        at: dict[str, Any] = {cursor: ids[-1] if ids else start} if ids or start else {}
        page, more = listed(fake, limit=size, **at)
        ids += page if cursor == "starting_after" else page[::-1]
    return ids


def test_a_page_before_a_cursor_is_the_one_next_to_it(fake: FakeStripe) -> None:
    """Of 13 objects, the 4 before the sixth are the tenth to the seventh, and there is more."""
    ids = fake.add_many("customer", 13)
    assert listed(fake, limit=4, ending_before=ids[5]) == (ids[9:5:-1], True)
    assert listed(fake, limit=4, ending_before=ids[8]) == (ids[12:8:-1], False)
    assert listed(fake, limit=4, ending_before=ids[12]) == ([], False)
    assert listed(fake, limit=4, starting_after=ids[4]) == (ids[3::-1], False)
    assert listed(fake, limit=3, starting_after=ids[4]) == (ids[3:0:-1], True)


def test_created_bounds_are_exact_to_the_second(fake: FakeStripe) -> None:
    """gt and lt leave their second out, gte and lte keep it, and a bare number is one second."""
    ids = [fake.add("invoiceitem", created=second) for second in range(5)]
    path = "/v1/invoiceitems"
    for bound, expected in {"gt": ids[3:], "gte": ids[2:], "lt": ids[:2], "lte": ids[:3]}.items():
        assert listed(fake, path, **{f"created[{bound}]": 2}) == (expected[::-1], False)
    assert listed(fake, path, created=2) == ([ids[2]], False)
    assert listed(fake, path, **{"created[gte]": 1, "created[lt]": 4, "limit": 2}) == (
        [ids[3], ids[2]],
        True,
    )


def test_other_filters_are_applied_and_hold_for_the_cursor_too(fake: FakeStripe) -> None:
    """A filtered list skips the rest, and a cursor outside it is a 400."""
    mine = [fake.add("charge", customer="cus_1"), fake.add("charge", customer="cus_1")]
    other = fake.add("charge", customer="cus_2")
    assert listed(fake, "/v1/charges", customer="cus_1", limit=1) == ([mine[1]], True)
    refused = call(fake, "GET", "/v1/charges", {"customer": "cus_1", "starting_after": other})
    assert refused.json()["error"]["code"] == "resource_missing"


def test_a_late_object_stands_at_its_created_place(fake: FakeStripe, clock: Clock) -> None:
    """Until its time it is nowhere; afterwards it stands between older and younger ones."""
    first, last = fake.add("charge", created=NOW - 10), fake.add("charge", created=NOW)
    late = fake.add("charge", created=NOW - 5, visible_at=NOW + 30)
    assert listed(fake, "/v1/charges")[0] == [last, first]
    assert call(fake, "GET", f"/v1/charges/{late}").status_code == 404
    clock.now += 30
    assert listed(fake, "/v1/charges")[0] == [last, late, first]
    assert call(fake, "GET", f"/v1/charges/{late}").status_code == 200


def test_a_deleted_object_leaves_the_lists_and_is_no_cursor(fake: FakeStripe) -> None:
    """Its neighbours stay reachable; as a cursor it is a 400, unless a test wants it otherwise."""
    ids = fake.add_many("customer", 3)
    assert call(fake, "DELETE", f"/v1/customers/{ids[1]}").json() == {
        "id": ids[1], "object": "customer", "deleted": True}  # fmt: skip
    assert listed(fake)[0] == [ids[2], ids[0]]
    refused = call(fake, "GET", "/v1/customers", {"ending_before": ids[1]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "ending_before")
    assert call(fake, "POST", f"/v1/customers/{ids[1]}", form={"name": "x"}).status_code == 404
    fake.deleted_cursors = True
    assert listed(fake, ending_before=ids[1])[0] == [ids[2]]


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("limit", 0), ("limit", 101), ("limit", "x"), ("created", "x"), ("created[foo]", 1),
        ("foo", 1), ("starting_after", "cus_no"), ("ending_before", "cus_no"),
    ],
)  # fmt: skip
def test_a_wrong_list_parameter_is_a_400_that_names_it(
    fake: FakeStripe, param: str, value: Any
) -> None:
    """Nothing is guessed or ignored."""
    refused = call(fake, "GET", "/v1/customers", {param: value})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_a_hundred_thousand_objects_are_answered_at_once(fake: FakeStripe) -> None:
    """A page in the middle of a large list costs no walk over it."""
    ids = fake.add_many("customer", 100_000, spread=50_000)
    start = time.perf_counter()
    for place in range(0, 100_000, 5_000):
        assert listed(fake, limit=10, ending_before=ids[place])[0] == ids[place + 10 : place : -1]
    assert time.perf_counter() - start < 2, "20 requests"
