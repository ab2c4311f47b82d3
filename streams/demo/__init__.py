"""
`loginwatch demo`: everything of loginwatch in one terminal, on an embedded broker, with simulated people and thieves.

Nothing is shortened: the worker, the gateway and the mailer run as processes of their own, as they do in life; people
log in through the gateway's door as a Dovecot would ask it; the mails arrive at a real SMTP listener.
"""

from streams.demo.run import run_demo

__all__ = ["run_demo"]
