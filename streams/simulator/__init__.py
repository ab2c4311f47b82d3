"""
A seeded population of mail users, and thieves among them, with the truth beside their logins.

`world.py` is where they are, `habits.py` states every number and where it comes from, `people.py` and `thieves.py` are
who they are, `simulation.py` lets them log in, `delivery.py` brings their logins out of order, `run.py` sends them on.
Nothing here reads a clock or any random number but those of the seed: the same seed gives the same logins, byte for byte.
"""
