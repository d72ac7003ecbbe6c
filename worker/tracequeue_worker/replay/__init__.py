"""Events stored again from whatever still holds them: source -> selection -> sink, with checkpoints -> report."""
