"""A fake Stripe for tests of DAGs: an account in memory that answers over HTTP.

with FakeStripe() as stripe:
    monkeypatch.setenv("AIRFLOW_CONN_STRIPE_DEFAULT", stripe.connection); stripe.add("charge")
"""

from airflow_provider_stripe_lite.testing.calls import Request
from airflow_provider_stripe_lite.testing.fake import KEY, FakeStripe
from airflow_provider_stripe_lite.testing.faults import Fault

__all__ = ["KEY", "FakeStripe", "Fault", "Request"]
