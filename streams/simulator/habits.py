"""
The numbers of the simulated population, each with its source.

"RBA" is Wiefling et al., ACM TOPS 2022, doi 10.1145/3546069 (logins of a Norwegian single sign-on, 2020-2021). "AWS" is
the takeover sample of AWS Fraud Detector (735,683 events, 100,000 accounts, 6 months). Both are web logins: what makes
mail different (polling, several devices, mobile networks, IPv6) is published nowhere and is an assumption, said so.
"""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# --- the day
RHYTHM = (
    *(0.2, 0.2, 0.2, 0.2, 0.2, 0.25, 0.4, 0.7, 0.9, 1.0, 1.0, 1.0),
    *(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.5, 0.3),
)
"""How often somebody logs in, by hour of local time. RBA: 15 a minute at night, 75 a minute from 9 to 19 h, so 1 : 5."""
RHYTHM_MEAN = sum(RHYTHM) / 24
WORK_HOURS = (9, 17)  # assumption
AWAKE_HOURS = (8, 19)  # assumption: when a phone is out of the house

# --- where people live
CITY_WEIGHTS = {"Berlin": 30, "Munich": 20, "Hamburg": 20, "Cologne": 22, "Vienna": 5, "Zurich": 3}
"""Assumption: a provider of one country with some users next door."""
HOME_IPV6 = 0.5
"""Homes whose devices reach the server over IPv6. Assumption: about half of the home market."""
DAILY_RECONNECT = 0.3
"""Homes that get a new address every 24 h (forced reconnection). Assumption."""
LEASE_MS = 30 * DAY_MS
"""Mean life of the other homes' addresses. Assumption."""
PRIVACY_MS = DAY_MS
"""An IPv6 privacy address is replaced after this time: the default of RFC 8981."""
CARRIER_MS = 100 * MINUTE_MS
"""Mean time until a phone on the move comes from another address of its carrier's translation (CGNAT). Assumption."""

# --- who has what (assumptions; AWS: 1.9 addresses per account in 6 months of web logins is the lower bound)
LAPTOP = 0.55
DESKTOP = 0.45
PHONE = 0.85
TABLET = 0.2
OFFICE = 0.35
"""Owners of a laptop who take it to an office on working days."""
THIRD_PARTY = 0.04
"""Accounts that a third-party app polls from its own cloud."""
VPN = 0.03
"""Accounts whose laptop sometimes comes from the exit of a VPN."""
VPN_SHARE = 0.3
VPN_MS = 2 * HOUR_MS
TRAVELLER = 0.03
TRIP_EVERY_MS = 25 * DAY_MS
TRIP_MS = (1 * DAY_MS, 4 * DAY_MS)
AIRPORT_MS = 2 * HOUR_MS

# --- how often a device logs in, while its owner is awake (assumptions)
DESKTOP_POLL_MS = 10 * MINUTE_MS
LAPTOP_POLL_MS = 10 * MINUTE_MS
PHONE_POLL_MS = 30 * MINUTE_MS  # IMAP IDLE holds a connection; this is the reconnection
TABLET_POLL_MS = 60 * MINUTE_MS
THIRD_PARTY_POLL_MS = 15 * MINUTE_MS
WEBMAIL_MS = 24 * HOUR_MS  # AWS: 7.4 events in 6 months; webmail is used more often than a shop
ALWAYS_ON = 0.3
"""Desktops that poll through the night. Assumption."""
POP3 = 0.08
"""Desktops that fetch by POP3. Assumption."""
SENDS = 0.02
"""Share of a device's logins that are submissions: with a poll every 10 minutes about two messages a day. Assumption."""
MISTYPED = 0.005
"""Honest logins that fail. Clients store passwords, so far below the 58.5 % of RBA, which includes attacks. Assumption."""

# --- thieves
TAKEOVERS_PER_THOUSAND_DAYS = 1.61 / 180
"""Takeovers per 1000 accounts and day. AWS: 161 of 100,000 accounts in 6 months."""
THIEF_FAILS = 1 / 141
"""RBA: 140 of the 141 logins of thieves succeeded: they have the password."""
THIEF_COUNTRIES = {"RO": 79, "DE": 10, "CA": 9, "BR": 9, "ID": 9, "IT": 7, "DK": 5, "LV": 3, "CL": 3}
"""RBA, takeovers by country; the service's home country (10, 7 %) stands here as ours."""
THIEF_KINDS = {"abroad": 55, "botnet": 25, "home": 7, "slow": 13}
"""RBA: 7 % from the home country, 55 % from known attack networks; how the rest divides is an assumption."""
THIEF_EVERY_MS = {"abroad": 4 * MINUTE_MS, "botnet": 2 * MINUTE_MS, "home": 5 * MINUTE_MS, "slow": 3 * HOUR_MS}
THIEF_LASTS_MS = {"abroad": 6 * HOUR_MS, "botnet": 4 * HOUR_MS, "home": 8 * HOUR_MS, "slow": 5 * DAY_MS}
"""How often a thief logs in and for how long. Assumptions."""
SPAM_BURST = (20, 200)
SPAM_EVERY_MS = 2_000
"""Messages of one burst, and the time between two. Assumptions."""
