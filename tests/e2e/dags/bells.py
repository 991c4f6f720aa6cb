"""Bells, and the DAGs behind them; each bell has a connection, and so an account, of its own."""

from __future__ import annotations

from ringing import behind, bell

# Two DAGs on one bell, and one of them unpaused later, or paused for some seconds.
RUNG = bell("rung")
behind(RUNG, "rung")
behind(RUNG, "rung_too")
KILLED = bell("killed")
behind(KILLED, "killed")
behind(KILLED, "killed_too")
LATER = bell("later")
behind(LATER, "later")
behind(LATER, "later_too")
BOUNDED = bell("bounded", at_least_every=40)
behind(BOUNDED, "bounded")
behind(BOUNDED, "bounded_too")

# One DAG on one bell.
behind(bell("asleep"), "asleep")
behind(bell("wrong_first"), "wrong_first")
behind(bell("wrong_later"), "wrong_later")
behind(bell("whole"), "whole", returns="window", max_items=10)
AGAIN = bell("again")
behind(AGAIN, "again", max_items=10, outlets=[AGAIN])
