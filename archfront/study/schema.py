"""The tables of the study database. `migrations/` holds how a database gets to this schema, revision by revision."""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0002"
"""The revision of this schema; equals the head of `migrations/`."""

metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("space", Text, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    # How the architectures are written (`search_spaces.canonical.IDENTITY`); digests and fingerprint depend on it.
    Column("identity", Integer, nullable=False, server_default="1"),
    Column("settings", JSON, nullable=False),
    Column("objectives", JSON, nullable=False),
    Column("constraints", JSON, nullable=False),
    Column("seed", Integer, nullable=False),
    # The lease of the one search that may write: its token, who holds it, and when it was last seen alive.
    Column("token", String(32)),
    Column("holder", String(200)),
    Column("heartbeat", Float),
)

candidates = Table(
    "candidates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("digest", String(32), nullable=False),
    Column("architecture", Text, nullable=False),
    UniqueConstraint("study_id", "digest"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("candidate_id", ForeignKey("candidates.id"), nullable=False),
    # Places in the study's two orders, asked and told, from which a controller's state is rebuilt.
    Column("number", Integer, nullable=False),
    Column("told", Integer),
    Column("fidelity", Integer, nullable=False),
    Column("origin", Text, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("token", String(32), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("told_at", Float),
    Column("seconds", Float, nullable=False),
    UniqueConstraint("study_id", "number"),
    UniqueConstraint("candidate_id", "fidelity"),
    Index("ix_evaluations_study_told", "study_id", "told"),
    Index("ix_evaluations_study_status", "study_id", "status"),
)

parts = Table(
    "parts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("evaluation_id", ForeignKey("evaluations.id"), nullable=False),
    Column("evaluator", String(100), nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    UniqueConstraint("evaluation_id", "evaluator"),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("evaluation_id", ForeignKey("evaluations.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("value", Float, nullable=False),
    Column("unit", String(20), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("summary", JSON(none_as_null=True)),
    Column("provenance", JSON(none_as_null=True)),
    UniqueConstraint("evaluation_id", "name"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("evaluation_id", ForeignKey("evaluations.id"), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Index("ix_artifacts_evaluation", "evaluation_id"),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("profile", JSON, nullable=False),
    Column("added_at", Float, nullable=False),
    UniqueConstraint("name", "fingerprint"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_events_study", "study_id"),
)
