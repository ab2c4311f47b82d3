"""The doors and senders: each connector reads one foreign wire and speaks our topics. One file each, top to bottom."""
