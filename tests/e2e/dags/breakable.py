"""A bell and a DAG in a file of their own, which a test breaks."""

from __future__ import annotations

from ringing import behind, bell

behind(bell("broken"), "broken")
