"""Releases under concurrency and in other people's hands: one order of events, and no byte that was not signed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest

from geartrain.cli.main import run
from geartrain.domain.events import ContractAdopted, ReleaseProposed, RolledBack, SignedOff, StageEntered
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role
from geartrain.engine import releasing
from geartrain.engine.bundles import FOLDER, load_bundle
from geartrain.engine.workspace import stream_of
from geartrain.errors import BundleTampered
from geartrain.release.answers import Refusal

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def _events(the_shop, kind):
    return [one.event for one in the_shop.workspace().history("shop") if isinstance(one.event, kind)]


def _went_live(the_shop):
    return [one.release for one in _events(the_shop, StageEntered) if one.stage is ReleaseStage.LIVE]


def test_two_promotions_at_once_are_one(the_shop):
    """Eight people promote the same release at the same moment, each with a connection of their own: one event."""
    before = len(_went_live(the_shop))
    product, start, answers = the_shop.product, Barrier(8), []

    def promote():
        space = the_shop.workspace()
        start.wait(30)
        answers.append(releasing.promote(space, product.contract, release=the_shop.second, now=NOW))

    threads = [Thread(target=promote) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    space = the_shop.workspace()
    assert len(answers) == 8
    assert all(releasing.accepted(one) for one in answers)
    assert _went_live(the_shop)[before:] == [the_shop.second]
    assert releasing.releases(space, "shop").champion == the_shop.second
    assert space.ledger.verify() == len(space.history("shop"))


def test_a_promotion_and_a_rollback_at_once_leave_one_champion(the_shop):
    """Whichever comes first, the other is decided on what is true by then, and the history has one order."""
    product, start = the_shop.product, Barrier(2)
    first = the_shop.workspace()
    assert releasing.accepted(releasing.promote(first, product.contract, release=the_shop.second, now=NOW))
    answers = {}

    def act(name, command):
        space = the_shop.workspace()
        start.wait(30)
        answers[name] = command(space)

    threads = [
        Thread(
            target=act,
            args=(
                name,
                lambda space: releasing.roll_back(space, product.contract, reason="worse", now=NOW),
            ),
        )
        for name in ("ann", "ben")
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    accepted = [name for name, answer in answers.items() if releasing.accepted(answer)]
    assert len(answers) == 2
    assert len(accepted) >= 1
    assert releasing.releases(the_shop.workspace(), "shop").champion == the_shop.first
    assert Counter(type(one.event).__name__ for one in first.history("shop"))["RolledBack"] == 1


class _Interrupted:
    """A ledger into which somebody else writes between our reading and our writing, once."""

    def __init__(self, ledger, other):
        self._ledger = ledger
        self._other = other

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def append(self, *arguments, **more):
        other, self._other = self._other, None
        if other is not None:
            other()
        return self._ledger.append(*arguments, **more)


def test_a_sign_off_that_races_a_contract_change_is_decided_again(the_shop):
    """A change that is adopted while somebody signs under the old contract voids the signature before it is one."""
    contract = the_shop.product.contract
    space, other = the_shop.workspace(), the_shop.workspace()
    changed = replace(contract, product=replace(contract.product, title="Another promise"))

    def adopt():
        event = ContractAdopted(product="shop", contract=changed.id, text="")
        other.ledger.append(stream_of("shop"), [event], at=NOW, actor="Ben")

    racing = type(space)(
        root=space.root,
        ledger=_Interrupted(space.ledger, adopt),
        lake=space.lake,
        blobs=space.blobs,
        notifier=space.notifier,
        signing_key=space.signing_key,
    )
    before = len(_events(the_shop, SignedOff))
    person = contract.holders(Role.PRODUCT)[0]
    answer = releasing.sign(
        racing, contract, release=the_shop.first, role=Role.PRODUCT, person=person, now=NOW, reason="again"
    )

    assert isinstance(answer, Refusal), answer
    assert "contract" in answer.reason
    assert len(_events(the_shop, SignedOff)) == before


_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from geartrain.engine import releasing
from geartrain.domain.roles import Role
from geartrain.engine.products import load_product
from geartrain.wiring import Settings, open_workspace

root, folder, release, place, command = sys.argv[1:]
space, product = open_workspace(Settings(root=Path(root))), load_product(Path(folder))
real = space.ledger.append

def append(*arguments, **more):
    if place == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **more)
    os.kill(os.getpid(), signal.SIGKILL)

space.ledger.append = append
contract, now = product.contract, datetime(2026, 4, 1, tzinfo=UTC)
match command:
    case "promote":
        releasing.promote(space, contract, release=release, now=now)
    case "roll_back":
        releasing.roll_back(space, contract, reason="worse", now=now)
    case "sign":
        person = contract.holders(Role.SCIENCE)[0]
        releasing.sign(space, contract, release=release, role=Role.SCIENCE, person=person, now=now, reason="again")
"""


def _killed_at(the_shop, place, command, release):
    """Do *command* in a process that is killed before or after its event is written."""
    told = [str(the_shop.root), str(the_shop.folder), release, place, command]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, *told],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=dict(os.environ),
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_promotion_that_is_killed_happened_or_did_not(the_shop, place):
    """SIGKILL before or after the event is written: it is there whole or not at all, and the same command ends it."""
    before = len(_went_live(the_shop))
    _killed_at(the_shop, place, "promote", the_shop.second)
    space = the_shop.workspace()
    expected = the_shop.first if place == "before" else the_shop.second
    assert releasing.releases(space, "shop").champion == expected

    again = releasing.promote(space, the_shop.product.contract, release=the_shop.second, now=NOW)

    assert releasing.accepted(again)
    assert _went_live(the_shop)[before:] == [the_shop.second]
    assert space.ledger.verify() == len(space.history("shop"))


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_roll_back_that_is_killed_happened_or_did_not(the_shop, place):
    """The traffic is where the history says, and asked again it goes back once."""
    contract = the_shop.product.contract
    space = the_shop.workspace()
    assert releasing.accepted(releasing.promote(space, contract, release=the_shop.second, now=NOW))
    _killed_at(the_shop, place, "roll_back", "")
    expected = the_shop.second if place == "before" else the_shop.first
    assert releasing.releases(space, "shop").champion == expected
    releasing.roll_back(space, contract, reason="worse", to=the_shop.first, now=NOW)
    assert releasing.releases(space, "shop").champion == the_shop.first
    assert len(_events(the_shop, RolledBack)) == 1
    assert space.ledger.verify() == len(space.history("shop"))


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_signature_that_is_killed_was_given_or_was_not(the_shop, place):
    """A name stands under a release whole or not at all, and signing again gives no second one."""
    contract = the_shop.product.contract
    earlier = next(
        one.release for one in _events(the_shop, ReleaseProposed) if one.release.id == the_shop.second
    )
    unsigned = replace(earlier, evidence="0" * 64)
    proposed = ReleaseProposed(id=unsigned.id, release=unsigned)
    the_shop.workspace().ledger.append(stream_of("shop"), [proposed], at=NOW, actor="Sam Cole")
    signed = len(_events(the_shop, SignedOff))
    person = contract.holders(Role.SCIENCE)[0]
    _killed_at(the_shop, place, "sign", unsigned.id)
    assert len(_events(the_shop, SignedOff)) == signed + (place == "after")
    space = the_shop.workspace()
    again = releasing.sign(
        space, contract, release=unsigned.id, role=Role.SCIENCE, person=person, now=NOW, reason="again"
    )
    assert releasing.accepted(again), again
    assert len(_events(the_shop, SignedOff)) == signed + 1
    assert space.ledger.verify() == len(space.history("shop"))


def test_a_downgrade_by_swapped_folders_is_refused(the_shop):
    """An older release, whole and rightly signed, is not served from the newer one's folder."""
    space = the_shop.workspace()
    bundles = the_shop.root / FOLDER
    shutil.rmtree(bundles / the_shop.second)
    shutil.copytree(bundles / the_shop.first, bundles / the_shop.second)

    with pytest.raises(BundleTampered, match="another release"):
        load_bundle(space, the_shop.second)


def test_an_exported_release_carries_a_model_signature(the_shop, tmp_path, capfd):
    """Exported with a key it has a signature beside it, `verify` holds both against it, and a changed bundle fails."""
    pytest.importorskip(
        "model_signing", reason="model-signing is not installed (the extra `signing`)", exc_type=ImportError
    )
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public, target = tmp_path / "key.pem", tmp_path / "key.pub", tmp_path / "exported"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    )
    where = ["-w", str(the_shop.root), "-p", str(the_shop.folder)]
    exported = run(
        ["release", "export", "champion", *where, "--to", str(target), "--model-key", str(private)]
    )
    signature = tmp_path / "exported.sig"
    asked = ["release", "verify", str(target), "--model-signature", str(signature)]
    verified = run([*asked, "--model-key", str(public)])
    told = capfd.readouterr().out
    nobody = run(asked)
    (target / "profile.json").write_text("{}")
    changed = run([*asked, "--model-key", str(public)])

    assert (exported, verified) == (0, 0)
    assert "holds for every file" in told
    assert nobody != 0
    assert changed != 0
