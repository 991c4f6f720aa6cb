"""What StripeToObjectStorageOperator does with names that are long, and with symbolic links."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_stripe_lite._destination import destination, whole_file
from airflow_provider_stripe_lite.testing import FakeStripe
from tests.airflow.exporting import BOUNDS, export, lines
from tests.harness import Run, ids
from tests.helpers import NOW


@pytest.mark.parametrize("stem", ["x" * 215, "x" * 249, "é" * 120], ids=["215", "249", "bytes"])
def test_a_long_name_is_a_name(dag: DAG, stripe: FakeStripe, files: Path, stem: str) -> None:
    """Also where the name of the part, which is longer, would be none any more."""
    made = stripe.add("charge", created=NOW - 500)
    path = files / f"{stem}.jsonl"
    assert Run(export(dag, path, **BOUNDS), NOW).go().state() == "success"
    assert ids(lines(path)) == [made]
    assert list(files.iterdir()) == [path]


def test_what_a_killed_task_left_of_a_long_name(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes with the next task of this name; that of one which begins alike stays."""
    one, two = (destination(f"{files}/{'x' * 240}{end}.jsonl", None) for end in "ab")
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        for path in (one, two):
            with suppress(RuntimeError), whole_file(path):
                raise RuntimeError("killed")
    assert len(list(files.glob(".*.part"))) == 2
    with whole_file(one):
        pass
    assert len(list(files.glob(".*.part"))) == 1


def test_a_name_that_is_too_long_is_seen_before_anything_is_read(
    dag: DAG, stripe: FakeStripe, files: Path
) -> None:
    run = Run(export(dag, files / f"{'x' * 250}.jsonl", **BOUNDS), NOW).go()
    assert "File name too long" in str(run.errors[-1])
    assert stripe.calls == []
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_followed(dag: DAG, stripe: FakeStripe, files: Path, is_there: bool) -> None:
    """The link stays, and the file that it leads to is the new one."""
    made = stripe.add("charge", created=NOW - 500)
    target, link = files / "far" / "target.jsonl", files / "link.jsonl"
    target.parent.mkdir()
    if is_there:
        target.write_text("of an earlier run")
    link.symlink_to(target)
    run = Run(export(dag, link, **BOUNDS), NOW).go()
    assert run.xcom("export")["path"] == str(link)
    assert link.is_symlink()
    assert ids(lines(target)) == [made]
    assert list(target.parent.iterdir()) == [target]


def test_skipping_removes_the_file_that_a_link_leads_to(
    dag: DAG, stripe: FakeStripe, files: Path
) -> None:
    """Not the link, which the next run follows again."""
    target, link = files / "target.jsonl", files / "link.jsonl"
    target.write_text("of an earlier run")
    link.symlink_to(target)
    Run(export(dag, link, if_empty="skip", **BOUNDS), NOW).go()
    assert list(files.iterdir()) == [link]
    made = stripe.add("charge", created=NOW - 500)
    Run(dag, NOW + 1).go()
    assert link.is_symlink()
    assert ids(lines(target)) == [made]


def test_a_link_to_what_is_no_file_is_replaced(dag: DAG, stripe: FakeStripe, files: Path) -> None:
    """Such as to a device, which would be gone."""
    made = stripe.add("charge", created=NOW - 500)
    pipe, link = files / "pipe", files / "link.jsonl"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    Run(export(dag, link, **BOUNDS), NOW).go()
    assert pipe.is_fifo()
    assert ids(lines(link)) == [made]


def test_a_link_that_the_system_does_not_follow_is_refused(
    dag: DAG, stripe: FakeStripe, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux does with another user's link in a folder that is open to all."""
    target, link = files / "target.jsonl", files / "link.jsonl"
    target.write_text("of somebody else")
    link.symlink_to(target)
    look = os.stat

    def refuse(path: Any, **options: Any) -> os.stat_result:
        if str(path) == str(link) and options.get("follow_symlinks", True):
            raise PermissionError(13, "Permission denied", str(link))
        return look(path, **options)

    with monkeypatch.context() as denied:
        denied.setattr(os, "stat", refuse)
        run = Run(export(dag, link, **BOUNDS), NOW).go()
    assert "as it cannot be looked at (Permission denied)" in str(run.errors[-1])
    assert stripe.calls == []
    assert (target.read_text(), link.is_symlink()) == ("of somebody else", True)
