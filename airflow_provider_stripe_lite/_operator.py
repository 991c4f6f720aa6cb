"""What all operators share: the connection, the row, the links, how templates are rendered."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, cast

import jinja2
from airflow.sdk import BaseOperator
from airflow.sdk.log import mask_secret
from jinja2.nativetypes import NativeEnvironment

from airflow_provider_stripe_lite._compat import RetriedOperator, conf
from airflow_provider_stripe_lite._once import send_once
from airflow_provider_stripe_lite._seen import Seen, tells_failure
from airflow_provider_stripe_lite.core.encoding import checked_key
from airflow_provider_stripe_lite.core.fields import projection, secrets_of
from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.core.values import collection, refuse_missing
from airflow_provider_stripe_lite.errors import StripeInputError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite._compat import RetryPolicy
    from airflow_provider_stripe_lite.core.arguments import Action
    from airflow_provider_stripe_lite.core.calls import Call
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.transport import Response

__all__ = [
    "DEFERRABLE",
    "ONE_UNLESS_MAPPED",
    "StripeActionOperator",
    "StripeCallOperator",
    "StripeOperator",
    "refuse_email",
    "refuse_none",
]

# Airflow counts all indexes of a mapped task group together, so that one would keep the others out.
ONE_UNLESS_MAPPED = 0
DEFERRABLE = conf.getboolean("operators", "default_deferrable", fallback=False)


class StripeOperator(RetriedOperator, BaseOperator):
    """Work with an account of Stripe; the base of all operators.

    :param stripe_conn_id: id of the connection. (templated)
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
        (templated)
    :param fields: None returns exactly the documented fields (the object as Stripe sent it, where
        none are documented), ``"*"`` the object as Stripe sent it, without client secrets, a list
        of dotted paths (``["id", "metadata.order_ref"]``) those. (templated)
    :param retry_policy: by default no retry where Stripe would answer the same again.
    """

    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = ("stripe_conn_id", "stripe_account", "fields")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "metadata": "json",
        "fields": "json",
        "images": "json",
        "parameters": "json",
    }
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())
    # These arguments are refused elsewhere, in a sentence that says more.
    refused_elsewhere: ClassVar[tuple[str, ...]] = ()
    seen: Seen | None = None

    if TYPE_CHECKING:
        # To a type checker, a reference passes for the value, be that a str or a Window.
        @property
        def output(self) -> Any:
            """Return a reference to what this task will return."""

    def __init__(
        self,
        *,
        stripe_conn_id: str = StripeHook.default_conn_name,
        stripe_account: str | None = None,
        fields: str | Sequence[str] | None = None,
        retry_policy: RetryPolicy | None = StripeRetryPolicy(),  # noqa: B008
        **kwargs: Any,
    ) -> None:
        # A row's fields are XComs of their own, too, or `create.output["id"]` would find nothing.
        super().__init__(retry_policy=retry_policy, **{"multiple_outputs": True, **kwargs})
        self.stripe_conn_id = stripe_conn_id
        self.stripe_account = stripe_account
        self.fields = fields

    @tells_failure
    def execute(self, context: Context) -> dict[str, Any]:
        """Do what the class says, and return what it says."""
        refuse_none(self)
        return self._execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        raise NotImplementedError

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render as Airflow does, the keys of mappings, too; what is text stays text.

        With ``render_template_as_native_obj`` Airflow reads a text such as "1.10" as a number.
        """
        if seen_oids is not None and id(content) in seen_oids:
            # It came from another task, and is no template.
            return content
        env = jinja_env or self.get_template_env()
        if isinstance(content, Enum):
            # Jinja would write its name.
            content = content.value
        elif isinstance(content, Mapping):
            content = dict(content)
        if isinstance(content, str) and isinstance(env, NativeEnvironment):
            return _native(env.from_string(content), context)
        rendered = super().render_template(content, context, env, seen_oids)
        if isinstance(content, dict):
            return {
                self.render_template(key, context, env) if isinstance(key, str) else key: value
                for key, value in rendered.items()
            }
        if isinstance(rendered, str) and re.search(r"[\ud800-\udfff]", rendered):
            raise StripeInputError(
                f"A template field holds half of a character (a lone surrogate): {show(rendered)}. "
                "Decode the text as UTF-8 where it comes from."
            )
        # What mapped tasks have returned is a sequence of its own kind.
        is_list = isinstance(rendered, Sequence) and not isinstance(rendered, str | bytes | tuple)
        return list(rendered) if is_list else rendered


class StripeCallOperator(StripeOperator):
    """Make one call and return its answer; a POST or a DELETE is made once for each run.

    Mapped tasks are called by the product's name or the object's id (``map_index_template`` names
    them otherwise).

    :param parameters: Stripe's own, nested as in its documentation. (templated)
    :param idempotency_key: replaces the key that is made for this task of this run. (templated)
    """

    template_fields: Sequence[str] = (
        *StripeOperator.template_fields,
        *("parameters", "idempotency_key"),
    )

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parameters = parameters
        self.idempotency_key = idempotency_key

    def _execute(self, context: Context) -> dict[str, Any]:
        """Make the call, and return its answer's fields."""
        # What is wrong with the fields is said before anything is made.
        projection("", self.fields)
        client = StripeHook(self.stripe_conn_id, stripe_account=self.stripe_account).get_conn()
        _name(context, getattr(self, "name", None))
        response = self._send(client, context)
        self.seen = Seen(client, response.request_id, object=response.body)
        _name(context, getattr(self, "name", None) or response.body.get("id"))
        for secret in secrets_of(response.body):
            mask_secret(secret)
        gone = response.body.get("deleted") is True
        kind = "" if gone else response.body.get("object") or ""
        return projection(kind, self.fields, expanded=True)(response.body)

    def _send(self, client: StripeClient, context: Context, again: Call | None = None) -> Response:
        call, key = self._call(client), checked_key(self.idempotency_key)
        if call.method == "GET" or call.is_update:
            return client.send(call, key)
        return send_once(client, call, key, context, self.log, again)

    def _call(self, client: StripeClient) -> Call:
        """Return the call that the arguments mean."""
        raise NotImplementedError


class StripeActionOperator(StripeCallOperator):
    """Make the call of one action of the table, from arguments of its own."""

    action: ClassVar[Action]

    @property
    def given(self) -> dict[str, Any]:
        """Return the action's arguments."""
        return {name: getattr(self, name) for name in self.action.arguments}

    def _call(self, client: StripeClient) -> Call:
        return self.action.call(self.given, self.parameters, client.api_version)


def refuse_none(task: Any) -> None:
    """Refuse a rendered argument, or one in a list or a mapping, whose value was missing."""
    for name in task.template_fields:
        value = getattr(task, name)
        if name not in task.refused_elsewhere:
            is_json = name in task.template_fields_renderers
            refuse_missing(name, collection(value) if is_json else value)


def refuse_email(kwargs: Mapping[str, Any]) -> None:
    """Refuse an address in Airflow's own argument: Airflow would mail the customer its failures."""
    # A mapped task is made with what default_args hold.
    usual = (kwargs.get("default_args") or {}).get("email")
    if kwargs.get("email") not in (None, "", usual):
        raise StripeInputError(
            "email is where Airflow writes when the task fails: give the customer's address as "
            "customer_email."
        )


def _name(context: Context, name: object) -> None:
    """Call a mapped task so, which is a number else, unless its author names it."""
    values = cast("dict[str, Any]", context)
    if name and values["ti"].map_index >= 0 and not values.get("map_index_template"):
        values["map_index_template"] = "{{ stripe_name }}"
    text = str(name)
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        # A native template would read it as a number, and Airflow asks for its length.
        ast.literal_eval(text)
        text = f"#{text}"
    # Airflow's column takes no more.
    values["stripe_name"] = text[:250]


def _native(template: jinja2.Template, context: Mapping[str, Any]) -> Any:
    """Return the value of a template that is one expression, and any other one's text."""
    values = {**template.globals, **context}
    parts = list(template.root_render_func(template.new_context(values, shared=True)))
    if len(parts) == 1 and parts[0] is not None and not isinstance(parts[0], jinja2.Undefined):
        return parts[0]
    return "".join(map(str, parts))
