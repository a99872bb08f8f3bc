"""Reads the stream of airbyte-source-plausible: replication.py ADDRESS"""

import logging
import sys
from datetime import datetime, timedelta, timezone

from airbyte_cdk.models import (
    ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode,
)
from ours import SITE, Product, same
from source_plausible.source import SourcePlausible

product = Product(sys.argv[1])
METRICS = ["visitors", "pageviews", "bounce_rate", "visit_duration", "visits"]
today = datetime.now(timezone.utc).date()
first = str(today - timedelta(days=60))
# The program would refuse every address of a server, https included, by the pattern that it has for
# `api_url`; the source itself takes it.
config = {"api_key": "any", "site_id": SITE, "api_url": f"http://{product.address}/api/v1/stats", "start_date": first}
source = SourcePlausible()
logger = logging.getLogger("airbyte")

works, error = source.check_connection(logger, config)
same("the connection", (works, error), (True, None))
stream = next(iter(source.discover(logger, config).streams))
catalog = ConfiguredAirbyteCatalog(streams=[ConfiguredAirbyteStream(
    stream=stream, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.overwrite)])
records = [message.record.data for message in source.read(logger, config, catalog, []) if message.record]
found = {record.pop("date"): {name: record[name] for name in METRICS} for record in records}
same("days with events", found, product.series(METRICS, [first, str(today)]))
