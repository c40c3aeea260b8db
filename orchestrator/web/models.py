"""What all models of the API have in common, what it takes (`inputs`) and what it answers (`answers`)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.domain.ownership import MAX_RUN
from orchestrator.web import patterns

MAX_ID = MAX_RUN
"""The largest id that both databases can hold in an integer column."""
MAX_LIMIT = 100

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=patterns.NAME)]
Text = Annotated[str, StringConstraints(max_length=500, pattern=patterns.TEXT)]
Image = Annotated[str, StringConstraints(pattern=patterns.IMAGE)]
Prefix = Annotated[str, StringConstraints(pattern=patterns.PREFIX)]
ObjectId = Annotated[str, StringConstraints(pattern=patterns.OBJECT_ID)]
Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2024-05-06T07:08:09.123Z"])]


class ApiModel(BaseModel):
    """What the API takes or answers; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")
