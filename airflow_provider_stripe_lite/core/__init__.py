"""What knows Stripe and never Airflow: what Stripe has, one request, one read of a list."""

__all__: list[str] = []
