"""The product at another time, for the hostile cases of another day. Nothing in the product itself can set its clock:
it asks the database, so this module of the tests puts another one in its place before the server starts."""

import os
from datetime import datetime

from consumption_cs.wsgi import application
from usage.api import events

NOW = datetime.fromisoformat(os.environ["FROZEN_NOW"])
events.clock = lambda key: NOW

__all__ = ["application"]
