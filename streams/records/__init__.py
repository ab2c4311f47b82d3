"""
The Avro border: bytes on a topic become a dict with the field names of `schemas/`, and back.

Decision: three forms (Avro single-object, Confluent wire format, JSON) are told apart by the first byte, and whatever is
wrong with a value from outside is a `BadRecordError` with a stable reason from `reasons`, never another exception.
Inside the process times are integers, milliseconds since the epoch, UTC.
"""
