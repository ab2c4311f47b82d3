"""Policy requests as Postfix 3.7 sends them."""

RCPT = b"""request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address=203.0.113.7
client_name=unknown
client_port=40001
reverse_client_name=unknown
server_address=192.0.2.25
server_port=11587
helo_name=x
sender=Alice@example.org
recipient=x@example.com
recipient_count=0
queue_id=
instance=7d76.6b026f7c.747c8.0
size=0
etrn_domain=
stress=
sasl_method=PLAIN
sasl_username=alice@example.org
sasl_sender=
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=
encryption_cipher=
encryption_keysize=0
policy_context=sender

"""


def request(**fields) -> bytes:
    """The sample with other values; a field that it does not have is added, as newer Postfixes do."""
    lines = dict(line.split("=", 1) for line in RCPT.decode().strip().split("\n"))
    lines |= {name: str(value) for name, value in fields.items()}
    return "".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n"


def end_of_data(number: int = 0, **fields) -> bytes:
    """The request at the end of a message; each number is another message."""
    values = {"protocol_state": "END-OF-MESSAGE", "recipient_count": 3, "queue_id": f"4E88A230{number:04X}",
              "instance": f"7d76.6b026f7c.747c8.{number}", "size": 311, "recipient": ""}  # fmt: skip
    return request(**{**values, **fields})


SAMPLES = (
    RCPT,
    end_of_data(),
    request(protocol_state="CONNECT", sender="", recipient="", sasl_method="", sasl_username=""),
    request(protocol_state="MAIL", instance="", size=52428800, sender="", encryption_protocol="TLSv1.3"),
    request(
        sasl_method="XCLIENT", sasl_sender="alice@example.org", client_address="2001:db8:5::77", mail_version="3.10.13"
    ),
)
