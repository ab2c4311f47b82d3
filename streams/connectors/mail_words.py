"""
The words of the notification mails, in every language that `mail_language` offers.

Decision: layout is in `mail_templates/`, facts are in `mail_format`, and here are only sentences, so that a translator
reads one page and a test can hold all languages against each other. Placeholders in braces are filled with cleaned text.
"""

from dataclasses import dataclass

Plural = tuple[str, str]
"""The word for one, the word for any other number."""


@dataclass(frozen=True)
class Words:
    """One language. A field is a label, a sentence with placeholders, or the two numbers of a noun."""

    language: str
    time_pattern: str
    # nouns
    networks: Plural
    countries: Plural
    minutes: Plural
    logins: Plural
    days: Plural
    mails: Plural
    unknown_country: str
    unknown_time: str
    # subject and first sentence, to an administrator and to the owner of the account
    subject_blocked: str
    subject_reported: str
    subject_blocked_own: str
    subject_reported_own: str
    opening: str
    opening_own: str
    # facts
    account: str
    opened: str
    rule: str
    rule_sentence: str
    allowed: str
    rule_from: str
    default_scope: str
    state: str
    blocked_until: str
    blocked: str
    not_blocked: str
    familiar: str
    familiar_sentence: str
    messages: str
    messages_sentence: str
    by_country: str
    ignored: str
    # lists
    networks_title: str
    network: str
    place: str
    owner: str
    service: str
    first: str
    last: str
    use: str
    use_sentence: str
    last_address: str
    more: str
    left_out_title: str
    left_out_sentence: str
    senders_title: str
    sender_sentence: str
    sender_domain: str
    sender_foreign: str
    sender_malformed: str
    senders_more: str
    # what to do next
    steps_title: str
    steps_blocked: tuple[str, ...]
    steps_reported: tuple[str, ...]
    steps_own: tuple[str, ...]
    help: str
    footer: str


ENGLISH = Words(
    language="en",
    time_pattern="EEE, d MMM yyyy HH:mm:ss 'UTC'",
    networks=("network", "networks"),
    countries=("country", "countries"),
    minutes=("minute", "minutes"),
    logins=("login", "logins"),
    days=("day", "days"),
    mails=("message", "messages"),
    unknown_country="unknown country",
    unknown_time="unknown time",
    subject_blocked="Account {account} blocked: logins from {count} within {window}",
    subject_reported="Account {account}: logins from {count} within {window}",
    subject_blocked_own="Your account {account} was blocked: logins from {count} within {window}",
    subject_reported_own="Your account {account}: logins from {count} within {window}",
    opening="The account {account} was used from more places than its policy allows. Its password may be known to a stranger.",
    opening_own="Your account {account} was used from more places than expected. Somebody else may know your password.",
    account="Account",
    opened="Detected",
    rule="Rule",
    rule_sentence="{count} > {limit} in {window}",
    allowed="{limit} allowed",
    rule_from="{rule} (limit set for {scope})",
    default_scope="nobody: default",
    state="Blocked",
    blocked_until="yes, until {until}",
    blocked="yes",
    not_blocked="no, the policy only reports",
    familiar="Networks that stay open",
    familiar_sentence="those used on at least {days} before",
    messages="Messages sent in the last 24 hours",
    messages_sentence="{messages}, {foreign} of them with foreign senders",
    by_country="Logins by country",
    ignored="Logins from ignored countries, not listed",
    networks_title="Where the logins came from",
    network="Network",
    place="Place",
    owner="Owner",
    service="Service",
    first="First login",
    last="Last login",
    use="Use",
    use_sentence="{logins} on {days}",
    last_address="last address {address}",
    more="and {number} more",
    left_out_title="Not counted, because safe",
    left_out_sentence="{network} ({country}), {logins}: inside safe network {safe} of {scope}: {description}",
    senders_title="Foreign senders, last 24 hours",
    sender_sentence="{sender} ({relation}): {messages}, from {first} to {last}",
    sender_domain="another address of the domain",
    sender_foreign="an address of another domain",
    sender_malformed="no address",
    senders_more="and {messages} with other foreign senders",
    steps_title="What to do next",
    steps_blocked=(
        "Ask the owner of the account, by telephone rather than by mail, which of these logins were theirs.",
        (
            "If any was not: set a new password, end open sessions, look for forwarding, filters and sent messages that the "
            "owner did not make. Then lift the block: loginwatch account unblock ACCOUNT, or Unblock in the panel."
        ),
        "If all were (travel, VPN, a third-party app): mark the network as safe or raise the limit, then lift the block.",
        "The block ends by itself at the time above. A thief who still knows the password can come back then.",
    ),
    steps_reported=(
        "The account is not blocked, so act soon. To block it now: loginwatch account block ACCOUNT, or Block in the panel.",
        "Ask the owner of the account, by telephone rather than by mail, which of these logins were theirs.",
        (
            "If any was not: set a new password, end open sessions, look for forwarding, filters and sent messages that the "
            "owner did not make."
        ),
        "If all were (travel, VPN, a third-party app): mark the network as safe or raise the limit.",
    ),
    steps_own=(
        "If you do not know one of these logins: change your password at once, on a device that you trust, and use it nowhere else.",
        "Then look for forwarding addresses, filters and sent messages that you did not make.",
        "If all of them were you (travel, VPN, an app): tell your help desk, so that it does not happen again.",
        "If you cannot log in any more: ask your help desk. Nobody there will ask for your password.",
    ),
    help="Questions: {help}",
    footer="Incident {incident}. This mail was written by loginwatch, automatically; all times are UTC.",
)

GERMAN = Words(
    language="de",
    time_pattern="EEE, d. MMM yyyy HH:mm:ss 'UTC'",
    networks=("Netz", "Netzen"),
    countries=("Land", "Ländern"),
    minutes=("Minute", "Minuten"),
    logins=("Anmeldung", "Anmeldungen"),
    days=("Tag", "Tagen"),
    mails=("Nachricht", "Nachrichten"),
    unknown_country="unbekanntes Land",
    unknown_time="unbekannte Zeit",
    subject_blocked="Konto {account} gesperrt: Anmeldungen aus {count} innerhalb von {window}",
    subject_reported="Konto {account}: Anmeldungen aus {count} innerhalb von {window}",
    subject_blocked_own="Ihr Konto {account} wurde gesperrt: Anmeldungen aus {count} innerhalb von {window}",
    subject_reported_own="Ihr Konto {account}: Anmeldungen aus {count} innerhalb von {window}",
    opening="Das Konto {account} wurde von mehr Orten benutzt, als seine Richtlinie erlaubt. Vielleicht kennt ein Fremder das Kennwort.",
    opening_own="Ihr Konto {account} wurde von mehr Orten benutzt als erwartet. Vielleicht kennt jemand anderes Ihr Kennwort.",
    account="Konto",
    opened="Erkannt",
    rule="Regel",
    rule_sentence="Anmeldungen aus {count} > {limit} in {window}",
    allowed="{limit} erlaubt",
    rule_from="{rule} (Grenze gesetzt für {scope})",
    default_scope="niemanden: Vorgabe",
    state="Gesperrt",
    blocked_until="ja, bis {until}",
    blocked="ja",
    not_blocked="nein, die Richtlinie meldet nur",
    familiar="Netze, die offen bleiben",
    familiar_sentence="die zuvor an mindestens {days} benutzten",
    messages="Gesendete Nachrichten in den letzten 24 Stunden",
    messages_sentence="{messages}, davon {foreign} mit fremdem Absender",
    by_country="Anmeldungen nach Land",
    ignored="Anmeldungen aus ignorierten Ländern, nicht aufgeführt",
    networks_title="Woher die Anmeldungen kamen",
    network="Netz",
    place="Ort",
    owner="Betreiber",
    service="Dienst",
    first="Erste Anmeldung",
    last="Letzte Anmeldung",
    use="Nutzung",
    use_sentence="{logins} an {days}",
    last_address="letzte Adresse {address}",
    more="und {number} weitere",
    left_out_title="Nicht gezählt, weil sicher",
    left_out_sentence="{network} ({country}), {logins}: im sicheren Netz {safe} von {scope}: {description}",
    senders_title="Fremde Absender, letzte 24 Stunden",
    sender_sentence="{sender} ({relation}): {messages}, von {first} bis {last}",
    sender_domain="andere Adresse der Domain",
    sender_foreign="Adresse einer anderen Domain",
    sender_malformed="keine Adresse",
    senders_more="und {messages} mit weiteren fremden Absendern",
    steps_title="Was jetzt zu tun ist",
    steps_blocked=(
        "Fragen Sie den Inhaber des Kontos, besser am Telefon als per Mail, welche dieser Anmeldungen von ihm waren.",
        (
            "War eine es nicht: neues Kennwort setzen, offene Sitzungen beenden, nach Weiterleitungen, Filtern und gesendeten "
            "Nachrichten suchen, die nicht vom Inhaber stammen. Dann die Sperre aufheben: loginwatch account unblock KONTO, "
            "oder „Unblock“ in der Oberfläche."
        ),
        "Waren es alle (Reise, VPN, fremde App): das Netz als sicher markieren oder die Grenze erhöhen, dann die Sperre aufheben.",
        "Die Sperre endet von selbst zur genannten Zeit. Ein Dieb, der das Kennwort noch kennt, kann dann wiederkommen.",
    ),
    steps_reported=(
        (
            "Das Konto ist nicht gesperrt, handeln Sie also bald. Sofort sperren: loginwatch account block KONTO, oder „Block“ "
            "in der Oberfläche."
        ),
        "Fragen Sie den Inhaber des Kontos, besser am Telefon als per Mail, welche dieser Anmeldungen von ihm waren.",
        (
            "War eine es nicht: neues Kennwort setzen, offene Sitzungen beenden, nach Weiterleitungen, Filtern und gesendeten "
            "Nachrichten suchen, die nicht vom Inhaber stammen."
        ),
        "Waren es alle (Reise, VPN, fremde App): das Netz als sicher markieren oder die Grenze erhöhen.",
    ),
    steps_own=(
        (
            "Kennen Sie eine dieser Anmeldungen nicht: Ändern Sie sofort Ihr Kennwort, auf einem Gerät, dem Sie vertrauen, "
            "und benutzen Sie es nirgendwo sonst."
        ),
        "Suchen Sie dann nach Weiterleitungen, Filtern und gesendeten Nachrichten, die nicht von Ihnen stammen.",
        "Waren Sie das alles selbst (Reise, VPN, eine App): Sagen Sie es Ihrem Helpdesk, damit es nicht wieder geschieht.",
        "Können Sie sich nicht mehr anmelden: Fragen Sie Ihren Helpdesk. Niemand dort wird nach Ihrem Kennwort fragen.",
    ),
    help="Fragen: {help}",
    footer="Vorfall {incident}. Diese Mail wurde automatisch von loginwatch geschrieben; alle Zeiten sind UTC.",
)

LANGUAGES = {words.language: words for words in (ENGLISH, GERMAN)}
