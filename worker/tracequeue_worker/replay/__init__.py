"""What still holds events, stored again in any database: source -> selection -> the sink, with checkpoints -> report."""
