"""The possible reasons of an incident in words: what each means, how it is recognised, what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.panel.words import N_


@dataclass(frozen=True)
class Verdict:
    """One verdict of a Review. Texts are English and translated where they are shown; `tone` is a class of badges."""

    name: str
    title: str
    tone: str
    meaning: str
    signs: tuple[str, ...]
    steps: tuple[str, ...]


COMPROMISED = Verdict(
    name="compromised",
    title=N_("Compromised"),
    tone="danger",
    meaning=N_("A stranger knows the password and uses the account, nearly always to send spam or to read mail."),
    signs=(
        N_("Networks in countries where the owner has no business, all first seen within the window."),
        N_("SMTP logins from hosting providers, and far more messages sent in 24 hours than the owner ever writes."),
        N_("MAIL FROM addresses that are not the owner's."),
        N_("The owner, asked by telephone, does not know these logins."),
    ),
    steps=(
        N_("Leave the account blocked, or block it now."),
        N_("Set a new password, end open sessions, and make the owner check the devices for malware."),
        N_("Look for forwarding addresses, filters and sent messages that the owner did not make."),
        N_("Then unblock the account and reset its activity."),
    ),
)
THIRD_PARTY = Verdict(
    name="third_party",
    title=N_("Third-party application"),
    tone="calm",
    meaning=N_(
        "A service fetches or sends mail with the owner's password from its own servers, at changing addresses."
    ),
    signs=(
        N_("All strange networks belong to one company, such as Google (Gmail) or Mail.ru (myMail)."),
        N_("Regular logins over IMAP or POP3, day and night, and no sudden rise of messages sent."),
        N_("The owner has added this account to another mail service or app."),
    ),
    steps=(
        N_("Mark the service's range as safe, for the account or for its domain."),
        N_("Tell the owner that the service knows the password; an application password is better where there is one."),
        N_("Unblock the account."),
    ),
)
TRAVELLING = Verdict(
    name="travelling",
    title=N_("Travelling"),
    tone="calm",
    meaning=N_("The owner is on the way: hotels, airports and trains are one new network after the other."),
    signs=(
        N_("The home network falls silent before the new ones begin, and the places make a journey."),
        N_("Hotels, access providers and airports rather than hosting providers."),
        N_("The usual services of the owner, and the usual number of messages."),
    ),
    steps=(
        N_("Ask the owner, by telephone."),
        N_("Mark the hotel's or office's network as safe, with an expiry on the day of return."),
        N_("Unblock the account; raise the number of IPs in the policy of people who travel much."),
    ),
)
MOBILE = Verdict(
    name="mobile",
    title=N_("Mobile connection"),
    tone="calm",
    meaning=N_("A telephone changes between mobile network and Wi-Fi, and its provider gives it ever new addresses."),
    signs=(
        N_("All networks belong to one mobile provider in the owner's country."),
        N_("Addresses close to each other, each used for a short time only."),
    ),
    steps=(
        N_(
            "Mark the provider's range as safe for this account, or count wider networks (IPv4 prefix 24) in the policy."
        ),
        N_("Unblock the account."),
    ),
)
OTHER = Verdict(
    name="other",
    title=N_("Something else"),
    tone="plain",
    meaning=N_("None of these: a shared mailbox, a VPN that changes its exit, a test, or not enough is known yet."),
    signs=(
        N_("Several people use one mailbox: many networks, all of them known for weeks."),
        N_("All networks belong to one VPN provider, and the owner uses it."),
    ),
    steps=(
        N_("Write into the note what you found out, so that the next person need not ask again."),
        N_("Give shared mailboxes a policy of their own with more IPs."),
    ),
)

VERDICTS: Mapping[str, Verdict] = {
    verdict.name: verdict for verdict in (COMPROMISED, THIRD_PARTY, TRAVELLING, MOBILE, OTHER)
}
"""By the names of the Avro enum `Verdict`, the worst first."""
