"""Arguments that several commands take."""

from typing import Annotated

from tyro.conf import Positional, arg

Model = Annotated[Positional[str], arg(metavar="MODEL")]
