"""Each event of the ledger in one plain sentence, for people who read its history."""

from __future__ import annotations

from typing import assert_never

from geartrain.domain import events as ev
from geartrain.domain.digest import short
from geartrain.domain.finding import Status


def told_event(event: ev.Event) -> str:
    """What happened, without who and when.

    >>> told_event(ev.AccountClosed(person="Ada"))
    'Ada may not enter the room any more'
    """
    match event:
        case (
            ev.ContractAdopted()
            | ev.ContractProposed()
            | ev.ProposalDiscussed()
            | ev.ProposalSigned()
            | ev.ProposalClosed()
        ):
            return _of_contract(event)
        case (
            ev.BatchIngested()
            | ev.RowsRepaired()
            | ev.RowsErased()
            | ev.SnapshotTaken()
            | ev.PoolsCommitted()
        ):
            return _of_rows(event)
        case ev.TrialRecorded() | ev.PoolOpened() | ev.PoolAnswered():
            return _of_looks(event)
        case ev.ModelTrained() | ev.VariantMeasured() | ev.FindingsRecorded():
            return _of_evidence(event)
        case (
            ev.ReleaseProposed()
            | ev.SignedOff()
            | ev.Waived()
            | ev.StageEntered()
            | ev.RolledBack()
            | ev.Refused()
        ):
            return _of_release(event)
        case ev.RetrainingStarted() | ev.RetrainingAsked() | ev.ChallengeDecided():
            return _of_retraining(event)
        case ev.IncidentOpened() | ev.IncidentUpdated() | ev.IncidentClosed() | ev.IncidentNoted():
            return _of_incident(event)
        case ev.DecisionReviewed():
            why = f": {event.reason}" if event.reason else ""
            return f"decision {short(event.decision)} was reviewed: {event.verdict}{why}"
        case ev.LabelsAsked():
            what = event.about or "the cost of decisions"
            return f"{event.asked:,} of {event.of:,} decisions were drawn for labels that would settle {what}"
        case ev.FeatureLeftOpen():
            why = f": {event.reason}" if event.reason else ""
            return (
                f"feature {event.feature} of release {short(event.release)} was left open: cannot tell{why}"
            )
        case ev.AccountOpened() | ev.AccountClosed() | ev.TokenIssued() | ev.TokenRevoked():
            return _of_people(event)
        case _:
            assert_never(event)


def _of_contract(
    event: ev.ContractAdopted
    | ev.ContractProposed
    | ev.ProposalDiscussed
    | ev.ProposalSigned
    | ev.ProposalClosed,
) -> str:
    match event:
        case ev.ContractAdopted():
            return f"contract {short(event.contract)} came into force"
        case ev.ContractProposed():
            return f"contract {short(event.contract)} proposed: {event.reason}"
        case ev.ProposalDiscussed():
            return f"about proposal {short(event.proposal)}: {event.words}"
        case ev.ProposalSigned():
            return f"{event.person} signed proposal {short(event.proposal)} for {event.role}"
        case ev.ProposalClosed():
            how = "adopted" if event.adopted else "taken back"
            return f"proposal {short(event.proposal)} {how}: {event.reason}"
        case _:
            assert_never(event)


def _of_rows(
    event: ev.BatchIngested | ev.RowsRepaired | ev.RowsErased | ev.SnapshotTaken | ev.PoolsCommitted,
) -> str:
    match event:
        case ev.BatchIngested(batch=batch):
            return (
                f"{batch.source}: {batch.accepted:,} rows passed the door,"
                f" {batch.quarantined:,} went to quarantine, {batch.duplicates:,} were known already"
            )
        case ev.RowsRepaired():
            return f"{event.source}: {event.repaired:,} rows repaired, {event.still_bad:,} still bad"
        case ev.RowsErased():
            rows = sum(count for _, count in event.rows)
            lost = (
                f"; {len(event.snapshots):,} snapshots cannot be rebuilt any more" if event.snapshots else ""
            )
            return f"{rows:,} rows about one {event.entity} erased for good{lost}"
        case ev.SnapshotTaken():
            return f"snapshot {short(event.id)} of {event.snapshot.rows:,} rows fixed"
        case ev.PoolsCommitted():
            return f"the pools of snapshot {short(event.snapshot)} fixed before anything was tried on them"
        case _:
            assert_never(event)


def _of_looks(event: ev.TrialRecorded | ev.PoolOpened | ev.PoolAnswered) -> str:
    match event:
        case ev.TrialRecorded(trial=trial):
            return f"trial {short(event.id)}: {trial.algorithm} on {trial.pool}, {trial.metric} {trial.score:.4g}"
        case ev.PoolOpened():
            return f"{event.pool} opened for {short(event.candidate)}: {event.purpose}"
        case ev.PoolAnswered():
            how = "better than the best so far" if event.improved else "no better than the best so far"
            return f"a question to the metered rows: {how}"
        case _:
            assert_never(event)


def _of_evidence(event: ev.ModelTrained | ev.VariantMeasured | ev.FindingsRecorded) -> str:
    match event:
        case ev.ModelTrained():
            return f"model {short(event.id)} trained: {event.model.algorithm} {event.model.variant}".rstrip()
        case ev.VariantMeasured():
            chosen = "chosen" if event.chosen else "not chosen"
            return f"variant {short(event.model)} measured, {chosen}: {event.reason}"
        case ev.FindingsRecorded():
            counts = {status: sum(one.status is status for one in event.findings) for status in Status}
            words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
            return (
                f"{len(event.findings)} clauses checked at {event.stage} on {short(event.subject)}: {words}"
            )
        case _:
            assert_never(event)


def _of_release(
    event: ev.ReleaseProposed | ev.SignedOff | ev.Waived | ev.StageEntered | ev.RolledBack | ev.Refused,
) -> str:
    match event:
        case ev.ReleaseProposed():
            return f"release {short(event.id)} proposed" + (" after a retraining" if event.retrained else "")
        case ev.SignedOff(sign_off=one):
            return f"{one.person} signed {short(one.release)} for {one.role}"
        case ev.Waived(waiver=one):
            return (
                f"{one.clause} waived on {short(one.release)} until {one.expires_at:%Y-%m-%d}: {one.reason}"
            )
        case ev.StageEntered():
            share = f" on {event.share:.0%}" if 0 < event.share < 1 else ""
            return f"release {short(event.release)} entered {event.stage}{share}: {event.reason}".rstrip(": ")
        case ev.RolledBack():
            return f"rolled back from {short(event.release)} to {short(event.to)}: {event.reason}"
        case ev.Refused():
            about = f" {short(event.subject)}" if event.subject else ""
            return f"refused to {event.what}{about}: {event.reason}"
        case _:
            assert_never(event)


def _of_retraining(event: ev.RetrainingStarted | ev.RetrainingAsked | ev.ChallengeDecided) -> str:
    match event:
        case ev.RetrainingStarted():
            return f"a retraining began: {event.trigger}"
        case ev.RetrainingAsked():
            return f"{event.person} asked for a retraining: {event.reason}"
        case ev.ChallengeDecided():
            how = "won" if event.promoted else "did not win"
            return f"{short(event.challenger)} {how} against {short(event.champion)}: {event.reason}"
        case _:
            assert_never(event)


def _of_incident(
    event: ev.IncidentOpened | ev.IncidentUpdated | ev.IncidentClosed | ev.IncidentNoted,
) -> str:
    match event:
        case ev.IncidentUpdated(incident=incident, was=was) if was is not None:
            return f"{incident.cause}, not {was}: {incident.message}; {incident.owner} was called"
        case ev.IncidentUpdated(incident=incident):
            return f"more is known of incident {short(incident.id)}: {incident.message}"
        case ev.IncidentOpened(incident=incident):
            return f"{incident.cause}: {incident.message}; {incident.owner} was called"
        case ev.IncidentClosed():
            return f"incident {short(event.incident)} ended: {event.reason}"
        case ev.IncidentNoted():
            return f"about incident {short(event.incident)}: {event.words}"
        case _:
            assert_never(event)


def _of_people(event: ev.AccountOpened | ev.AccountClosed | ev.TokenIssued | ev.TokenRevoked) -> str:
    match event:
        case ev.AccountOpened():
            return f"{event.person} may enter the room" + (", and let others in" if event.keeper else "")
        case ev.AccountClosed():
            return f"{event.person} may not enter the room any more"
        case ev.TokenIssued():
            return f"token {event.name} issued to {event.person} for {', '.join(event.scopes)}"
        case ev.TokenRevoked():
            return f"token {event.name} of {event.person} revoked"
        case _:
            assert_never(event)
