"""Stripe for Apache Airflow: a hook, five operators and four sensors that hand over every object exactly once."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("airflow-provider-stripe-lite")
