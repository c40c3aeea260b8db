"""The tables. Times are seconds since the epoch (UTC); JSON values are text-safe."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hook", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("event", String(100), nullable=False, default=""),
    Column("outcome", String(20), nullable=False),  # a DeliveryOutcome
    Column("reason", String(60), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("repo", String(500), nullable=False, default=""),
    Column("actor", String(200), nullable=False, default=""),
    Column("remote", String(64), nullable=False, default=""),
    Column("size", Integer, nullable=False, default=0),
    Column("sha256", String(64), nullable=False, default=""),
    Column("changes", JSON, nullable=False, default=list),
    Column("runs", JSON, nullable=False, default=list),  # runs that an earlier delivery of the same push made
    Column("received_at", Float, nullable=False),
)
Index(
    "uq_deliveries_hook_key",
    deliveries.c.hook,
    deliveries.c.key,
    unique=True,
    sqlite_where=deliveries.c.outcome != "refused",
    postgresql_where=deliveries.c.outcome != "refused",
)
Index("ix_deliveries_outcome", deliveries.c.outcome, deliveries.c.id)
Index("ix_deliveries_hook", deliveries.c.hook, deliveries.c.outcome, deliveries.c.id)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("trigger", String(20), nullable=False),
    Column("ref", String(300), nullable=False, default=""),
    Column("commit", String(64), nullable=False, default=""),
    Column("image", String(500), nullable=False, default=""),
    Column("digest", String(80), nullable=False, default=""),
    Column("title", Text, nullable=False, default=""),
    Column("author", String(200), nullable=False, default=""),
    Column("actor", String(200), nullable=False, default=""),
    Column("state", String(20), nullable=False, default="queued"),
    Column("reason", String(40), nullable=False, default="queued"),
    Column("detail", Text, nullable=False, default=""),
    Column("attempt", Integer, nullable=False, default=1),
    Column("rerun_of", Integer),
    Column("from_stage", String(20), nullable=False, default=""),
    Column("delivery_id", Integer, ForeignKey("deliveries.id")),
    Column("superseded_by", Integer),
    Column("blocked_by", Integer),
    Column("cut_off", Integer),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("approved", Boolean, nullable=False, default=True),
    Column("dedupe", String(64), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("lease_owner", String(100), nullable=False, default=""),
    Column("lease_until", Float),
    Column("fence", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)
Index("ix_runs_app", runs.c.app, runs.c.id)
Index("ix_runs_app_environment", runs.c.app, runs.c.environment, runs.c.id)
Index("ix_runs_commit", runs.c.commit, runs.c.app)
Index("ix_runs_dedupe", runs.c.dedupe)
Index("ix_runs_delivery_id", runs.c.delivery_id)
_active = text("state IN ('queued', 'running', 'waiting')")
# Only the runs that are not final: the reconciler's and the gate's queries stay small for ever.
Index("ix_runs_active", runs.c.state, runs.c.app, sqlite_where=_active, postgresql_where=_active)
Index(
    "ix_runs_active_place",
    runs.c.app,
    runs.c.environment,
    runs.c.id,
    sqlite_where=_active,
    postgresql_where=_active,
)
# All runs: but only a list of an environment's says so. Elsewhere SQLite would take it for better than it is.
_some = text("environment <> ''")
Index("ix_runs_environment", runs.c.environment, runs.c.id, sqlite_where=_some, postgresql_where=_some)
_bad = text("state IN ('failed', 'cancelled')")
Index("ix_runs_bad", runs.c.state, runs.c.id, sqlite_where=_bad, postgresql_where=_bad)
_repeats = text("rerun_of IS NOT NULL")
Index("ix_runs_rerun_of", runs.c.rerun_of, sqlite_where=_repeats, postgresql_where=_repeats)

stages = Table(
    "stages",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("name", String(20), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("attempt", Integer, nullable=False, default=0),
    Column("reused", Boolean, nullable=False, default=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("wake_at", Float),
    Column("deadline_at", Float),
    Column("outputs", JSON, nullable=False, default=dict),
    Column("landing", Integer),  # of `commit`: its place in the order of what has landed
)
_landed = text("name = 'commit' AND state = 'succeeded'")
Index("ix_stages_landing", stages.c.landing, sqlite_where=_landed, postgresql_where=_landed)

wakes = Table(
    "wakes",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("due_at", Float, nullable=False),
    Column("published_at", Float),
    Column("queue", String(20), nullable=False, default="deploy"),
)
Index("ix_wakes_due_at", wakes.c.due_at)

environments = Table(
    "environments",
    metadata,
    Column("app", String(100), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("making", Integer),
    Column("proving", Integer),
    Column("hold", Text, nullable=False, default=""),
    Column("held_by", String(200), nullable=False, default=""),
    Column("held_at", Float),
    # Where the history of these names is by now, if app or environment have others since; "" = here.
    Column("moved_app", String(100), nullable=False, default="", server_default=""),
    Column("moved_name", String(100), nullable=False, default="", server_default=""),
)

changes = Table(
    "changes",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("branch_key", String(600), nullable=False),  # GitOps repository and branch
    Column("payload", JSON, nullable=False),
    Column("state", String(20), nullable=False),  # pending, taken, landed, rejected, withdrawn
    Column("result", JSON, nullable=False, default=dict),
    Column("created_at", Float, nullable=False),
)
Index("ix_changes_branch_key", changes.c.branch_key, changes.c.state)

writers = Table(
    "writers",
    metadata,
    Column("branch_key", String(600), primary_key=True),
    Column("owner", String(100), nullable=False, default=""),
    Column("until", Float, nullable=False, default=0.0),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id"), nullable=False),
    Column("channel", String(100), nullable=False),
    Column("type", String(40), nullable=False),
    Column("message", JSON, nullable=False),
    Column("state", String(20), nullable=False),  # pending, sent, failed, merged
    Column("attempt", Integer, nullable=False, default=0),
    Column("unknown", Integer, nullable=False, default=0, server_default="0"),  # tries whose answer was lost
    Column("due_at", Float, nullable=False),
    Column("lease_until", Float),
    Column("detail", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
)
_pending = text("state = 'pending'")
# Only what is not sent yet: each channel is looked at all the time, and has few of them.
Index(
    "ix_notifications_pending",
    notifications.c.channel,
    notifications.c.run_id,
    notifications.c.id,
    sqlite_where=_pending,
    postgresql_where=_pending,
)
Index("ix_notifications_run_id", notifications.c.run_id)

threads = Table(
    "threads",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("channel", String(100), primary_key=True),
    Column("reference", Text, nullable=False),
)

# Clicks on buttons that nobody has dealt with yet.
clicks = Table(
    "clicks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String(100), nullable=False),
    Column("click", JSON, nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lease_until", Float),
    Column("received_at", Float, nullable=False),
)
Index("ix_clicks_channel", clicks.c.channel, clicks.c.id)
Index("ix_clicks_received_at", clicks.c.received_at)

logs = Table(
    "logs",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("first", Integer, primary_key=True),  # number of the chunk's first line, from 1
    Column("lines", Integer, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("text", LargeBinary, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("repo", String(600), primary_key=True),
    Column("ref", String(300), primary_key=True),
    Column("commit", String(64), nullable=False),
    Column("by_poll", Boolean, nullable=False, default=False),
    Column("doubted", Boolean, nullable=False, default=False),
    Column("seen_at", Float, nullable=False),
)

# What Git or Argo CD, each a witness, was last seen to say of an environment.
glances = Table(
    "glances",
    metadata,
    Column("app", String(100), primary_key=True),
    Column("environment", String(100), primary_key=True),
    Column("witness", String(20), primary_key=True),
    Column("facts", JSON, nullable=False),
)

witnesses = Table(
    "witnesses",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("seen_at", Float),  # of the last look that came to an answer
    Column("trouble", Text, nullable=False, default=""),  # why the looks since then did not
    Column("head", String(64), nullable=False, default=""),  # of the GitOps branch
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    UniqueConstraint("hash"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
)
Index("ix_idempotency_created_at", idempotency.c.created_at)

polls = Table(
    "polls",
    metadata,
    Column("app", String(100), primary_key=True),
    Column("asked_at", Float, nullable=False),
    Column("asked_by", String(200), nullable=False),
    Column("done_at", Float),
    Column("facts", JSON, nullable=False, default=dict),
)

unread = Table(
    "unread",
    metadata,
    Column("app", String(100), primary_key=True),
    Column("since", Float, nullable=False),
    Column("problem", Text, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("facts", JSON, nullable=False, default=dict),
)

tallies = Table(
    "tallies",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(100), nullable=False),  # of the metric
    Column("labels", Text, nullable=False),  # values in the order of the metric's row, as a JSON list
    Column("value", Float, nullable=False),
)

# A commit that an environment was brought to, once for each result; what DORA's figures are made of.
deployments = Table(
    "deployments",
    metadata,
    Column("app", String(100), primary_key=True),
    Column("environment", String(100), primary_key=True),
    Column("commit", String(100), primary_key=True),  # of the source; of a run without one, the digest
    Column("result", String(20), primary_key=True),  # succeeded, failed
    Column("run_id", Integer, ForeignKey("runs.id"), nullable=False),
    Column("committed_at", Float),  # of the source commit, where it is known
    Column("at", Float, nullable=False),
    Column("failed_at", Float),
    Column("restored_at", Float),
)
Index("ix_deployments_at", deployments.c.at)
Index("ix_deployments_commit", deployments.c.commit, deployments.c.app)
Index("ix_deployments_app", deployments.c.app, deployments.c.environment, deployments.c.run_id)
_open = text("failed_at IS NOT NULL AND restored_at IS NULL")
Index("ix_deployments_open", deployments.c.app, deployments.c.environment, sqlite_where=_open, postgresql_where=_open)
