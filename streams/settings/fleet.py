"""All groups of settings as one."""

from streams.settings.alerts import AlertSettings
from streams.settings.canary import CanarySettings
from streams.settings.detection import DetectionSettings
from streams.settings.enforcement import EnforcementSettings
from streams.settings.gateway import GatewaySettings
from streams.settings.kafka import KafkaSettings
from streams.settings.logs import LogSettings
from streams.settings.mailer import MailerSettings
from streams.settings.panel import PanelSettings
from streams.settings.postfix import PostfixSettings
from streams.settings.process import ProcessSettings
from streams.settings.worker import WorkerSettings


class Settings(
    ProcessSettings,
    LogSettings,
    CanarySettings,
    AlertSettings,
    EnforcementSettings,
    MailerSettings,
    PanelSettings,
    PostfixSettings,
    GatewaySettings,
    WorkerSettings,
    DetectionSettings,
    KafkaSettings,
):
    """
    All settings of all processes; unknown names are refused, so that a typing error is found at start.

    The bases stand last first: pydantic lists the fields of the last base first.
    """
