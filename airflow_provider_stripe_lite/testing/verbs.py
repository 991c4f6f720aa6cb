"""The calls of the API: list, read, create, update and delete objects of a kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from airflow_provider_stripe_lite.testing.calls import Caller, Request
from airflow_provider_stripe_lite.testing.data import Data
from airflow_provider_stripe_lite.testing.errors import (
    ApiError,
    CursorWords,
    aged_out,
    missing,
    unexpandable,
    unusable,
)
from airflow_provider_stripe_lite.testing.filters import Matcher, matcher, within
from airflow_provider_stripe_lite.testing.objects import Item, render
from airflow_provider_stripe_lite.testing.parameters import (
    bounds,
    changes,
    expansions,
    integer,
    page_limit,
    unflatten,
)
from airflow_provider_stripe_lite.testing.shapes import SHAPES, Kind

__all__ = ["Verbs"]


class Verbs(Data):
    """What each call does with the objects of the account that it is made for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.deleted_cursors = False
        self.cursor_words: CursorWords = "missing"

    def _one(
        self, kind: str, id: str, caller: Caller, param: str = "id", status: int = 404
    ) -> Item:
        """Return the object that a path names, or a parameter."""
        item = self._find(kind, id, caller)
        if item is None or item.deleted:
            raise missing(kind, id, param, status)
        if self._is_aged_out(kind, item):
            raise aged_out(kind, id)
        return item

    def _cursor(self, kind: str, id: str, param: str, caller: Caller, matches: Matcher) -> Item:
        """Return the object that a cursor names, if it is in the list that is asked for."""
        item, usual = self._find(kind, id, caller), missing(kind, id, param, 400)
        if item and self._is_aged_out(kind, item):
            usual = aged_out(kind, id, 400)
        elif item and (self.deleted_cursors or not item.deleted) and (not matches or matches(item)):
            return item
        raise unusable(usual, id, self.cursor_words)

    def _is_aged_out(self, kind: str, item: Item) -> bool:
        kept = SHAPES[kind].kept if kind in SHAPES else None
        return kept is not None and item.created < self.now - kept

    def _find(self, kind: str, id: str, caller: Caller) -> Item | None:
        """Return the object, deleted or not, unless its time has not come."""
        item = self._store(caller.livemode, caller.account).get(kind, id)
        return item if item and item.visible_at <= self.now else None

    def _gives(self, path: str, caller: Caller) -> bool:
        """Return whether a test has given what the path lists."""
        return path in self._store(caller.livemode, caller.account).series

    def _list(self, kind: str, _: str, request: Request, caller: Caller) -> str:
        """Answer a list: of a kind, or (`kind` is its path) one that a test has given."""
        query = unflatten(request.query)
        expand = expansions(kind, query.pop("expand", None), under=("data",))
        items, more = self._page(kind, query, caller)
        series = self._store(caller.livemode, caller.account).series.get(kind)
        if series is not None and not (expand and kind in SHAPES):
            data = series.text(items, caller.version)
        else:
            data = ", ".join(json.dumps(self._shown(kind, item, caller, expand)) for item in items)
        head = {"object": "list", "url": request.path, "has_more": more}
        return f'{json.dumps(head)[:-1]}, "data": [{data}]}}'

    def _page(self, kind: str, query: dict[str, Any], caller: Caller) -> tuple[list[Item], bool]:
        """Return the objects of a page, and whether there are more."""
        limit = page_limit(query.pop("limit", None))
        created = bounds("created", query.pop("created", {}))
        cursors = {
            name: query.pop(name) for name in ("starting_after", "ending_before") if name in query
        }
        matches = matcher(kind, query)
        if len(cursors) == 2:
            both = "Received both starting_after and ending_before parameters."
            raise ApiError(400, f"{both} Please pass in only one.")
        try:
            at = {
                name: self._cursor(kind, str(id), name, caller, matches)
                for name, id in cursors.items()
            }
        except ApiError:
            if self.cursor_words == "empty":
                return [], False
            raise
        if kind in SHAPES and (kept := SHAPES[kind].kept):
            created.append(("gte", int(self.now - kept)))
        store = self._store(caller.livemode, caller.account)
        if kind in store.displaced:
            matches, created = within(created, matches), []
        after, before = at.get("starting_after"), at.get("ending_before")
        return store.page(kind, limit, created, after, before, matches)

    def _shown(
        self, kind: str, item: Item, caller: Caller, expand: Sequence[list[str]] = ()
    ) -> dict[str, Any]:
        """Return an object as it is answered, `expand`ed objects in the place of their ids."""
        inner = {parts[0] for parts in expand}
        whole = render(kind, item, caller.version, caller.livemode, inner)
        for parts in expand:
            if not self._expand(whole, parts, caller):
                raise unexpandable(".".join(parts))
        return whole

    def _expand(self, node: dict[str, Any], parts: list[str], caller: Caller) -> bool:
        """Expand what a path leads to, if it leads to something."""
        name, *rest = parts
        if name not in node:
            return False
        kinds = self._store(caller.livemode, caller.account).kinds_of(str(node[name]))
        # An id of several kinds is most likely one of the kind that its field is named after.
        kind = name if name in kinds else next(iter(kinds), "")
        if kind and (item := self._find(kind, node[name], caller)):
            node[name] = self._shown(kind, item, caller)
        return (
            not rest or not isinstance(node[name], dict) or self._expand(node[name], rest, caller)
        )

    def _read(self, kind: str, id: str, request: Request, caller: Caller) -> Any:
        item = self._find(kind, id, caller)
        if item and item.deleted and kind == "customer":
            return {"id": id, "object": "customer", "deleted": True}
        expand = expansions(kind, unflatten(request.query).get("expand"))
        return self._shown(kind, self._one(kind, id, caller), caller, expand)

    def _create(self, kind: str, _: str, request: Request, caller: Caller) -> Any:
        form = unflatten(request.form)
        for name in SHAPES[kind].required:
            if name not in form and (
                name != "type" or "2018-02-05" <= caller.version <= "2019-10-17"
            ):
                raise ApiError(400, f"Missing required param: {name}.", "parameter_missing", name)
        fields = changes(kind, form, caller.version, None)
        wanted = fields.pop("id", None)
        if wanted and (taken := self._find(kind, wanted, caller)) and not taken.deleted:
            message = f"{kind.capitalize()} already exists."
            raise ApiError(400, message, "resource_already_exists", "id", began=True)
        if charge := fields.get("charge"):
            self._one("charge", charge, caller, "charge", 400)
        price = fields.pop("default_price_data", None)
        amount = integer("unit_amount", (price or {}).get("unit_amount", "0"))
        whose: Any = {"livemode": caller.livemode, "account": caller.account}
        made = self.add(cast("Kind", kind), id=wanted, **fields, **whose)
        if price:
            price["unit_amount"] = amount
            default = self.add("price", product=made, **price, **whose)
            self._one(kind, made, caller).fields["default_price"] = default
        return self._shown(kind, self._one(kind, made, caller), caller)

    def _update(self, kind: str, id: str, request: Request, caller: Caller) -> Any:
        item = self._one(kind, id, caller)
        asked = changes(kind, unflatten(request.form), caller.version, item.fields)
        if "account_balance" in asked:
            asked["balance"] = asked.pop("account_balance")
        stamp = {"updated": int(self.now)} if kind == "product" else {}
        item.fields = item.fields | asked | stamp
        return self._shown(kind, item, caller)

    def _remove(self, kind: str, id: str, _: Request, caller: Caller) -> Any:
        self._one(kind, id, caller)
        self._store(caller.livemode, caller.account).delete(kind, id)
        return {"id": id, "object": kind, "deleted": True}
