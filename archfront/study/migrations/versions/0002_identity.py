"""Studies say how their architectures are written: with all fields (1), or without those at their defaults (2).

The texts and digests themselves are written anew when a search goes on with a study, which has the parts at hand.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("identity", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("studies", "identity")
