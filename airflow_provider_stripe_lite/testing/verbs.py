"""The calls of the API: list, read, create, update and delete objects of a kind."""

from __future__ import annotations

import json
from typing import Any, cast

from airflow_provider_stripe_lite.core.resources import RESOURCES, FeedName
from airflow_provider_stripe_lite.testing.calls import Caller, Request
from airflow_provider_stripe_lite.testing.data import Data
from airflow_provider_stripe_lite.testing.errors import ApiError, missing
from airflow_provider_stripe_lite.testing.filters import matcher
from airflow_provider_stripe_lite.testing.objects import Item, render
from airflow_provider_stripe_lite.testing.parameters import bounds, changes, page_limit, unflatten
from airflow_provider_stripe_lite.testing.shapes import SHAPES

__all__ = ["Verbs"]


class Verbs(Data):
    """What each call does with the objects of the account that it is made for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.deleted_cursors = False

    def _one(
        self, kind: str, id: str, caller: Caller, param: str = "id", status: int = 404
    ) -> Item:
        """Return the object that a path or (with status 400) a cursor names."""
        item = self._find(kind, id, caller)
        if item is None or (item.deleted and not (self.deleted_cursors and status == 400)):
            raise missing(kind, id, param, status)
        kept = SHAPES[kind].kept
        if kept and item.created < self.now - kept:
            gone = "is no longer available because it's aged out of our retention policy."
            raise ApiError(status, f"The {kind} {id} {gone}")
        return item

    def _find(self, kind: str, id: str, caller: Caller) -> Item | None:
        """Return the object, deleted or not, unless its time has not come."""
        item = self._store(caller.livemode, caller.account).get(kind, id)
        return item if item and item.visible_at <= self.now else None

    def _list(self, kind: str, _: str, request: Request, caller: Caller) -> str:
        query, shape = unflatten(request.query), SHAPES[kind]
        expand = query.pop("expand", None)
        limit = page_limit(query.pop("limit", "10"))
        created = bounds("created", query.pop("created", {}))
        cursors = {
            name: query.pop(name) for name in ("starting_after", "ending_before") if name in query
        }
        matches = matcher(kind, query)
        if len(cursors) == 2:
            both = "Received both starting_after and ending_before parameters."
            raise ApiError(400, f"{both} Please pass in only one.")
        if shape.kept:
            created.append(("gte", int(self.now - shape.kept)))
        at = {name: self._one(kind, str(id), caller, name, 400) for name, id in cursors.items()}
        for name, item in at.items():
            if matches and not matches(item):
                raise missing(kind, item.id, name, 400)
        store = self._store(caller.livemode, caller.account)
        after, before = at.get("starting_after"), at.get("ending_before")
        items, more = store.page(kind, limit, created, after, before, matches)
        if kind in store.series and not expand:
            data = store.series[kind].text(items, caller.version)
        else:
            shown = (self._shown(kind, item, caller, expand, ("data",)) for item in items)
            data = ", ".join(json.dumps(one) for one in shown)
        head = {"object": "list", "url": RESOURCES[kind].path, "has_more": more}
        return f'{json.dumps(head)[:-1]}, "data": [{data}]}}'

    def _shown(
        self,
        kind: str,
        item: Item,
        caller: Caller,
        expand: Any = None,
        under: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Return an object as it is answered, `expand`ed objects in the place of their ids."""
        whole = render(kind, item, caller.version, caller.livemode)
        if expand and not isinstance(expand, dict):
            raise ApiError(400, f"Invalid array: {expand}", None, "expand")
        for path in (expand or {}).values():
            top, parts = tuple(path.split(".")[: len(under)]), path.split(".")[len(under) :]
            if top != under or not self._expand(whole, parts, caller):
                raise ApiError(400, f"This property cannot be expanded ({path}).", None, "expand")
        return whole

    def _expand(self, node: dict[str, Any], parts: list[str], caller: Caller) -> bool:
        """Expand what a path leads to, if it leads to something."""
        name, *rest = parts or [""]
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
        expand = unflatten(request.query).get("expand")
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
        fields |= {"livemode": caller.livemode, "account": caller.account}
        made = self.add(cast("FeedName", kind), id=wanted, **fields)
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
