"""The world of card-fraud: a seeded simulator of cards, terminals and days of payments.

Nothing here knows the product. Frauds come from three places: terminals that were
tampered with, cards whose numbers were stolen, and, from a certain day on, a new attack of
small payments at night that no old fraud looks like. On another day everybody's
spending habits change at once. Fraud becomes known about seven days later, when the
chargeback arrives; a few never do. Rows are lost, malformed and sent twice, one acquirer
sends cents for euros for a day, and for half a day the payment feed is silent and then
catches up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY_US = 86_400_000_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Payments beside the honest ones: times, cards, terminals, amounts, and that they are frauds.
Extra = tuple[Ints, Ints, Ints, Floats, Ints]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How large the world is and on which days it changes, counted from 0."""

    days: int = 132
    cards: int = 580
    terminals: int = 180
    habits_change: int = 76
    new_attack: int = 96
    feed_stops: int = 60
    cents_for_euros: int = 67


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Payments:
    """Payments in order of time, one array a column."""

    at_us: Ints
    card: Ints
    terminal: Ints
    amount: Floats
    online: Ints
    fraud: Ints


def write(folder: Path, *, seed: int = 7, world: World | None = None) -> dict[str, Path]:
    """Simulate the world and write `transactions.ndjson` and `chargebacks.parquet` into *folder*."""
    world = world or World()
    chance = np.random.default_rng(seed)
    payments = _payments(world, chance)
    folder.mkdir(parents=True, exist_ok=True)
    transactions = folder / "transactions.ndjson"
    chargebacks = folder / "chargebacks.parquet"
    _messy(payments, world, chance).write_ndjson(transactions)
    _chargebacks(payments, chance).write_parquet(chargebacks)
    return {"transactions": transactions, "chargebacks": chargebacks}


def _payments(world: World, chance: np.random.Generator) -> Payments:
    """Honest payments first, then the frauds that hide among them."""
    place = chance.uniform(size=(world.cards, 2))
    shops = chance.uniform(size=(world.terminals, 2))
    distance = ((place[:, None, :] - shops[None, :, :]) ** 2).sum(axis=2)
    near = np.argsort(distance, axis=1)[:, :12]
    online_shops = np.arange(world.terminals) < world.terminals // 8
    per_day = chance.gamma(2.0, 0.45, size=world.cards)
    usual = chance.lognormal(3.2, 0.6, size=world.cards)
    # Three in ten cards turn to larger purchases when habits change; the others stay as they were.
    turned = chance.uniform(size=world.cards) < 0.3
    later = usual * np.where(turned, chance.uniform(2.5, 7.0, size=world.cards), 1.0)

    columns: list[tuple[Ints, Ints, Ints, Floats, Ints]] = []
    for day in range(world.days):
        changed = day >= world.habits_change
        count = chance.poisson(per_day * (1.15 if changed else 1.0))
        card = np.repeat(np.arange(world.cards), count)
        size = len(card)
        elsewhere = chance.uniform(size=size) < (0.30 if changed else 0.12)
        terminal = np.where(
            elsewhere,
            chance.integers(0, world.terminals, size=size),
            near[card, chance.integers(0, near.shape[1], size=size)],
        )
        amount = (later if changed else usual)[card] * chance.lognormal(0.0, 0.55, size=size)
        hour = np.clip(chance.normal(14.5 if not changed else 16.0, 4.2, size=size), 0.0, 23.99)
        at_us = (day * DAY_US + hour / 24 * DAY_US).astype(np.int64)
        columns.append((at_us, card, terminal, amount, np.zeros(size, dtype=np.int64)))
    at_us, card, terminal, amount, fraud = (np.concatenate(part) for part in zip(*columns, strict=True))

    fraud = _tampered_terminals(world, chance, at_us, terminal, fraud)
    thieves = _stolen_cards(world, chance, usual)
    attack = _night_attack(world, chance, online_shops)
    at_us, card, terminal, amount, fraud = (
        np.concatenate(parts)
        for parts in zip((at_us, card, terminal, amount, fraud), thieves, attack, strict=True)
    )
    lasting = at_us < world.days * DAY_US
    at_us, card, terminal = at_us[lasting], card[lasting], terminal[lasting]
    amount, fraud = amount[lasting], fraud[lasting]
    order = np.argsort(at_us, kind="stable")
    return Payments(
        at_us=at_us[order],
        card=card[order],
        terminal=terminal[order],
        amount=np.round(np.clip(amount[order], 0.5, 1_450.0), 2),
        online=online_shops[terminal[order]].astype(np.int64),
        fraud=fraud[order],
    )


def _tampered_terminals(
    world: World, chance: np.random.Generator, at_us: Ints, terminal: Ints, fraud: Ints
) -> Ints:
    """A few terminals skim cards for two to three weeks; a third of what they take is fraud."""
    fraud = fraud.copy()
    for day in range(world.days):
        for _ in range(chance.poisson(0.2)):
            where = chance.integers(0, world.terminals)
            until = day + chance.integers(14, 22)
            taken = (terminal == where) & (at_us >= day * DAY_US) & (at_us < until * DAY_US)
            fraud[taken & (chance.uniform(size=len(at_us)) < 0.35)] = 1
    return fraud


def _stolen_cards(world: World, chance: np.random.Generator, usual: Floats) -> Extra:
    """Thieves hurry: for two days they pay several times a day, larger amounts, at shops far and wide."""
    at_us: list[int] = []
    card: list[int] = []
    terminal: list[int] = []
    amount: list[float] = []
    for day in range(world.days):
        for victim in chance.integers(0, world.cards, size=chance.poisson(1.0)):
            for _ in range(int(chance.integers(4, 9))):
                at_us.append(int((day + chance.uniform(0.3, 2.0)) * DAY_US))
                card.append(int(victim))
                terminal.append(int(chance.integers(0, world.terminals)))
                amount.append(float(usual[victim] * chance.uniform(1.5, 4.5)))
    return _extra(at_us, card, terminal, amount)


def _night_attack(world: World, chance: np.random.Generator, online_shops: NDArray[np.bool_]) -> Extra:
    """From `new_attack` on: bursts of small online payments at night with stolen numbers."""
    at_us: list[int] = []
    card: list[int] = []
    terminal: list[int] = []
    amount: list[float] = []
    shops = np.flatnonzero(online_shops)
    for day in range(world.new_attack, world.days):
        for victim in chance.integers(0, world.cards, size=chance.poisson(5.0)):
            begins = day * DAY_US + int(chance.uniform(0.5, 4.5) / 24 * DAY_US)
            for shot in range(int(chance.integers(3, 7))):
                at_us.append(begins + shot * int(chance.uniform(40, 200) * 1e6))
                card.append(int(victim))
                terminal.append(int(chance.choice(shops)))
                amount.append(float(chance.uniform(18.0, 48.0)))
    return _extra(at_us, card, terminal, amount)


def _extra(at_us: list[int], card: list[int], terminal: list[int], amount: list[float]) -> Extra:
    return (
        np.array(at_us, dtype=np.int64),
        np.array(card, dtype=np.int64),
        np.array(terminal, dtype=np.int64),
        np.array(amount, dtype=np.float64),
        np.ones(len(at_us), dtype=np.int64),
    )


def _times(at_us: Ints) -> pl.Series:
    start = int(START.timestamp() * 1e6)
    return pl.Series(at_us + start).cast(pl.Datetime("us", "UTC"))


def _messy(payments: Payments, world: World, chance: np.random.Generator) -> pl.DataFrame:
    """The payment feed as it really arrives: late, silent, doubled and malformed."""
    size = len(payments.at_us)
    late = (chance.exponential(2.0e6, size=size) + 0.2e6).astype(np.int64)
    slow = chance.uniform(size=size) < 0.01
    received = payments.at_us + np.where(
        slow, chance.integers(3_600_000_000, 8 * 3_600_000_000, size=size), late
    )
    stop = world.feed_stops * DAY_US + DAY_US * 3 // 8
    resume = stop + DAY_US // 2
    silent = (received >= stop) & (received < resume)
    received = np.where(silent, resume + chance.integers(0, 600_000_000, size=size), received)

    amount = np.char.mod("%.2f", payments.amount).astype(object)
    cents_day = payments.at_us // DAY_US == world.cents_for_euros
    acquirer = payments.terminal % 3 == 0
    for row in np.flatnonzero(cents_day & acquirer):
        amount[row] = str(round(payments.amount[row] * 100))
    card = np.char.mod("c%05d", payments.card).astype(object)
    merchant = np.where(payments.online == 1, "online", "shop").astype(object)

    broken = chance.uniform(size=size)
    amount[broken < 0.0015] = None
    amount[(broken >= 0.0015) & (broken < 0.0025)] = "12,50 EUR"
    amount[(broken >= 0.0025) & (broken < 0.0030)] = "-1.00"
    card[(broken >= 0.0030) & (broken < 0.0035)] = None
    merchant[(broken >= 0.0035) & (broken < 0.02)] = None

    frame = pl.DataFrame(
        {
            "transaction_id": np.char.mod("t%07d", np.arange(size)).astype(object).tolist(),
            "card_id": card.tolist(),
            "terminal_id": np.char.mod("m%04d", payments.terminal).astype(object).tolist(),
            "amount": amount.tolist(),
            "channel": merchant.tolist(),
            "at": _times(payments.at_us).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "received_at": _times(received).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        },
        schema_overrides={"card_id": pl.String, "amount": pl.String, "channel": pl.String},
    )
    twice = frame.filter(pl.Series(chance.uniform(size=size) < 0.004))
    return pl.concat([frame, twice]).sort("received_at", maintain_order=True)


def _chargebacks(payments: Payments, chance: np.random.Generator) -> pl.DataFrame:
    """What the bank learns: every payment is settled as honest or fraud about seven days later."""
    size = len(payments.at_us)
    settled = payments.at_us + (7 * DAY_US + chance.exponential(0.25 * DAY_US, size=size)).astype(np.int64)
    known = chance.uniform(size=size) > 0.02
    frame = pl.DataFrame(
        {
            "case_id": np.char.mod("s%07d", np.arange(size)).astype(object).tolist(),
            "transaction_id": np.char.mod("t%07d", np.arange(size)).astype(object).tolist(),
            "terminal_id": np.char.mod("m%04d", payments.terminal).astype(object).tolist(),
            "card_id": np.char.mod("c%05d", payments.card).astype(object).tolist(),
            "is_fraud": payments.fraud.astype(bool),
            "at": _times(payments.at_us),
            "settled_at": _times(settled),
        }
    )
    return frame.filter(pl.Series(known)).sort("settled_at", maintain_order=True)


def ends(world: World | None = None) -> datetime:
    """The first moment after the simulated days."""
    return START + timedelta(days=(world or World()).days)
