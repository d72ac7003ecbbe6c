"""What is old enough goes: whole partitions, and the ledger of frames that nothing can deliver again."""
