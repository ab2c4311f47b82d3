"""loginwatch: finds compromised mail accounts in a stream of logins."""
