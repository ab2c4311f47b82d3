"""
Every metric of every process: name, kind, unit, labels and help, each declared once, in the file of the process.

The reference in `docs/` is generated from these files. A process makes one `Metrics` with the metrics that it uses; the
registry is its own, never prometheus-client's global one. Everybody imports from here; a new process gets a file beside
these, and its name stands here and in `process.py`.
"""

# ruff: noqa: F403 - a metric is declared once, in its file, and not once more in a list of names

from streams.metrics.alerts import *
from streams.metrics.canary import *
from streams.metrics.declare import Metric as Metric
from streams.metrics.enforcement import *
from streams.metrics.gateway import *
from streams.metrics.logs import *
from streams.metrics.mailer import *
from streams.metrics.panel import *
from streams.metrics.postfix import *
from streams.metrics.process import Metrics as Metrics
from streams.metrics.process import declared as declared
from streams.metrics.shared import *
from streams.metrics.worker import *
