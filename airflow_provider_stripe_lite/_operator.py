"""What all operators share: the connection, one send, the row, the links."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_stripe_lite._compat import NEVER_EXPIRE
from airflow_provider_stripe_lite._seen import Seen
from airflow_provider_stripe_lite.core.fields import projection
from airflow_provider_stripe_lite.errors import StripeError, StripeNotFoundError
from airflow_provider_stripe_lite.hooks import StripeHook
from airflow_provider_stripe_lite.links import StripeDashboardLink, StripeRequestLogLink
from airflow_provider_stripe_lite.retry_policy import StripeRetryPolicy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_stripe_lite._compat import RetryPolicy
    from airflow_provider_stripe_lite.core.arguments import Action, Request
    from airflow_provider_stripe_lite.core.client import StripeClient
    from airflow_provider_stripe_lite.core.transport import Response

__all__ = ["StripeOperator"]

_CREATED = "stripe_created"


class StripeOperator(BaseOperator):
    """Make one call of Stripe's API and return what it answered; the base of all operators.

    :param stripe_conn_id: id of the connection. (templated)
    :param stripe_account: act for this connected account (``acct_…``) instead of the connection's.
        (templated)
    :param fields: None returns exactly the documented fields, ``"*"`` the object as Stripe sent
        it, a list of dotted paths (``["id", "metadata.order_ref"]``) those. (templated)
    :param retry_policy: by default no retry where Stripe would answer the same again.
    """

    action: ClassVar[Action]
    idempotency_key: str | None = None
    ui_color = "#635bff"
    ui_fgcolor = "#ffffff"
    template_fields: Sequence[str] = ("stripe_conn_id", "stripe_account", "fields")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "metadata": "json",
        "fields": "json",
        "images": "json",
    }
    operator_extra_links = (StripeDashboardLink(), StripeRequestLogLink())

    if TYPE_CHECKING:
        # A reference to a value passes for the value, so that a type checker accepts it where a
        # user gives one to a task or an operator that asks for a str or a Window.
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Act once, and return the row."""
        row = projection(self.action.resource, self.fields)
        client = StripeHook(self.stripe_conn_id, stripe_account=self.stripe_account).get_conn()
        given = {name: getattr(self, name) for name in self.action.arguments}
        request = self.action.request(given, client.api_version)
        try:
            response = self._send(client, request, given, context)
        except StripeError as exc:
            self.request_log_url = exc.request_log_url
            raise
        self.seen = Seen(client, response.request_id, object=response.body)
        return row(response.body)

    def _send(
        self,
        client: StripeClient,
        request: Request,
        given: Mapping[str, Any],
        context: Context,
    ) -> Response:
        """Send the request; a create is made once for this task of this run.

        Stripe forgets an idempotency key after a day, so the id is also kept in the task's state,
        which lives as long as the run.
        """
        if request.verb != "create":
            return client.send(request, self.idempotency_key)
        key = self.idempotency_key or self._key(client, given, context)
        store: Any = context["task_state_store"]
        made = store.get(_CREATED)
        if made and made["key"] == key:
            self.log.info(
                "This task has created %s %s before; reading it.", request.resource, made["id"]
            )
            try:
                return client.send(self.action.read(made["id"]))
            except StripeNotFoundError as exc:
                hint = "To create another one, pass a new idempotency_key."
                raise exc.with_hint(hint) from exc
        response = client.send(request, key)
        store.set(_CREATED, {"key": key, "id": response.body["id"]}, retention=NEVER_EXPIRE)
        return response

    def _key(self, client: StripeClient, given: Mapping[str, Any], context: Context) -> str:
        """Return a key that is the same for every try, and another one for other arguments.

        It is made of the arguments and not of Stripe's parameters: these depend on the API version,
        and a run that is cleared after an upgrade must not create a second object.
        """
        ti = context["ti"]
        what = [ti.dag_id, ti.task_id, ti.run_id, ti.map_index, self.action.resource]
        who = [client.livemode, client.account]
        sent = {name: value for name, value in given.items() if value is not None}
        text = json.dumps([what, who, sent], sort_keys=True, default=str)
        return f"airflow-{hashlib.sha256(text.encode()).hexdigest()}"
