"""Stripe for Apache Airflow: a hook, five operators, sensors that deliver each object once."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("airflow-provider-stripe-lite")
