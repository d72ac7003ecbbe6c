"""The account: what the store, the streams and the spool say of every event, brought together."""
